"""Chaos: a ledger of what was acknowledged under faults, and what of it is lost or doubled in the end.

Belongs here: the ledger, the verdict, all pure. Not here: which faults come when (see fault_plan.py), doing harm and
reading what is stored (see lakehouse_cli/load_chaos.py, load_faults.py).
"""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import orjson

from lakehouse.counted import counted
from lakehouse.load.mix import RequestKind
from lakehouse.load.steps import Ask, Reply, Scenario, Steps

# It sorts before all others of an artifact, so that a line which keeps only the beginning of one has it.
MARK_FIELD = "a_chaos_id"
_MARK = re.compile(r'"a_chaos_id":"([a-z0-9]+-\d+)"')
_VALIDATIONS = frozenset({RequestKind.VALIDATE_EMAIL, RequestKind.VALIDATE_SMS, RequestKind.VALIDATE_FILL})
_DECIDED = frozenset({200, 422})
# So long before a kill a line may still be on its way to the spool; an answer may also be read after it.
_BESIDE_S, _AFTER_S = 2.0, 1.0


@dataclass(slots=True)
class Ledger:
    """What was asked and what was acknowledged; of several threads.

    Each validation is told by a mark in its artifact, each record by one among its tags.

    Attributes:
        asked: Marks that were sent.
        validated: Those of validations that were decided.
        recorded: Those of records that were said to be made, each with the id of the entry that it went to.
        refused: How many requests were answered with 5xx.
        clock: Seconds, for what was acknowledged just before the API was killed.
    """

    mark: str
    asked: set[str] = field(default_factory=set)
    validated: set[str] = field(default_factory=set)
    recorded: dict[str, str] = field(default_factory=dict)
    refused: int = 0
    clock: Callable[[], float] = time.monotonic
    _kills: list[float] = field(default_factory=list)
    _recorded_at: dict[str, float] = field(default_factory=dict)
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
            if mark is not None and kind in _VALIDATIONS and reply.status in _DECIDED:
                self.validated.add(mark)
            elif mark is not None and kind is RequestKind.RECORD and reply.status == 200:
                entry = _decoded(reply.body).get("playbook_id")
                if isinstance(entry, str):
                    self.recorded[mark] = entry
                    self._recorded_at[mark] = self.clock()
            elif reply.status >= 500:
                self.refused += 1

    def api_is_killed(self) -> None:
        """Note that the API is being killed."""
        with self._lock:
            self._kills.append(self.clock())

    def cut_off(self) -> Counter[str]:
        """How many records of each entry were acknowledged so shortly before a kill that their lines may not be there.

        A record is acknowledged when it is durable in the memory log. Its line in the event log is written beside that,
        and synced by nobody: what a killed process had not written yet is gone.
        """
        near = (m for m, at in self._recorded_at.items() if any(-_AFTER_S < k - at < _BESIDE_S for k in self._kills))
        return Counter(self.recorded[mark] for mark in near)


@dataclass(slots=True)
class Stored:
    """What is found in the end.

    Attributes:
        validations: How often each mark is in a line of a validation.
        lines: How often each run is in a line of any stream.
        told: How many lines of records each entry has.
        operations: How often each operation is in the memory log.
        records: How many operations of records have each mark.
        written: How many operations of records each entry has.
        merged: Entries that became part of another one, each with that one: twins are, whoever recorded them.
        served: How often each entry is among those that the service answers from.
    """

    validations: Counter[str] = field(default_factory=Counter)
    lines: Counter[str] = field(default_factory=Counter)
    told: Counter[str] = field(default_factory=Counter)
    operations: Counter[str] = field(default_factory=Counter)
    records: Counter[str] = field(default_factory=Counter)
    written: Counter[str] = field(default_factory=Counter)
    merged: dict[str, str] = field(default_factory=dict)
    served: Counter[str] = field(default_factory=Counter)

    def read_line(self, line: Mapping[str, Any]) -> None:
        """Count a line of the streams `validations` or `playbook_events`."""
        self.lines[str(line["run_id"])] += 1
        for mark in _MARK.findall(str(line.get("input_text", ""))):
            self.validations[mark] += 1
        if line.get("action") == "record":
            self.told[str(line["playbook_id"])] += 1

    def read_operation(self, operation: Mapping[str, Any], ledger: Ledger) -> None:
        """Count an operation of the memory log; one that is void closes a place, and is none."""
        if operation.get("void"):
            return
        self.operations[str(operation["op_id"])] += 1
        payload = operation["payload"]
        if operation["op"] == "merge":
            self.merged[str(payload["playbook_id"])] = str(payload["into"])
        if operation["op"] != "record":
            return
        self.written[str(payload["playbook_id"])] += 1
        for tag in payload.get("tags", ()):
            if tag.startswith(f"{ledger.mark}-"):
                self.records[tag] += 1

    def serves(self, entry: str) -> bool:
        """Whether an entry is served, by itself or in the one that it became part of."""
        seen = set()
        while entry in self.merged and entry not in seen:
            seen.add(entry)
            entry = self.merged[entry]
        return entry in self.served


def witnessed(scenarios: Iterable[Scenario], ledger: Ledger) -> Iterator[Scenario]:
    """The same scenarios, each request that changes something marked and each answer noted."""
    for scenario in scenarios:
        yield Scenario(scenario.kind, scenario.requests, _witness(scenario.steps, ledger))


def mark_artifact(body: bytes, mark: str) -> bytes:
    """A validation's body with the mark in its artifact."""
    document = orjson.loads(body)
    document["artifact"] = {**document["artifact"], MARK_FIELD: mark}
    return orjson.dumps(document)


def mark_record(body: bytes, mark: str) -> bytes:
    """A record's body with the mark among its tags."""
    document = orjson.loads(body)
    document["tags"] = [*document["tags"], mark]
    return orjson.dumps(document)


def losses(ledger: Ledger, stored: Stored) -> list[str]:
    """What is wrong: acknowledged and lost, or doubled, or never asked for; empty when all is well."""
    entries, cut_off = Counter(ledger.recorded.values()), ledger.cut_off()
    found: list[tuple[str, str, str, Collection[str]]] = [
        ("acknowledged validation", "has", "no line", ledger.validated - stored.validations.keys()),
        ("validation", "has", "more than one line", _doubled(stored.validations)),
        ("line", "is", "of validations that nobody asked for", stored.validations.keys() - ledger.asked),
        ("acknowledged record", "is", "not in the memory log", ledger.recorded.keys() - stored.records.keys()),
        ("record", "is", "in the memory log more than once", _doubled(stored.records)),
        ("operation", "is", "of records that nobody asked for", stored.records.keys() - ledger.asked),
        ("acknowledged entry", "is", "not served", [one for one in entries if not stored.serves(one)]),
        ("entry", "is", "served more than once", _doubled(stored.served)),
        (
            "entry",
            "has",
            "fewer lines than acknowledged records",
            [one for one, n in entries.items() if stored.told[one] < n - cut_off[one]],
        ),
        ("entry", "has", "more lines than records", [one for one, n in stored.told.items() if n > stored.written[one]]),
        ("run id", "is", "in more than one line", _doubled(stored.lines)),
        ("operation", "is", "in the memory log more than once", _doubled(stored.operations)),
    ]
    wrong = [f"{counted(len(ids), noun, verb)} {what}, such as {min(ids)}" for noun, verb, what, ids in found if ids]
    if not ledger.validated or not ledger.recorded:
        wrong.append("nothing was acknowledged, so that nothing is shown")
    return wrong


def lines_cut_off(ledger: Ledger, stored: Stored) -> int:
    """How many lines of acknowledged records are not there; `losses` tells of those that no kill explains."""
    entries = Counter(ledger.recorded.values())
    return sum(max(0, n - stored.told[entry]) for entry, n in entries.items())


def _witness(steps: Steps, ledger: Ledger) -> Steps:
    try:
        ask = next(steps)
        while True:
            marking = _MARKING.get(ask.kind)
            mark = None if marking is None else ledger.next_mark()
            if marking is not None and mark is not None:
                ask = Ask(ask.kind, ask.path, marking(ask.body, mark), ask.method)
            reply = yield ask  # closed here, nothing was answered: it may be there or not
            ledger.heard(mark, ask.kind, reply)
            ask = steps.send(reply)
    except StopIteration:
        return
    finally:
        steps.close()


_MARKING: Mapping[RequestKind, Callable[[bytes, str], bytes]] = {
    **dict.fromkeys(_VALIDATIONS, mark_artifact),
    RequestKind.RECORD: mark_record,
}


def _doubled(counts: Counter[str]) -> set[str]:
    return {one for one, count in counts.items() if count > 1}


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        return dict(msgspec.json.decode(body))
    except (msgspec.DecodeError, TypeError, ValueError):
        return {}
