"""Fold-back: what went well, and what did not, becomes memory that the next search and the next answer use.

What memory should hold of the runs there are is compared with what was put into it: what is new is recorded, what is no
more so is withdrawn. Doing it twice changes nothing.

Belongs here: entries, the memory's Protocol, the comparison. Not here: finding them in evidence (see
lakehouse/adapters/fold_back.py), the memory itself (an API, see lakehouse/client/fold_back_memory.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol, TypeAlias

import orjson

from lakehouse.pathway.shape import shape_tag

Kind: TypeAlias = Literal["playbook", "pathway"]
TAG = "fold-back"
WITHDRAWN = "the run it came from is no longer accepted"


@dataclass(frozen=True, slots=True)
class FoldEntry:
    """One thing that memory should hold of a run.

    Attributes:
        kind: `playbook`: a record answers a task well or badly; `pathway`: how a task was answered.
        run_id: The run.
        task: What was asked.
        score: From -1 to 1; 1 for a pathway.
        answer_id: The record, of a playbook entry.
        answer_corpus: Its corpus.
        answer: What was answered, of a pathway.
        records: The records that the model was shown for it, as lines, of a pathway.
        shape: The task's shape (lakehouse/pathway/shape.py), of a pathway.
    """

    kind: Kind
    run_id: str
    task: str
    score: float
    answer_id: str = ""
    answer_corpus: str = ""
    answer: str = ""
    records: str = ""
    shape: str = ""

    @property
    def entry_id(self) -> str:
        """The same for the same run and record, whatever is said of it: SHA-256 hex, cut to 32."""
        said = [self.kind, self.run_id, self.answer_corpus, self.answer_id]
        return hashlib.sha256(orjson.dumps(said)).hexdigest()[:32]

    @property
    def content_sha256(self) -> str:
        """Another one when something else is said."""
        example = [self.records, self.shape] if self.is_example else []
        return hashlib.sha256(orjson.dumps([self.task, self.score, self.answer, *example])).hexdigest()

    @property
    def is_example(self) -> bool:
        """Whether all is known that a worked example shows."""
        return bool(self.records and self.shape)

    @property
    def tags(self) -> list[str]:
        """That it was folded back, from which run, and the shape of a worked example."""
        return [TAG, f"run:{self.run_id}"[:256], *([shape_tag(self.shape)] if self.is_example else [])]


@dataclass(frozen=True, slots=True)
class Folded:
    """An entry that memory holds; `is_own`: it is there because of this entry alone."""

    entry: FoldEntry
    memory_id: str
    is_own: bool


class Memory(Protocol):
    """Where entries go; raises `Unavailable` when it cannot be reached, and nothing of that call counts then."""

    def record(self, entries: Sequence[FoldEntry]) -> Sequence[str | None]:
        """Record playbook entries, each under its `entry_id`; gives their ids, None for one that was refused."""
        ...

    def add(self, entry: FoldEntry, *, since: datetime) -> tuple[str, bool] | None:
        """Add a pathway; gives its uid and whether it is a trace of its own. None: it was refused.

        Args:
            entry: The pathway.
            since: Nobody has said since then what was put. A trace that was made since and names the entry's run was
                made of it, by a call whose answer was lost or a fold-back that was killed.
        """
        ...

    def retire(self, uid: str, reason: str) -> None:
        """Take a pathway out of searches; one that is not there is no error."""
        ...


@dataclass(frozen=True, slots=True)
class FoldPlan:
    """What is to be done.

    Attributes:
        put: Entries that are new or say something else now.
        withdraw: Those that are no more so.
        again: Those that stay, and whose trace goes with one that is withdrawn: they get another one.
    """

    put: tuple[FoldEntry, ...]
    withdraw: tuple[Folded, ...]
    again: tuple[FoldEntry, ...] = ()


def plan(wanted: Iterable[FoldEntry], done: Mapping[str, Folded]) -> FoldPlan:
    """Compare what memory should hold with what was put into it.

    Args:
        wanted: What it should hold.
        done: What was put into it, by `entry_id`.
    """
    by_id = {entry.entry_id: entry for entry in wanted}
    put = [
        entry
        for entry_id, entry in by_id.items()
        if entry_id not in done or done[entry_id].entry.content_sha256 != entry.content_sha256
    ]
    withdraw = [folded for entry_id, folded in done.items() if entry_id not in by_id]
    is_put = {entry.entry_id for entry in put}
    # What else retires a trace: its own entry says something else now.
    replaced = [done[entry_id] for entry_id in is_put if entry_id in done]
    retired = {one.memory_id for one in (*withdraw, *replaced) if one.entry.kind == "pathway" and one.is_own}
    again = [
        by_id[entry_id]
        for entry_id, folded in done.items()
        if entry_id in by_id and entry_id not in is_put and folded.memory_id in retired
    ]
    return FoldPlan(_in_order(put), tuple(sorted(withdraw, key=lambda one: one.entry.entry_id)), _in_order(again))


def _in_order(entries: Iterable[FoldEntry]) -> tuple[FoldEntry, ...]:
    return tuple(sorted(entries, key=lambda entry: entry.entry_id))


def content_of(entry: FoldEntry) -> dict[str, Any]:
    """What a pathway says; a worked example also what it was answered from, and how the task was asked."""
    example = {"records": entry.records, "shape": entry.shape} if entry.is_example else {}
    return {"task": entry.task, "answer": entry.answer, **example}
