"""Lineage in the API: answers found in a thread of its own, with what this process's memory holds of each run.

Belongs here: the thread, its lifetime, memory. Not here: finding (see lakehouse/adapters/lineage_reader.py), HTTP (see
routes/lineage.py).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from lakehouse.errors import Unavailable
from lakehouse.lineage.answer import Lineage, Memory, WithdrawnTrace
from lakehouse.lineage.memory_names import run_tag
from lakehouse.lineage.reference import Reference

if TYPE_CHECKING:
    from lakehouse.adapters.lineage_reader import LineageReader
    from lakehouse.pathway.book import PathwayBook
    from lakehouse.retrieval.playbook import PlaybookBook

_AT_ONCE = 2
_PATIENCE_S = 10.0


@dataclass(slots=True)
class Lineages:
    """What the route works with."""

    reader: LineageReader
    playbooks: PlaybookBook
    pathways: PathwayBook
    turns: anyio.Semaphore = field(default_factory=lambda: anyio.Semaphore(_AT_ONCE))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Close the reader at the end; it opens when it is first asked."""
        try:
            yield
        finally:
            await anyio.to_thread.run_sync(self.reader.close)

    async def find(self, asked: Reference) -> Lineage:
        """The lineage of what is asked for, and what is remembered of its runs.

        Raises:
            NotFound: There is no such thing.
            TimedOut: It took too long.
            Unavailable: Others ask, and no turn came; or the store does not answer.
        """
        try:
            with anyio.fail_after(_PATIENCE_S):
                await self.turns.acquire()
        except TimeoutError:
            raise Unavailable("others ask for lineage, too; try again", retry_after_s=5) from None
        try:
            return await anyio.to_thread.run_sync(self._find, asked)
        finally:
            self.turns.release()

    def _find(self, asked: Reference) -> Lineage:
        found = self.reader.find(asked)
        memories = self._memories([run.run_id for run in found.runs])
        runs = tuple(replace(run, memory=memory) for run, memory in zip(found.runs, memories, strict=True))
        return replace(found, runs=runs)

    def _memories(self, run_ids: Sequence[str]) -> list[Memory]:
        """What memory holds of runs: one pass over each book for all of them."""
        if not run_ids:
            return []
        playbooks = _tagged(run_ids, ((entry.playbook_id, entry.tags) for entry in self.playbooks.entries()))
        pathways = _tagged(run_ids, ((trace.uid, trace.tags) for trace in self.pathways.traces()))
        return [Memory(uids, ids, tuple(self._withdrawn(uids))) for uids, ids in zip(pathways, playbooks, strict=True)]

    def _withdrawn(self, uids: Iterable[str]) -> Iterator[WithdrawnTrace]:
        """Which of some traces give way, and to what."""
        for uid in uids:
            trace = self.pathways.get(uid)
            if trace is None or self.pathways.is_current(uid):
                continue
            by = self.pathways.successors(uid)
            if trace.is_retired:
                yield WithdrawnTrace(uid, "retired", trace.retired_at, trace.retired_reason, by)
            else:
                times = (made.created_at for made in map(self.pathways.get, by) if made is not None)
                since = min((at for at in times if at is not None), default=None)
                yield WithdrawnTrace(uid, "revised", since, None, by)


def _tagged(run_ids: Sequence[str], entries: Iterable[tuple[str, Iterable[str]]]) -> list[tuple[str, ...]]:
    """For each run the entries that bear its tag."""
    places = {run_tag(run_id): place for place, run_id in enumerate(run_ids)}
    found: list[list[str]] = [[] for _ in run_ids]
    for name, tags in entries:
        for tag in tags:
            if tag in places:
                found[places[tag]].append(name)
    return [tuple(names) for names in found]
