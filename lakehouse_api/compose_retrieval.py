"""The composition of retrieval: which adapter serves corpora, playbooks and searches.

Belongs here: constructors and the settings they take. Not here: opening and closing (see retrieval.py).
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lakehouse.adapters.calibrator import Calibrator
from lakehouse.adapters.corpora import Corpora
from lakehouse.adapters.corpus_reader import CorpusReader
from lakehouse.adapters.entry_index import HotEntryIndex
from lakehouse.adapters.folded_rows import LanceFoldedRows
from lakehouse.adapters.gathered_searches import GatheredSearches
from lakehouse.adapters.hot_index import HotIndex
from lakehouse.adapters.lance_tables import LanceTables
from lakehouse.adapters.memory_log import MemoryLog
from lakehouse.adapters.objects import S3Location
from lakehouse.adapters.s3_direct import open_objects
from lakehouse.adapters.sql_filter import SqlFilter
from lakehouse.adapters.text_vectors import TextVectorCache
from lakehouse.adapters.trace_key import load_or_make_trace_key
from lakehouse.retrieval.matrix import Near
from lakehouse.retrieval.playbook import ROW_RULES, TABLE, PlaybookBook
from lakehouse.retrieval.playbook_desk import PlaybookDesk
from lakehouse.retrieval.playbook_influence import Playbooks
from lakehouse.retrieval.playbook_twins import PlaybookTwins
from lakehouse.retrieval.rerank import Reranker
from lakehouse.retrieval.search_config import SearchConfig
from lakehouse.retrieval.search_service import SearchService
from lakehouse.retrieval.trace import TraceSigner
from lakehouse.tables.memory import MEMORY_TABLES
from lakehouse_api.catalog_view import known_catalog
from lakehouse_api.live_config import LiveConfig
from lakehouse_api.retrieval import Retrieval

if TYPE_CHECKING:
    from pathlib import Path

    from lakehouse.adapters.embedding_service import EmbeddingService
    from lakehouse.adapters.objects import S3ObjectStore
    from lakehouse.adapters.sql_pool import SqlPool
    from lakehouse.catalog.snapshot import CatalogWatcher
    from lakehouse.retrieval.corpus_view import CorpusView
    from lakehouse.retrieval.selection import Selection
    from lakehouse.settings import Settings

_LOG_TIMEOUT_S = 5.0
_LOG_ATTEMPTS = 2
_TEXT_VECTOR_BYTES = 64 << 20


def compose_retrieval(
    settings: Settings,
    objects: S3ObjectStore,
    *,
    embedding: EmbeddingService,
    sql: SqlPool,
    watcher: CatalogWatcher,
    live_config: LiveConfig[SearchConfig],
    work_dir: Path,
) -> Retrieval:
    """Make the retrieval side; nothing is started and nothing asked of the store yet."""
    tables = LanceTables(objects.location, objects)
    embedder = settings.playbook_embedder
    book = PlaybookBook(
        HotEntryIndex(lambda: embedding.get(embedder).dimension),
        embedder=embedder,
        embed=lambda texts: embedding.get(embedder).embed(texts),
    )
    log = MemoryLog(
        open_objects(for_small_writes(objects.location)),
        TABLE,
        book,
        LanceFoldedRows(tables, objects, TABLE, ROW_RULES),
        poll_s=settings.memory_poll_s,
        fold_s=settings.memory_fold_s,
        upkeep=PlaybookTwins(book),
        folder=work_dir,
    )
    corpora = Corpora(
        tables,
        poll_s=settings.memory_poll_s,
        hidden=MEMORY_TABLES,
        snapshots=settings.data_dir / "indexes",
        memory_bytes=settings.index_memory_bytes,
        calibrator=Calibrator(embedding.get),
    )
    signer = TraceSigner(load_or_make_trace_key(settings))

    async def embed_playbook(text: str) -> Any:
        return (await embedding.embed_query(embedder, text))[0]

    gathered = GatheredSearches()

    def look_together(view: CorpusView, vector: Any, k: int, selection: Selection) -> Awaitable[Near]:
        assert isinstance(view, CorpusReader)
        assert isinstance(view.index, HotIndex)  # asked of corpora in memory alone
        return gathered.look(view.index, vector, k, selection)

    def config() -> tuple[SearchConfig, str]:
        return live_config.config, live_config.version_name

    search = SearchService(
        corpora,
        embedding.embed_query,
        Playbooks(book, embedder=embedder, is_ready=lambda: log.is_replayed),
        config=config,
        sql=_CatalogSql(SqlFilter(sql), watcher),
        signer=signer,
        holdout_share=settings.holdout_share,
        reranker=Reranker(embedding.embed_query, TextVectorCache(embedding.embed_many, most_bytes=_TEXT_VECTOR_BYTES)),
        together=look_together,
        answers_bytes=settings.answer_cache_bytes,
    )
    desk = PlaybookDesk(book, log, embed_playbook, embedder=embedder)
    return Retrieval(corpora, log, book, desk, search, signer, live_config, gathered)


def for_small_writes(location: S3Location) -> S3Location:
    """The same bucket with short deadlines, for objects of kilobytes: a store that hangs must not hold writes up."""
    return replace(
        location,
        read_timeout_s=min(location.read_timeout_s, _LOG_TIMEOUT_S),
        max_attempts=min(location.max_attempts, _LOG_ATTEMPTS),
    )


class _CatalogSql:
    """SQL filters over the catalog as it is now."""

    def __init__(self, sql: SqlFilter, watcher: CatalogWatcher) -> None:
        self._sql = sql
        self._watcher = watcher

    async def ids(self, expression: str, *, dataset: str, id_column: str, has_pii: bool) -> frozenset[str]:
        snapshot = await known_catalog(self._watcher)
        return await self._sql.ids(expression, dataset=dataset, id_column=id_column, snapshot=snapshot, has_pii=has_pii)
