"""The replay of a night: the oldest proposal that nobody has tried, else the platform's arms on the latest tasks.

A batch has the id of what it tries, so that of two schedulers one wins, and the next night continues one that was cut
off.

Belongs here: what is chosen, what follows from the verdict. Not here: batches (see replay_batches.py), when it is done
(see jobs/replay.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import structlog

from lakehouse.adapters.promotion import Promotions
from lakehouse.adapters.promotion_proposals import Proposals
from lakehouse.adapters.replay_batches import Asked, Done, Replays
from lakehouse.adapters.replay_store import ABANDONED, VERDICT
from lakehouse.adapters.replay_tasks import past_tasks
from lakehouse.catalog.manifest import format_utc
from lakehouse.clock import utc_now
from lakehouse.errors import BadInput, Gone, NotFound, Unavailable
from lakehouse.promotion.proposals import Proposal
from lakehouse.promotion.rules import default_rules, least_tasks
from lakehouse.replay.arms import CURRENT, default_arms
from lakehouse.replay.task import ReplayTask

if TYPE_CHECKING:
    from lakehouse.adapters.objects import S3Location, S3ObjectStore
    from lakehouse.settings import Settings

BY = "nightly"
_log = structlog.get_logger("lakehouse.replay")


@dataclass(frozen=True, slots=True)
class Night:
    """What a night brought: its batch and verdict, what was promoted; `skipped` says why there is none."""

    batch_id: str | None = None
    verdict: Mapping[str, Any] | None = None
    proposed: int = 0
    promoted: Mapping[str, Any] | None = None
    skipped: str | None = None


class NightlyReplay:
    """The nightly replay of one bucket.

    Args:
        settings: How many tasks, and whether verdicts promote by themselves.
        objects: The bucket.
        location: The bucket's address with read-only keys, for query engines.
        work_dir: Local folder that query engines may spill to.
        clock: The time now, aware.
    """

    def __init__(
        self,
        settings: Settings,
        objects: S3ObjectStore,
        location: S3Location,
        *,
        work_dir: Path,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.promotions = Promotions(objects, location, work_dir=work_dir, clock=clock)
        self._proposals = Proposals(settings, objects, location, work_dir=work_dir)
        self._replays = Replays(settings, objects, shared_tasks=self._proposals.shared_tasks, clock=clock)
        self._settings = settings
        self._objects = objects
        self._location = location
        self._work_dir = work_dir
        self._clock = clock

    async def run(self) -> Night:
        """Try what is there to be tried.

        Raises:
            Unavailable: A provider failed again and again; the next night goes on.
            Conflict: Another process is at it.
            LakehouseError: As a replay.
        """
        proposed = len(self._proposals.propose())
        open_batch = self._open_batch()
        if open_batch is not None:
            try:
                return self._ended(await self._replays.resume(open_batch), proposed)
            except (BadInput, Gone, NotFound) as error:  # it can never go on: its data or its configs are gone
                self._abandon(open_batch, error.detail)
        if not self._settings.replay_nightly_tasks:
            return Night(proposed=proposed, skipped="LAKEHOUSE_REPLAY_NIGHTLY_TASKS is 0: none is tried")
        tasks = past_tasks(
            self._objects, self._location, work_dir=self._work_dir, most=self._settings.replay_nightly_tasks,
            side="held_out",
        )  # fmt: skip
        if not tasks:
            return Night(proposed=proposed, skipped="evidence has no held-out task whose right answer is known")
        # No rule promotes on fewer tasks, and a proposal is tried only once, so it waits until there are enough tasks.
        for untried in self._untried() if len(tasks) >= least_tasks(default_rules()) else ():
            try:
                done = await self._replays.begin(self._trial_of(untried, tasks))
            except (BadInput, NotFound) as error:  # it cannot be tried now, as when its model is gone; others may
                _log.warning("proposal_not_tried", proposal=untried.proposal_id, reason=error.detail)
                continue
            return self._ended(done, proposed)
        usual = default_arms()
        batch_id = f"nightly-{self._clock():%Y-%m-%d}"
        known = self._replays.store.document(batch_id, VERDICT)
        if known is not None:
            return Night(batch_id, known, proposed, skipped="the replay of today is done, and nothing else waits")
        asked = Asked(tasks, usual.arms, usual.baseline, batch_id=batch_id, by=BY)
        return self._ended(await self._replays.begin(asked), proposed)

    def _trial_of(self, untried: Proposal, tasks: list[ReplayTask]) -> Asked:
        arms = self._proposals.arms_of(untried)
        return Asked(tasks, arms, CURRENT, batch_id=_batch_of(untried), by=BY, proposal_id=untried.proposal_id)

    def _untried(self) -> list[Proposal]:
        there = set(self._replays.store.batches())
        over = self._proposals.over()
        return [one for one in self._proposals.all() if one.over == over and _batch_of(one) not in there]

    def _open_batch(self) -> str | None:
        """A batch of an earlier night that has no verdict yet."""
        store = self._replays.store
        for batch_id in store.batches():
            is_ours = batch_id.startswith(("nightly-", "try-"))
            if not is_ours or any(store.document(batch_id, name) is not None for name in (VERDICT, ABANDONED)):
                continue
            try:
                if store.read(batch_id).by == BY:
                    return batch_id
            except BadInput as error:
                self._abandon(batch_id, error.detail)
        return None

    def _abandon(self, batch_id: str, reason: str) -> None:
        _log.warning("replay_abandoned", batch=batch_id, reason=reason)
        said = {"format_version": 1, "at": format_utc(self._clock()), "reason": reason}
        self._replays.store.write(batch_id, ABANDONED, orjson.dumps(said))

    def _ended(self, done: Done, proposed: int) -> Night:
        batch, verdict = done.batch, done.verdict
        if verdict is None:
            stopped = "" if done.report is None else done.report.stopped_by
            raise Unavailable(
                f"the replay {batch.batch_id!r} stopped: {stopped}; what was answered is kept, go on with: lakehouse"
                f" replay resume {batch.batch_id}",
                retry_after_s=600,
            )
        is_asked = verdict["verdict"] == "promote" and batch.proposal_id is not None
        promoted = None
        if is_asked and self._settings.promotion_automatic:
            promoted = self.promotions.promote(batch.batch_id, by=BY)
        return Night(batch.batch_id, verdict, proposed, promoted)


def _batch_of(proposal: Proposal) -> str:
    return f"try-{proposal.proposal_id}"
