"""A run read back from its raw lines: those in the bucket, and those that still wait on this machine's disk.

The id of a run tells when it began, and the key of a part when that was opened: only parts are read that can hold it.

Belongs here: which parts, finding lines. Not here: putting the run together (see lakehouse/workflow/record.py).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from lakehouse.events.envelope import RAW_PREFIX
from lakehouse.storage.lines import lines_of
from lakehouse.storage.objects import ObjectStore, list_all
from lakehouse.workflow.record import STREAM

_UUID7_TIME = 80
_SLACK = timedelta(minutes=10)


class WorkflowRuns:
    """Finds runs of this installation.

    Args:
        objects: The bucket.
        spool: Folder of the event log's spool.
        longest: Longest time of a run.
        part_age: Age at which a part is closed.
    """

    def __init__(self, objects: ObjectStore, spool: Path, *, longest: timedelta, part_age: timedelta) -> None:
        self._objects = objects
        self._spool = spool
        self._longest = longest
        self._part_age = part_age

    def lines(self, run_id: str) -> list[dict[str, Any]]:
        """The lines of a run, each node's last; none where there is no such run.

        Raises:
            StoreUnavailable: The store does not answer.
        """
        begun = moment_of(run_id)
        if begun is None:
            return []
        needle = orjson.dumps({"run_id": run_id})[1:-1]
        found: dict[str, dict[str, Any]] = {}
        # The spool is read first: a part that is shipped in between is then found in the bucket.
        for line in [*self._waiting(begun, needle), *self._shipped(begun, needle)]:
            if line.get("run_id") == run_id:
                found[str(line["node_id"])] = line
        return list(found.values())

    def _days(self, begun: datetime) -> list[str]:
        return sorted({f"{begun:%Y-%m-%d}", f"{begun + self._longest + _SLACK:%Y-%m-%d}"})

    def _waiting(self, begun: datetime, needle: bytes) -> Iterator[dict[str, Any]]:
        for day in self._days(begun):
            for path in sorted(self._spool.glob(f"*/{STREAM}/{day}_*.jsonl")):
                try:
                    with path.open("rb") as part:
                        yield from _lines(part, needle)
                except FileNotFoundError:  # it was shipped meanwhile
                    continue

    def _shipped(self, begun: datetime, needle: bytes) -> Iterator[dict[str, Any]]:
        for day in self._days(begun):
            for info in list_all(self._objects, f"{RAW_PREFIX}{STREAM}/dt={day}/"):
                opened = moment_of(info.key.rpartition("/")[2].removesuffix(".jsonl"))
                is_before = opened is not None and opened < begun - self._part_age - _SLACK
                is_after = opened is not None and opened > begun + self._longest + _SLACK
                if is_before or is_after:
                    continue
                with self._objects.open(info.key) as reader:
                    yield from _lines(lines_of(reader.chunks()), needle)


def moment_of(identity: str) -> datetime | None:
    """When an id of the platform was made; None where it is none."""
    try:
        made = uuid.UUID(identity)
    except ValueError:
        return None
    return datetime.fromtimestamp((made.int >> _UUID7_TIME) / 1000, UTC) if made.version == 7 else None


def _lines(lines: Iterable[bytes], needle: bytes) -> Iterator[dict[str, Any]]:
    for line in lines:
        if needle in line:
            try:
                yield orjson.loads(line)
            except orjson.JSONDecodeError:  # half written when its process was killed
                continue
