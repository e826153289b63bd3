"""The memory that a replay reads, as of a cut: playbooks and pathways, read once and let go.

Belongs here: reading both logs, what there is now. Not here: pinning (see replay_pins.py), answering (see
replay_loop.py).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from lakehouse.adapters.embedding_service import EmbeddingService
from lakehouse.adapters.entry_index import HotEntryIndex
from lakehouse.adapters.folded_rows import LanceFoldedRows
from lakehouse.adapters.lance_tables import LanceTables
from lakehouse.adapters.memory_log import MemoryLog
from lakehouse.adapters.replay_pins import StateAsOf, dataset_versions, read_log, table_revisions
from lakehouse.adapters.s3_direct import open_objects
from lakehouse.adapters.trace_index import HotTraceIndex
from lakehouse.memory.entry import Order
from lakehouse.pathway import trace as pathway
from lakehouse.pathway.book import PathwayBook
from lakehouse.replay.cut import Cut
from lakehouse.retrieval import playbook
from lakehouse.retrieval.playbook import PlaybookBook

if TYPE_CHECKING:
    from lakehouse.adapters.objects import S3ObjectStore
    from lakehouse.catalog.service import Catalog
    from lakehouse.memory.rows import RowRules
    from lakehouse.memory.state import MemoryState
    from lakehouse.settings import Settings

LOGS = (playbook.TABLE, pathway.TABLE)


@dataclass(frozen=True, slots=True)
class Memory:
    """What was remembered; `orders` and `entries` say by log how far it was read, and how many entries that is."""

    playbooks: PlaybookBook
    pathways: PathwayBook
    traces: HotTraceIndex
    orders: Mapping[str, str]
    entries: Mapping[str, int]


def present_cut(
    settings: Settings, objects: S3ObjectStore, catalog: Catalog, corpora: Collection[str]
) -> tuple[Cut, Mapping[str, int]]:
    """What there is now, as a cut, and the entries of each memory log.

    Raises:
        NotFound: A corpus is unknown.
        StoreUnavailable: The store does not answer.
    """
    present = present_parts(objects, catalog, corpora)
    embedding = EmbeddingService(settings)
    try:
        memory = read_memory(settings, objects, embedding, None)
    finally:
        embedding.close()
    return Cut(present.datasets, present.tables, memory.orders), memory.entries


def present_parts(objects: S3ObjectStore, catalog: Catalog, corpora: Collection[str]) -> Cut:
    """What there is now of datasets and corpora.

    Raises:
        NotFound: A corpus is unknown.
        StoreUnavailable: The store does not answer.
    """
    return Cut(dataset_versions(catalog), table_revisions(objects, corpora), {})


def read_memory(settings: Settings, objects: S3ObjectStore, embedding: EmbeddingService, asked: Cut | None) -> Memory:
    """Read both logs.

    Args:
        settings: Names the embedders.
        objects: The bucket.
        embedding: Embeds what was embedded by another.
        asked: Through which orders; None: as of now.

    Raises:
        Gone, BadInput: An order is older than the history, or newer than the newest.
        StoreUnavailable: A log cannot be read whole.
    """

    def dimension(embedder: str) -> int:
        return embedding.get(embedder).dimension

    one, other = settings.playbook_embedder, settings.pathway_embedder
    playbooks = PlaybookBook(
        HotEntryIndex(partial(dimension, one)), embedder=one, embed=lambda texts: embedding.get(one).embed(texts)
    )
    traces = HotTraceIndex(partial(dimension, other))
    pathways = PathwayBook(traces, embedder=other, embed=lambda texts: embedding.get(other).embed(texts))
    states: tuple[tuple[str, MemoryState, RowRules], ...] = (
        (playbook.TABLE, playbooks, playbook.ROW_RULES),
        (pathway.TABLE, pathways, pathway.ROW_RULES),
    )
    tables = LanceTables(objects.location, objects)
    orders: dict[str, str] = {}
    entries: dict[str, int] = {}
    for name, state, rules in states:
        wanted = None if asked is None else asked.logs[name]
        pinned = StateAsOf(state, Order.parse(wanted) if wanted else None, is_empty=wanted == "")
        log = MemoryLog(open_objects(objects.location), name, pinned, LanceFoldedRows(tables, objects, name, rules))
        orders[name] = read_log(log, pinned, wanted)
        entries[name] = pinned.entries
    if playbooks.unplaced:
        playbooks.catch_up()
    if pathways.has_unstored:
        pathways.catch_up()
    return Memory(playbooks, pathways, traces, orders, entries)
