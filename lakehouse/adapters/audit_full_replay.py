"""Phase 7, live replay: a handful of past tasks run again, end to end, without memory and with it.

It is a replay as any other, by the code that answers `/v1/answer`, kept under `replay/<batch>` and told in the stream
`replay_runs`; how good the answers are is measured and judged elsewhere, since a handful says little. What fails the
phase is a task that could not be answered, and a model in this process that answers the same prompt otherwise.

Belongs here: which tasks, their runs, what is a pass. Not here: replaying (see replay_batches.py), verdicts (see
lakehouse/promotion).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lakehouse.adapters.replay_batches import Asked, Done, Replays
from lakehouse.adapters.replay_tasks import askable, past_tasks
from lakehouse.counted import counted
from lakehouse.replay.arms import Arm
from lakehouse.replay.cut import Cut
from lakehouse.replay.row import is_done

if TYPE_CHECKING:
    from lakehouse.adapters.audit_full_parts import AuditParts
    from lakehouse.audit.results import PhaseLedger
    from lakehouse.replay.task import ReplayTask

_TASKS = 5
_LOOKED_AT = 200
_COLD, _MEMORY = Arm("cold", playbook=False), Arm("memory", playbook=True, pathway=True)
_BY = "audit"
_RUN, _SAME = "past tasks run again", "the same input gives the same answer"
_EMBEDDED = "embedded"


def check_replay(parts: AuditParts, ledger: PhaseLedger) -> None:
    """Replay the latest tasks whose right answer is known, and one of them once more.

    Raises:
        LakehouseError: A task's corpus, the model or the memory cannot be had.
    """
    known = past_tasks(parts.store, parts.location, work_dir=parts.work_dir, most=_LOOKED_AT, is_gone_told=True)
    tasks = list(filter(askable(parts.store), known))[:_TASKS]
    if not tasks:
        gone = f"; what {counted(len(known), 'other', 'needs')} is gone" if known else ""
        for name in (_RUN, _SAME):
            ledger.skipped(name, f"evidence has no task whose right answer is known{gone}")
        return
    replays = Replays(parts.settings, parts.store)
    done = _replayed(replays, tasks)
    rows = list(replays.store.rows(done.batch))
    _judge_run(ledger, done, rows, tasks=len(tasks))
    _measure(ledger, rows)
    _ask_again(ledger, replays, tasks[0], rows, done.batch.cut)


def _replayed(replays: Replays, tasks: Sequence[ReplayTask], as_of: Cut | None = None) -> Done:
    asked = Asked(tasks, (_COLD, _MEMORY), _COLD.name, as_of=as_of, by=_BY)
    return asyncio.run(replays.begin(asked))


def _judge_run(ledger: PhaseLedger, done: Done, rows: Sequence[dict[str, Any]], *, tasks: int) -> None:
    faults = [f"{row['task_id']} under {row['arm']}: {row['error']['detail']}" for row in rows if row["error"]]
    if done.report is not None and done.report.stopped_by is not None:
        faults.append(f"the replay stopped: {done.report.stopped_by}")
    if not faults and done.verdict is None:
        faults.append("the replay has no verdict")
    ledger.judge(
        _RUN, faults, looked_at=f"{counted(tasks, 'task')} under 2 arms, batch {done.batch.batch_id}",
        remedy=f"lakehouse chat models; then: lakehouse replay resume {done.batch.batch_id}",
    )  # fmt: skip


def _measure(ledger: PhaseLedger, rows: Sequence[dict[str, Any]]) -> None:
    ledger.measured("rows", len(rows))
    for arm in (_COLD.name, _MEMORY.name):
        mine = [row for row in rows if row["arm"] == arm and is_done(row)]
        matched = [row["match"]["exact"] for row in mine if row["match"] is not None]
        if matched:
            ledger.measured(f"{arm}_exact_share", sum(matched) / len(matched))
        if mine:
            ledger.measured(f"{arm}_latency_ms", sum(row["latency_ms"] for row in mine) / len(mine))


def _ask_again(
    ledger: PhaseLedger, replays: Replays, task: ReplayTask, rows: Sequence[dict[str, Any]], cut: Cut
) -> None:
    """The first task once more as of the same cut; only a model in this process promises to repeat itself."""
    before = {row["arm"]: row for row in rows if row["task_id"] == task.task_id and row["provider"] == _EMBEDDED}
    if not before:
        ledger.skipped(_SAME, "no model in this process answered the first task; others promise no such thing")
        return
    again = {row["arm"]: row for row in replays.store.rows(_replayed(replays, [task], cut).batch)}
    ledger.judge(
        _SAME,
        [f"{task.task_id} under {arm} was answered otherwise" for arm, row in before.items()
         if again[arm]["answer"] != row["answer"]],
        looked_at=f"{len(before)} answers as of one cut",
        remedy="Something that answers depend on is not pinned by the cut; compare the two batches' rows in SQL",
    )  # fmt: skip
