"""A replay runs in a child process, as its model and its memory as of a cut must not burden the API.

Belongs here: both sides of the talk (see child_talk.py for how). Not here: replaying (see replay_batches.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lakehouse.adapters.child_talk import answer_parent, ask_child, tell
from lakehouse.counted import counted
from lakehouse.errors import BadInput
from lakehouse.replay.row import outcome_text
from lakehouse.settings import load_settings

if TYPE_CHECKING:
    from lakehouse.adapters.replay_batches import Replays
    from lakehouse.replay.batch import Unit
    from lakehouse.replay.task import ReplayTask
    from lakehouse.settings import Settings

_MODULE = "lakehouse.adapters.replay_child"
_NO_TASKS = (
    "evidence has no task whose right answer is known; report outcomes (POST /v1/outcomes), then"
    " `lakehouse materialize` and `lakehouse score`, or give tasks as a file"
)


@dataclass(frozen=True, slots=True)
class ReplayOrder:
    """A replay that is to begin.

    Attributes:
        batch_id: Of the new batch.
        by: Who begins it.
        most: Most tasks.
        arms: YAML, as `read_arms` takes it; None: those of the platform.
        names: Of these arms only; empty: all.
        baseline: The arm that others are held against; None: that of the arms.
        tasks: JSON lines, as `read_tasks` takes them; None: those of evidence.
    """

    batch_id: str
    by: str
    most: int
    arms: str | None = None
    names: tuple[str, ...] = ()
    baseline: str | None = None
    tasks: str | None = None


@dataclass(frozen=True, slots=True)
class ReplayedBatch:
    """How a replay ended; without a verdict it stopped before all was asked, by `stopped_by`."""

    batch_id: str
    verdict: str | None
    reasons: tuple[str, ...]
    stopped_by: str | None


OnAnswer = Callable[[int, int, str], None]
"""Told of each answer: how many there are, of how many, and how it was."""


async def replay_in_child(order: ReplayOrder | str, *, on_answer: OnAnswer) -> ReplayedBatch:
    """Begin a replay, or go on with a batch, and wait for its end.

    Args:
        order: What is to begin, or the id of the batch to go on with.
        on_answer: Told of each answer.

    Raises:
        BadInput: The replay was refused; the message says why.
        Unavailable: The child ended without a word; what was answered is kept.
    """
    document: dict[str, Any] = {"resume": order} if isinstance(order, str) else {"begin": _document(order)}

    def said(line: dict[str, Any]) -> None:
        on_answer(line["at"], line["of"], line["said"])

    done = await ask_child(_MODULE, document, on_said=said)
    return ReplayedBatch(done["batch_id"], done["verdict"], tuple(done["reasons"]), done["stopped_by"])


def _document(order: ReplayOrder) -> dict[str, Any]:
    return {name: getattr(order, name) for name in ReplayOrder.__dataclass_fields__}


def _work(document: Mapping[str, Any]) -> dict[str, Any]:
    from lakehouse.adapters.connect import connect_store, read_location
    from lakehouse.adapters.promotion_proposals import Proposals
    from lakehouse.adapters.replay_batches import Replays

    settings = load_settings()
    objects = connect_store(settings)
    proposals = Proposals(settings, objects, read_location(settings), work_dir=settings.data_dir / "tmp" / "replays")
    replays = Replays(settings, objects, shared_tasks=proposals.shared_tasks)
    if "resume" in document:
        return asyncio.run(_resume(replays, document["resume"]))
    order = ReplayOrder(**{**document["begin"], "names": tuple(document["begin"]["names"])})
    return asyncio.run(_begin(settings, replays, order))


async def _begin(settings: Settings, replays: Replays, order: ReplayOrder) -> dict[str, Any]:
    from lakehouse.adapters.replay_batches import Asked
    from lakehouse.replay.arms import default_arms, read_arms

    read = default_arms() if order.arms is None else read_arms(order.arms, name="the arms")
    arms = [arm for arm in read.arms if not order.names or arm.name in order.names]
    baseline = order.baseline or (read.baseline if not order.names or read.baseline in order.names else arms[0].name)
    tasks = await asyncio.to_thread(_tasks, settings, replays, order)
    asked = Asked(tasks, arms, baseline, batch_id=order.batch_id, by=order.by)
    tell(at=0, of=len(tasks) * len(arms), said=f"{counted(len(tasks), 'task')} under {len(arms)} arms")
    return _told(await replays.begin(asked, on_row=_Answers(len(tasks) * len(arms))))


async def _resume(replays: Replays, batch_id: str) -> dict[str, Any]:
    batch = await asyncio.to_thread(replays.store.read, batch_id)
    done, all_units = await asyncio.to_thread(replays.store.done, batch_id), sum(1 for _ in batch.units())
    tell(at=len(done), of=all_units, said=f"{len(done):,} answers are there")
    return _told(await replays.resume(batch_id, on_row=_Answers(all_units, at=len(done))))


def _tasks(settings: Settings, replays: Replays, order: ReplayOrder) -> list[ReplayTask]:
    from lakehouse.adapters.connect import read_location
    from lakehouse.adapters.replay_tasks import past_tasks
    from lakehouse.replay.task import read_tasks

    if order.tasks is not None:
        return read_tasks(order.tasks.encode().splitlines(), name="the tasks")[: order.most]
    work_dir = settings.data_dir / "tmp" / "replays"
    found = past_tasks(replays.store.objects, read_location(settings), work_dir=work_dir, most=order.most)
    if not found:
        raise BadInput(_NO_TASKS)
    return found


class _Answers:
    """Tells the parent of each answer."""

    def __init__(self, of: int, *, at: int = 0) -> None:
        self._at, self._of = at, of

    def __call__(self, unit: Unit, row: Mapping[str, Any]) -> None:
        self._at += 1
        tell(at=self._at, of=self._of, said=f"{row['task_id']}, {unit.arm}: {outcome_text(row)}"[:500])


def _told(done: Any) -> dict[str, Any]:
    verdict = done.verdict or {}
    return {
        "batch_id": done.batch.batch_id,
        "verdict": verdict.get("verdict"),
        "reasons": list(verdict.get("reasons", [])),
        "stopped_by": None if done.report is None else done.report.stopped_by,
    }


if __name__ == "__main__":
    answer_parent(_work)
