"""Replays of one bucket: begun, gone on with, and ended with a verdict.

Belongs here: the order of a batch's life. Not here: its parts (see replay_loop.py, replay_store.py, replay_lease.py),
options and output (see lakehouse_cli/replay_commands.py).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from lakehouse.adapters.promotion_proposals import rivals_of
from lakehouse.adapters.replay_lease import HeldBatch, held
from lakehouse.adapters.replay_loop import ReplayLoop, open_loop
from lakehouse.adapters.replay_store import JUDGE, MARKDOWN, VERDICT, VERDICT_TEXT, ReplayStore, tasks_bytes
from lakehouse.catalog.manifest import format_utc, parse_utc
from lakehouse.catalog.service import Catalog
from lakehouse.clock import new_id, utc_now
from lakehouse.errors import BadInput, Gone
from lakehouse.promotion.rules import PromotionRules, default_rules
from lakehouse.receipts.receipt import Receipt, ReceiptCounts, ReceiptItem, write_receipt
from lakehouse.replay.arms import Arm, ResolvedArm, resolve, searched_corpora
from lakehouse.replay.batch import Batch, Unit, check_batch_id
from lakehouse.replay.cut import Cut
from lakehouse.replay.row import is_done
from lakehouse.replay.runner import RunReport, run_units
from lakehouse.replay.task import ReplayTask
from lakehouse.replay.verdict import decide_batch, runs_of, verdict_json, verdict_text
from lakehouse.retrieval.config_store import ConfigStore, ConfigVersion

if TYPE_CHECKING:
    from lakehouse.adapters.objects import S3ObjectStore
    from lakehouse.settings import Settings

OnRow = Callable[[Unit, Mapping[str, Any]], None]
SharedTasks = Callable[[str | None, Sequence[ReplayTask]], int]
"""How many of some tasks a proposal was made of."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a batch is to do.

    Attributes:
        tasks: What is asked.
        arms: Under what.
        baseline: The arm that others are held against.
        candidate: The arm that the verdict is about; None: the last one that is not the baseline.
        as_of: What is read; None: what there is now.
        seed: Asked of models.
        batch_id: None: a new one.
        by: Who begins it.
        proposal_id: What is tried.
    """

    tasks: Sequence[ReplayTask]
    arms: Sequence[Arm]
    baseline: str
    candidate: str | None = None
    as_of: Cut | None = None
    seed: int = 0
    batch_id: str | None = None
    by: str = "operator"
    proposal_id: str | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """Where a batch stands; `verdict` is None while rows are left, `report` where nothing had to be asked."""

    batch: Batch
    report: RunReport | None
    verdict: Mapping[str, Any] | None


class Replays:
    """The replays of one bucket.

    Args:
        settings: Models, embedders, memory, and how a replay goes on.
        objects: The bucket.
        shared_tasks: Of a proposal.
        rules: Those that decide.
        clock: The time now, aware.
    """

    def __init__(
        self,
        settings: Settings,
        objects: S3ObjectStore,
        *,
        shared_tasks: SharedTasks = lambda _, __: 0,
        rules: PromotionRules | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.store = ReplayStore(objects)
        self.settings = settings
        self._objects = objects
        self._shared_tasks = shared_tasks
        self._rules = rules or default_rules()
        self._clock = clock
        self._catalog = Catalog(objects, history=timedelta(days=settings.history_days))
        self._configs = ConfigStore(objects)

    async def begin(self, asked: Asked, *, on_row: OnRow = lambda _, __: None) -> Done:
        """Begin a batch and run it; nothing is written before all of it can be had.

        Raises:
            BadInput: An arm, the cut or a task is wrong.
            Gone: The cut is older than the history.
            NotFound: A corpus, a model or a config's version is unknown.
            Conflict: There is such a batch.
            StoreUnavailable: The store does not answer.
        """
        arms = await asyncio.to_thread(lambda: tuple(self._resolved(arm) for arm in asked.arms))
        candidate = _candidate(asked)
        batch_id = check_batch_id(asked.batch_id or f"r-{new_id()}")
        now = self._clock()
        corpora = searched_corpora((name for task in asked.tasks for name in task.corpora), arms)
        loop = open_loop(
            self.settings, self._objects, self._catalog, arms=arms, corpora=corpora, as_of=asked.as_of,
            seed=asked.seed, now=now,
        )  # fmt: skip
        async with loop as opened:
            batch = Batch(
                batch_id=batch_id,
                created_at=format_utc(now),
                by=asked.by,
                baseline=asked.baseline,
                candidate=candidate,
                arms=arms,
                tasks=len(asked.tasks),
                tasks_sha256=hashlib.sha256(tasks_bytes(asked.tasks)).hexdigest(),
                cut=opened.cut,
                entries=dict(opened.entries),
                seed=asked.seed,
                stop_after=self.settings.replay_stop_after,
                proposal_id=asked.proposal_id,
            )
            await asyncio.to_thread(self.store.create, batch, asked.tasks)
            async with held(self._objects, batch_id, lease_s=self.settings.replay_lease_s) as holding:
                return await self._go(batch, list(asked.tasks), opened, holding, on_row)

    async def resume(self, batch_id: str, *, on_row: OnRow = lambda _, __: None) -> Done:
        """Go on where a batch stopped; one that has its verdict is told and not touched.

        Raises:
            NotFound: There is no such batch.
            Conflict: Another process is at it.
            Gone: What it reads is not there any more, or memory that it reads was erased or came late.
            BadInput, StoreUnavailable: As `begin`.
        """
        batch = await asyncio.to_thread(self.store.read, batch_id)
        tasks = await asyncio.to_thread(self.store.tasks, batch)
        for arm in batch.arms:
            arm.check()
        async with held(self._objects, batch_id, lease_s=self.settings.replay_lease_s) as holding:
            verdict = await asyncio.to_thread(self.store.document, batch_id, VERDICT)
            if verdict is not None:
                return Done(batch, None, verdict)
            async with self.opened(batch, tasks) as loop:
                return await self._go(batch, tasks, loop, holding, on_row)

    @asynccontextmanager
    async def opened(self, batch: Batch, tasks: Sequence[ReplayTask]) -> AsyncIterator[ReplayLoop]:
        """What answers a batch that was begun before, as of its cut.

        Raises:
            Gone: The memory that it reads has changed.
        """
        corpora = searched_corpora((name for task in tasks for name in task.corpora), batch.arms)
        loop = open_loop(
            self.settings, self._objects, self._catalog, arms=batch.arms, corpora=corpora, as_of=batch.cut,
            seed=batch.seed, now=parse_utc(batch.created_at),
        )  # fmt: skip
        async with loop as opened:
            for log, entries in batch.entries.items():
                if opened.entries.get(log) != entries:
                    raise Gone(
                        f"the memory log {log!r} had {entries:,} entries as of batch {batch.batch_id!r} and has"
                        f" {opened.entries.get(log, 0):,} now: some were erased, or came late; begin another batch"
                    )
            yield opened

    def conclude(self, batch: Batch, tasks: Sequence[ReplayTask], *, started_at: datetime) -> dict[str, Any]:
        """Write what a batch ends with: its runs, the raw lines that are still missing, the verdict, the receipt."""
        runs = self.store.write_runs(batch, self.store.rows(batch))
        self.store.log_rest(batch, self.store.rows(batch), tasks)
        verdict = self.decide(batch, tasks)
        receipt = Receipt(
            asset="replay",
            partition=batch.batch_id,
            run_id=new_id(),
            code_version=f"lakehouse-{version('lakehouse')}",
            git_commit="",
            started_at=started_at,
            ended_at=self._clock(),
            inputs=(ReceiptItem(batch.tasks_key, batch.tasks_sha256, batch.tasks),),
            outputs=(runs,),
            counts=ReceiptCounts(taken=runs.rows or 0, new=runs.rows or 0, out=runs.rows or 0),
        )
        write_receipt(self._objects, receipt)
        return verdict

    def decide(self, batch: Batch, tasks: Sequence[ReplayTask], rules: PromotionRules | None = None) -> dict[str, Any]:
        """Write the verdict of the rows there are, under these rules; over one that is there."""
        judge = self.store.document(batch.batch_id, JUDGE)
        document = decide_batch(
            batch,
            runs_of(self.store.rows(batch)),
            rules or self._rules,
            shared_tasks=self._shared_tasks(batch.proposal_id, tasks),
            proposals=rivals_of(self._objects, batch.proposal_id),
            not_as_asked=sum(task.as_asked is False for task in tasks),
            judged=None if judge is None else judge["facts"],
        )
        self.store.write(batch.batch_id, VERDICT_TEXT, verdict_text(document).encode(), content_type=MARKDOWN)
        self.store.write(batch.batch_id, VERDICT, verdict_json(document))
        return document

    async def _go(
        self, batch: Batch, tasks: list[ReplayTask], loop: ReplayLoop, holding: HeldBatch, on_row: OnRow
    ) -> Done:
        started_at = self._clock()
        done = await asyncio.to_thread(self.store.done, batch.batch_id)
        failed = await asyncio.to_thread(self.store.failed, batch.batch_id)
        await asyncio.to_thread(self.store.log_whole, batch, done)

        async def keep(unit: Unit, row: Mapping[str, Any]) -> None:
            await holding.require()
            had_failed = unit in failed
            await asyncio.to_thread(self.store.keep, batch, unit, row, is_done=is_done(row), had_failed=had_failed)
            if is_done(row):
                done.add(unit)
                if batch.is_whole(unit.task, done):
                    await asyncio.to_thread(self.store.log_task, batch, unit.task)
            on_row(unit, row)

        report = await run_units(batch, tasks, batch.left(done), ask=loop.ask, keep=keep, clock=self._clock)
        if report.stopped_by is not None:
            return Done(batch, report, None)
        await holding.require()
        verdict = await asyncio.to_thread(self.conclude, batch, tasks, started_at=started_at)
        return Done(batch, report, verdict)

    def _resolved(self, arm: Arm) -> ResolvedArm:
        return resolve(arm, self._version_of)

    def _version_of(self, name: str, number: int | None) -> ConfigVersion:
        return self._configs.live(name) if number is None else self._configs.get(name, number)


def _candidate(asked: Asked) -> str:
    names = [arm.name for arm in asked.arms]
    others = [name for name in names if name != asked.baseline]
    if asked.baseline not in names or not others:
        raise BadInput(f"a replay has a baseline and another arm; there are {', '.join(names) or 'none'}")
    candidate = asked.candidate or others[-1]
    if candidate not in others:
        raise BadInput(f"the candidate {candidate!r} is none of the arms {', '.join(others)}", field="candidate")
    return candidate
