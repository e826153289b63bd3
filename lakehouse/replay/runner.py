"""The order of a replay: what is left is asked, and each answer is kept before the next question.

Belongs here: the loop, what a failure means. Not here: asking (see lakehouse/adapters/replay_loop.py), keeping (see
lakehouse/adapters/replay_store.py).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lakehouse.answer.request import Answer
from lakehouse.clock import utc_now
from lakehouse.errors import LakehouseError, StoreUnavailable
from lakehouse.replay.arms import ResolvedArm
from lakehouse.replay.batch import Batch, Unit
from lakehouse.replay.row import answered_row, failed_row, is_done
from lakehouse.replay.task import ReplayTask

Ask = Callable[[ReplayTask, ResolvedArm], Awaitable[Answer]]
Keep = Callable[[Unit, Mapping[str, Any]], Awaitable[None]]
"""Makes a row durable; returns when it is."""


@dataclass(frozen=True, slots=True)
class RunReport:
    """What was done: rows that were answered, rows whose provider failed, and whether it ended before all was asked.

    Attributes:
        stopped_by: The failure after which nothing more was asked; None: all was.
    """

    answered: int
    failed: int
    stopped_by: str | None = None


async def run_units(
    batch: Batch,
    tasks: Sequence[ReplayTask],
    units: Sequence[Unit],
    *,
    ask: Ask,
    keep: Keep,
    clock: Callable[[], datetime] = utc_now,
) -> RunReport:
    """Ask what is left, one at a time: a model that is asked several things at once need not repeat itself.

    Args:
        batch: What it belongs to.
        tasks: All its tasks.
        units: What is left.
        ask: Answers.
        keep: Makes each row durable.
        clock: The time now, aware.

    Raises:
        StoreUnavailable: Rows cannot be kept, or what is asked for cannot be read; what was kept stays.
        Conflict: Another process has taken the batch over.
    """
    answered = failed = in_a_row = 0
    arms = {arm.name: arm for arm in batch.arms}
    for unit in units:
        task = tasks[unit.task]
        started_at = clock()
        try:
            answer = await ask(task, arms[unit.arm])
        except StoreUnavailable:
            raise
        except LakehouseError as error:
            row = failed_row(batch, unit, task, error, started_at=started_at, ended_at=clock())
        else:
            row = answered_row(batch, unit, task, answer, started_at=started_at, ended_at=clock())
        await keep(unit, row)
        if is_done(row):
            answered, in_a_row = answered + 1, 0
            continue
        failed, in_a_row = failed + 1, in_a_row + 1
        if in_a_row >= batch.stop_after:
            return RunReport(answered, failed, stopped_by=str(row["error"]["detail"]))
    return RunReport(answered, failed)
