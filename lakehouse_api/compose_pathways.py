"""The composition of pathways: which adapter serves traces, their log and their search.

Belongs here: constructors and the settings they take. Not here: opening and closing (see pathways.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lakehouse.adapters.folded_rows import LanceFoldedRows
from lakehouse.adapters.lance_tables import LanceTables
from lakehouse.adapters.memory_log import MemoryLog
from lakehouse.adapters.s3_direct import open_objects
from lakehouse.adapters.trace_index import HotTraceIndex
from lakehouse.pathway.book import PathwayBook
from lakehouse.pathway.desk import PathwayDesk
from lakehouse.pathway.recall import RecentlyRecalled
from lakehouse.pathway.search import PathwaySearcher
from lakehouse.pathway.trace import ROW_RULES, TABLE
from lakehouse_api.compose_retrieval import for_small_writes
from lakehouse_api.pathways import Pathways

if TYPE_CHECKING:
    from pathlib import Path

    from lakehouse.adapters.embedding_service import EmbeddingService
    from lakehouse.adapters.objects import S3ObjectStore
    from lakehouse.settings import Settings


def compose_pathways(
    settings: Settings, objects: S3ObjectStore, *, embedding: EmbeddingService, work_dir: Path
) -> Pathways:
    """Make the pathway side; nothing is started and nothing asked of the store yet."""
    embedder = settings.pathway_embedder
    index = HotTraceIndex(lambda: embedding.get(embedder).dimension)
    book = PathwayBook(index, embedder=embedder, embed=lambda texts: embedding.get(embedder).embed(texts))
    log = MemoryLog(
        open_objects(for_small_writes(objects.location)),
        TABLE,
        book,
        LanceFoldedRows(LanceTables(objects.location, objects), objects, TABLE, ROW_RULES),
        poll_s=settings.memory_poll_s,
        fold_s=settings.memory_fold_s,
        folder=work_dir,
    )
    recalled = RecentlyRecalled()

    async def embed(text: str) -> Any:
        return (await embedding.embed_query(embedder, text))[0]

    desk = PathwayDesk(book, log, embed, embedder=embedder, recalled=recalled)
    return Pathways(log, book, index, desk, PathwaySearcher(book, index, embed), recalled)
