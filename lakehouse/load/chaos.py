"""Chaos: which faults come when, a ledger of what was acknowledged, and what of it is lost or doubled in the end.

Belongs here: the order of faults, the ledger, the verdict, all pure. Not here: doing harm, reading what is stored
(see lakehouse_cli/load_chaos.py, load_faults.py).
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec
import orjson

from lakehouse.load.mix import RequestKind
from lakehouse.load.steps import Ask, Reply, Scenario, Steps

# It sorts before all others of an artifact, so that a line which keeps only the beginning of one has it.
MARK_FIELD = "a_chaos_id"
_MARK = re.compile(r'"a_chaos_id":"([a-z0-9]+-\d+)"')
_VALIDATIONS = frozenset({RequestKind.VALIDATE_EMAIL, RequestKind.VALIDATE_SMS, RequestKind.VALIDATE_FILL})
_DECIDED = frozenset({200, 422})


class Fault(StrEnum):
    """What is done to the platform, in the words of reports."""

    STORE = "the S3 server is killed"
    API = "the API is killed"
    SPOOL = "the spool's quota is filled while the S3 server hangs"
    RUN = "a Dagster run is killed"


# When each begins, as a share of the time: each has the rest of its quarter to be over.
PLAN: Mapping[Fault, float] = {Fault.STORE: 0.08, Fault.API: 0.3, Fault.SPOOL: 0.5, Fault.RUN: 0.74}


@dataclass(slots=True)
class Ledger:
    """What was asked and what was acknowledged; of several threads.

    Validations are told by a mark in their artifact, playbook entries by the id that they were given.
    """

    mark: str
    asked: set[str] = field(default_factory=set)
    acknowledged: set[str] = field(default_factory=set)
    entries: set[str] = field(default_factory=set)
    refused: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def next_mark(self) -> str:
        """A mark that nobody had before."""
        with self._lock:
            mark = f"{self.mark}-{len(self.asked)}"
            self.asked.add(mark)
        return mark

    def heard(self, mark: str | None, kind: RequestKind, reply: Reply) -> None:
        """Note an answer; what is not said to be done counts as refused."""
        with self._lock:
            if mark is not None and reply.status in _DECIDED:
                self.acknowledged.add(mark)
            elif kind is RequestKind.RECORD and reply.status == 200:
                recorded = _decoded(reply.body)
                if recorded.get("merged") is False:
                    self.entries.add(str(recorded["playbook_id"]))
            elif reply.status >= 500:
                self.refused += 1


@dataclass(slots=True)
class Stored:
    """What is found in the end: how often each mark, each entry's record, each line and each operation is there."""

    marks: Counter[str] = field(default_factory=Counter)
    records: Counter[str] = field(default_factory=Counter)
    lines: Counter[str] = field(default_factory=Counter)
    remembered: set[str] = field(default_factory=set)
    operations: Counter[str] = field(default_factory=Counter)

    def read_line(self, line: Mapping[str, Any]) -> None:
        """Count a line of the streams `validations` or `playbook_events`."""
        self.lines[str(line["run_id"])] += 1
        for mark in _MARK.findall(str(line.get("input_text", ""))):
            self.marks[mark] += 1
        if line.get("action") == "record" and line.get("merged") is False:
            self.records[str(line["playbook_id"])] += 1

    def read_operation(self, operation: Mapping[str, Any]) -> None:
        """Count an operation of the memory log; one that is void closes a place, and is none."""
        if operation.get("void"):
            return
        self.operations[str(operation["op_id"])] += 1
        if operation["op"] == "record":
            self.remembered.add(str(operation["payload"]["playbook_id"]))


def witnessed(scenarios: Iterable[Scenario], ledger: Ledger) -> Iterator[Scenario]:
    """The same scenarios, each request that changes something marked and each answer noted."""
    for scenario in scenarios:
        yield Scenario(scenario.kind, scenario.requests, _witness(scenario.steps, ledger))


def mark_artifact(body: bytes, mark: str) -> bytes:
    """A validation's body with the mark in its artifact."""
    document = orjson.loads(body)
    document["artifact"] = {**document["artifact"], MARK_FIELD: mark}
    return orjson.dumps(document)


def losses(ledger: Ledger, stored: Stored) -> list[str]:
    """What is wrong: acknowledged and lost, or doubled, or never asked for; empty when all is well."""
    found = [
        ("acknowledged validations have no line", ledger.acknowledged - stored.marks.keys()),
        ("validations have more than one line", _doubled(stored.marks)),
        ("lines are of validations that nobody asked for", stored.marks.keys() - ledger.asked),
        ("acknowledged playbook entries are not in the memory log", ledger.entries - stored.remembered),
        ("acknowledged playbook entries have no line", ledger.entries - stored.records.keys()),
        ("playbook entries have more than one line", _doubled(stored.records)),
        ("run ids are in more than one line", _doubled(stored.lines)),
        ("operations are in the memory log more than once", _doubled(stored.operations)),
    ]
    wrong = [f"{len(ids)} {what}, such as {min(ids)}" for what, ids in found if ids]
    if not ledger.acknowledged or not ledger.entries:
        wrong.append("nothing was acknowledged, so that nothing is shown")
    return wrong


def _witness(steps: Steps, ledger: Ledger) -> Steps:
    try:
        ask = next(steps)
        while True:
            mark = ledger.next_mark() if ask.kind in _VALIDATIONS else None
            if mark is not None:
                ask = Ask(ask.kind, ask.path, mark_artifact(ask.body, mark), ask.method)
            reply = yield ask  # closed here, nothing was answered: it may be there or not
            ledger.heard(mark, ask.kind, reply)
            ask = steps.send(reply)
    except StopIteration:
        return
    finally:
        steps.close()


def _doubled(counts: Counter[str]) -> set[str]:
    return {one for one, count in counts.items() if count > 1}


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        return dict(msgspec.json.decode(body))
    except (msgspec.DecodeError, TypeError, ValueError):
        return {}
