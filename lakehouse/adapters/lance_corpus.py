"""One open corpus that is served from its table: for corpora that do not fit into the memory for indexes.

Belongs here: opening, writing, following. Not here: searching (see lance_index.py), corpora in memory (see
open_corpus.py), which of the two a corpus is (see corpora.py).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from lakehouse.adapters.corpus_reader import CorpusReader
from lakehouse.adapters.lance_index import LanceIndex
from lakehouse.adapters.lance_table import LanceTable
from lakehouse.errors import StoreUnavailable
from lakehouse.retrieval.relevance import calibration_of

if TYPE_CHECKING:
    import pyarrow as pa

_log = structlog.get_logger("lakehouse.corpora")


class LanceCorpus:
    """A corpus in its table; any number of threads search through `reader`, one at a time writes or follows.

    Args:
        table: Its table.

    Raises:
        StoreUnavailable, BrokenFiles: The table cannot be opened.
    """

    def __init__(self, table: LanceTable) -> None:
        self.table = table
        self._writing = threading.Lock()
        # Not held during commits, so that the writes of others are followed while a commit runs.
        self._moving = threading.Lock()
        self.reader = self._read(None)
        _log.info("corpus served by Lance", corpus=table.name, rows=len(self.reader.index), version=table.version)

    def upsert(self, rows: pa.Table) -> str:
        """Insert or replace rows by id; durable and searchable here when it returns the revision."""
        with self._writing:
            self.table.upsert(rows)
            with self._moving:
                return self._move()

    def delete(self, ids: Sequence[str]) -> tuple[int, str]:
        """Take rows away; how many were there, and the revision without them."""
        with self._writing:
            there = self._index.there(ids)
            self.table.delete(ids)
            with self._moving:
                return there, self._move()

    def follow(self) -> None:
        """Look at the table, and take in what others changed; a store that is away makes the corpus stale.

        Raises:
            NotFound: The table was dropped.
        """
        try:
            with self._moving:
                self.table.refresh()
                self._move()
        except StoreUnavailable:
            self.reader = replace(self.reader, is_stale=True)
            return
        if self.reader.is_stale:
            self.reader = replace(self.reader, is_stale=False)

    def save_snapshot(self) -> None:
        """Do nothing: the table is what there is."""

    @property
    def _index(self) -> LanceIndex:
        index = self.reader.index
        assert isinstance(index, LanceIndex)
        return index

    def _move(self) -> str:
        live = self.table.live
        if (live.uri, live.version) != self._index.at or live.info != self.reader.info:
            self.reader = self._read(self._index)
        return self.reader.revision

    def _read(self, earlier: LanceIndex | None) -> CorpusReader:
        live = self.table.live
        calibration = calibration_of(live.info)
        index = LanceIndex(self.table, earlier)
        return CorpusReader(self.table.name, live.info, index, live.revision, calibration=calibration)
