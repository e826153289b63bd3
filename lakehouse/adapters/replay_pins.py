"""What a replay reads, pinned: datasets, corpora and memory as of a cut, whatever is written meanwhile.

A part that cannot be had as of its version is refused with the oldest version there is; nothing is taken from now in
its place.

Belongs here: opening each part at its version. Not here: the form of a cut (see lakehouse/replay/cut.py), what answers
from the parts (see replay_loop.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from lakehouse.adapters.lance_engine import LanceEngine
from lakehouse.adapters.lance_files import LanceFiles
from lakehouse.adapters.lance_table import LanceTable
from lakehouse.adapters.lance_tables import LanceTables
from lakehouse.catalog.snapshot import CatalogSnapshot
from lakehouse.errors import BadInput, Gone, NotFound, StoreUnavailable
from lakehouse.memory.entry import Entry, Order
from lakehouse.memory.hybrid_clock import physical_time
from lakehouse.replay.cut import split_revision
from lakehouse.retrieval.live_pointer import LivePointer
from lakehouse.retrieval.live_table import LiveTable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lakehouse.adapters.memory_log import MemoryLog
    from lakehouse.adapters.objects import S3ObjectStore
    from lakehouse.catalog.service import Catalog
    from lakehouse.memory.state import MemoryState
    from lakehouse.storage.objects import ObjectStore

DATASETS = ("workers", "client_blocks")
"""Datasets that validation reads."""


class PinnedTables(LanceTables):
    """The tables of a bucket, each at one revision.

    Args:
        objects: The bucket.
        revisions: By table.
    """

    def __init__(self, objects: S3ObjectStore, revisions: Mapping[str, str]) -> None:
        super().__init__(objects.location, objects)
        self._revisions = revisions

    def open(self, name: str) -> LanceTable | None:
        """A table as of its revision; None when the cut names no such table.

        Raises:
            Gone: That revision can be read no more.
            BadInput: There never was one.
        """
        revision = self._revisions.get(name)
        if revision is None:
            return None
        pointer = LivePointer(self._objects, name)
        return LanceTable(self._engine, pointer, pinned_table(self._engine, pointer, revision))


def pinned_table(engine: LanceEngine, pointer: LivePointer, revision: str) -> LiveTable:
    """What a table's pointer said at a revision.

    Raises:
        NotFound: There is no such table.
        Gone: It was rebuilt since, or the version was cleaned up; says the oldest there is.
        BadInput: There never was such a revision.
    """
    live = pointer.read()
    if live is None:
        raise NotFound(f"as_of names the table {pointer.name!r}, and there is none", table=pointer.name)
    generation, version = split_revision(revision)
    if (generation is not None and generation > live.generation) or (
        generation in {None, live.generation} and version > live.version
    ):
        raise BadInput(
            f"as_of names revision {revision} of table {pointer.name!r}; the newest is {live.revision}", field="as_of"
        )
    files = LanceFiles(engine, live.uri, live.key)
    there = {int(one["version"]) for one in files.at(live.version).versions()}
    if generation not in {None, live.generation} or version not in there:
        raise Gone(
            f"as_of names revision {revision} of table {pointer.name!r}, which is no longer kept: the oldest that can"
            f" be read is {live.generation:06d}.{min(there):012d}",
            oldest=f"{live.generation:06d}.{min(there):012d}",
        )
    dataset = files.at(version)
    return replace(live, version=version, rows=dataset.count_rows(), fragments=len(dataset.get_fragments()))


def table_revisions(objects: ObjectStore, names: Iterable[str]) -> dict[str, str]:
    """The revisions that serve now.

    Raises:
        NotFound: There is no such table.
    """
    found = {}
    for name in sorted(set(names)):
        live = LivePointer(objects, name).read()
        if live is None:
            raise NotFound(f"there is no corpus {name!r}; `lakehouse corpus list` names those there are", corpus=name)
        found[name] = live.revision
    return found


class PinnedCatalog:
    """A catalog that stands still: `Snapshots` of the roster.

    Args:
        catalog: The catalog.
        versions: By dataset; others are not there.
    """

    is_stale = False
    age_s = 0.0

    def __init__(self, catalog: Catalog, versions: Mapping[str, int]) -> None:
        manifests = {name: catalog.get(name, version=version) for name, version in sorted(versions.items())}
        self._snapshot = CatalogSnapshot(MappingProxyType(manifests), generation=1)

    def current(self) -> CatalogSnapshot:
        """The one there is."""
        return self._snapshot


def dataset_versions(catalog: Catalog) -> dict[str, int]:
    """The versions of the datasets that validation reads, of those that are there."""
    manifests = catalog.list().manifests
    return {name: manifests[name].version for name in DATASETS if name in manifests}


class StateAsOf:
    """A memory state that takes in the entries of a log up to an order, and knows what it was given.

    Args:
        state: What entries add up to.
        through: The last order that counts; None: all do.
        is_empty: None counts at all.
    """

    def __init__(self, state: MemoryState, through: Order | None, *, is_empty: bool = False) -> None:
        self._state = state
        self._through = through
        self._is_empty = is_empty
        self._taken: set[str] = set()
        self.oldest: Order | None = None
        self.newest: Order | None = None

    @property
    def entries(self) -> int:
        """How many entries count."""
        return len(self._taken)

    def apply(self, entries: Sequence[Entry]) -> None:
        """Take entries in; see `MemoryState`."""
        for entry in entries:
            self.oldest = entry.order if self.oldest is None else min(self.oldest, entry.order)
            self.newest = entry.order if self.newest is None else max(self.newest, entry.order)
        kept = [one for one in entries if not self._is_empty and (self._through is None or one.order <= self._through)]
        self._taken.update(entry.op_id for entry in kept)
        if kept:
            self._state.apply(kept)


def read_log(log: MemoryLog, state: StateAsOf, asked: str | None) -> str:
    """Read a memory log once, and let it go.

    Args:
        log: Feeds `state`.
        state: What is read.
        asked: The order of the cut; None: as of now.

    Returns:
        The order that was read through; empty: none.

    Raises:
        Gone: The order is older than the history; says the oldest there is.
        BadInput: It is newer than the newest.
        StoreUnavailable: The log cannot be read whole.
    """
    log.start()
    try:
        stats = log.stats()
    finally:
        log.stop()
    if not stats["is_replayed"] or stats["last_error"] or stats.get("missing_objects"):
        reason = stats["last_error"] or "objects of it are missing"
        raise StoreUnavailable(f"the memory log {log.table!r} cannot be read whole: {reason}", retry_after_s=5)
    if not asked:
        return "" if asked == "" or state.newest is None else str(state.newest)
    order = Order.parse(asked)
    if state.newest is None or order > state.newest:
        newest = "it is empty" if state.newest is None else f"the newest entry is {state.newest}"
        raise BadInput(f"as_of names order {asked} of the memory log {log.table!r}; {newest}", field="as_of")
    if state.oldest is not None and order < state.oldest:
        raise Gone(
            f"as_of names order {asked} of the memory log {log.table!r}, which is older than its history: the oldest"
            f" entry is {state.oldest}",
            oldest=str(state.oldest),
        )
    return asked


def moment_of(orders: Iterable[str], otherwise: datetime) -> datetime:
    """The time of the newest of some orders: what weighs less with time does so as of then."""
    found = [physical_time(Order.parse(order).hlc) for order in orders if order]
    return max(found) if found else otherwise
