"""A batch: which tasks are asked under which arms, as of which cut; and what of it is left to do.

Stored as `replay/<batch_id>/`:

    batch.json              this document, written once
    tasks.<sha256>.jsonl    the tasks, named by the first 16 digits of their SHA-256, which batch.json has
    rows/<task>.<arm>.json  a row for each task and arm, written once, when it is answered
    failed/<task>.<arm>.json  a row whose provider failed; it goes when the task is answered after all
    lease.json              who is at it
    runs.parquet, verdict.json, verdict.md   when all is done

A row is done when it was answered, or refused for a reason of its own; one whose provider failed is asked again by
whoever goes on, until the batch has its verdict.

Belongs here: the document, keys, what is left. Not here: rows (see row.py), the bucket (see
lakehouse/adapters/replay_store.py).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from lakehouse.errors import BadInput
from lakehouse.replay.arms import ResolvedArm, read_resolved
from lakehouse.replay.cut import Cut, parse_cut

PREFIX = "replay/"
FORMAT_VERSION = 1
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_ROW = re.compile(r"(\d{6})\.([a-z][a-z0-9_]{0,39})\.json")


@dataclass(frozen=True, slots=True, order=True)
class Unit:
    """One task under one arm: the number of the task in the batch, from 0, and the arm's name."""

    task: int
    arm: str

    @property
    def name(self) -> str:
        """The row's name in its folder."""
        return f"{self.task:06d}.{self.arm}.json"


@dataclass(frozen=True, slots=True)
class Batch:
    """What is asked of a replay, complete: with the bucket it is enough to go on.

    Attributes:
        batch_id: Its folder.
        created_at: ISO 8601, UTC.
        by: Who began it.
        baseline: The arm that others are held against.
        candidate: The arm that the verdict is about.
        arms: With their configs.
        tasks: How many.
        tasks_sha256: Of the file of tasks.
        cut: What is read.
        entries: Of each memory log, how many entries the cut has: erased or late ones show.
        seed: Asked of models.
        stop_after: So many failures of providers in a row end it for now.
        proposal_id: The proposal that is tried, if one is.
    """

    batch_id: str
    created_at: str
    by: str
    baseline: str
    candidate: str
    arms: tuple[ResolvedArm, ...]
    tasks: int
    tasks_sha256: str
    cut: Cut
    entries: Mapping[str, int]
    seed: int
    stop_after: int
    proposal_id: str | None = None

    @property
    def tasks_key(self) -> str:
        """Where its tasks lie."""
        return key_of(self.batch_id, f"tasks.{self.tasks_sha256[:16]}.jsonl")

    def arm(self, name: str) -> ResolvedArm:
        """An arm by its name.

        Raises:
            BadInput: There is none.
        """
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise BadInput(f"batch {self.batch_id!r} has no arm {name!r}; there are {', '.join(a.name for a in self.arms)}")

    def units(self) -> Iterator[Unit]:
        """All there is to do, in order: every arm of a task before the next task."""
        return (Unit(task, arm.name) for task in range(self.tasks) for arm in self.arms)

    def left(self, done: Collection[Unit]) -> list[Unit]:
        """What is left to do, in order."""
        return [unit for unit in self.units() if unit not in done]

    def is_whole(self, task: int, done: Collection[Unit]) -> bool:
        """Whether a task is done under all arms."""
        return all(Unit(task, arm.name) in done for arm in self.arms)

    def to_json(self) -> bytes:
        """The stored bytes."""
        document = {
            "format_version": FORMAT_VERSION,
            **{name: getattr(self, name) for name in Batch.__dataclass_fields__ if name not in {"arms", "cut"}},
            "arms": [arm.to_document() for arm in self.arms],
            "cut": self.cut.to_document(),
        }
        return orjson.dumps(document, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2)


def read_batch(body: bytes, *, key: str) -> Batch:
    """Read a stored batch.

    Raises:
        BadInput: It is damaged, or of a newer program.
    """
    try:
        document = orjson.loads(body)
        if document["format_version"] > FORMAT_VERSION:
            raise BadInput(f"{key!r} was written by a newer program; upgrade this one")
        values: dict[str, Any] = {name: document[name] for name in Batch.__dataclass_fields__}
        values["arms"] = tuple(read_resolved(arm) for arm in document["arms"])
        values["cut"] = parse_cut(document["cut"])
        return Batch(**values)
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{key!r} is not a batch of a replay ({error}); begin another one") from None


def check_batch_id(batch_id: str) -> str:
    """Return the id when a batch may bear it.

    Raises:
        BadInput: It may not.
    """
    if _ID.fullmatch(batch_id) is None or batch_id in RESERVED:
        raise BadInput(
            f"batch id {batch_id[:80]!r} is refused: lower-case letters, digits and hyphens, at most 64, and none of"
            f" {', '.join(sorted(RESERVED))}",
            field="batch_id",
        )
    return batch_id


RESERVED = frozenset({"proposals", "promotions"})
"""Folders beside those of batches."""


def key_of(batch_id: str, name: str) -> str:
    """Key of a file of a batch."""
    return f"{PREFIX}{check_batch_id(batch_id)}/{name}"


def unit_of(name: str) -> Unit | None:
    """The unit of a row's name; None for any other."""
    found = _ROW.fullmatch(name)
    return None if found is None else Unit(int(found[1]), found[2])


def raw_name(batch_id: str, task: int) -> str:
    """Name of the raw object that holds a task's lines."""
    return f"replay-{batch_id}-{task:06d}"


def compared(batch: Batch) -> list[str]:
    """The arms that are held against the baseline, in order."""
    return [arm.name for arm in batch.arms if arm.name != batch.baseline]
