"""Whose processor time and memory a load looks at: the generator's, this installation's API and store, others by id.

Belongs here: finding them, and what is told of them. Not here: sampling (see lakehouse/adapters/process_meter.py).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import psutil

from lakehouse.adapters.process_meter import Metered
from lakehouse.errors import BadInput
from lakehouse.settings import Settings
from lakehouse_cli.remote import Remote
from lakehouse_cli.start import Installation

API, STORE, GENERATOR = "api", "store", "generator"
_OWN = (API, STORE)


def read_processes(given: Sequence[str]) -> dict[str, int]:
    """Read `NAME=PID`, as options give them.

    Raises:
        BadInput: It is none, or no such process is there.
    """
    found: dict[str, int] = {}
    for text in given:
        name, _, pid = text.partition("=")
        if not name or name == GENERATOR or not (pid.isascii() and pid.isdigit()):
            raise BadInput(f"{text!r} is not a process; write NAME=PID, such as api=4711")
        if not psutil.pid_exists(int(pid)):
            raise BadInput(f"there is no process {pid} on this machine; leave out --process {text}")
        found[name] = int(pid)
    return found


def processes_of(remote: Remote, settings: Settings, given: Sequence[str] = ()) -> dict[str, int]:
    """Ids by name: the generator's (this process), the service's own where this installation runs it, those given."""
    table = Installation(settings).table
    own = {name: record.pid for name in _OWN if remote.is_own and (record := table.alive(name)) is not None}
    return {**own, **read_processes(given), GENERATOR: os.getpid()}


def to_documents(metered: Sequence[Metered]) -> list[dict[str, Any]]:
    """As `--json` prints them."""
    return [
        {
            "name": one.group, "pid": one.pid, "is_child": one.is_child, "command": one.command,
            "cpu_s": round(one.cpu_s, 3), "rss_max_bytes": max(sample.rss_bytes for sample in one.samples),
            "samples": [asdict(sample) for sample in one.samples],
        }
        for one in metered
        if one.samples
    ]  # fmt: skip


def rss_of(metered: Sequence[Metered], group: str) -> tuple[int, int] | None:
    """Memory of a group, its process and children together, at the first sample and the last; None: it was not seen."""
    mine = [one for one in metered if one.group == group and one.samples]
    if not mine:
        return None
    first, last = (edge(one.samples[i].at_s for one in mine) for edge, i in ((min, 0), (max, -1)))
    return _sum_at(mine, first, 0), _sum_at(mine, last, -1)


def _sum_at(metered: Sequence[Metered], at_s: float, place: int) -> int:
    return sum(one.samples[place].rss_bytes for one in metered if one.samples[place].at_s == at_s)
