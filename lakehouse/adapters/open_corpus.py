"""One open corpus: its Lance table, its hot index, and how the index follows the table.

The table is the truth. Own writes go into the table and then into the index. What others wrote is found by comparing
Lance's fragments: new ones are read, rows that went are taken out; where fragments went (a compaction, a rebuild) the
index is built anew beside the old one, which answers until then.

Belongs here: opening, writing, following. Not here: which corpora are open (see corpora.py), the index (see
hot_index.py), the table (see lance_table.py).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import structlog

from lakehouse.adapters.corpus_reader import CorpusReader
from lakehouse.adapters.hot_index import HotIndex
from lakehouse.adapters.lance_table import LanceTable
from lakehouse.errors import LakehouseError, StoreUnavailable
from lakehouse.retrieval.relevance import RelevanceModel

if TYPE_CHECKING:
    import pyarrow as pa

    from lakehouse.retrieval.live_table import LiveTable

_READ_ROWS = 65_536
_log = structlog.get_logger("lakehouse.corpora")


class OpenCorpus:
    """A corpus in memory; any number of threads search through `reader`, one at a time writes or follows.

    Args:
        table: Its table; read whole here.

    Raises:
        StoreUnavailable, BrokenFiles: The table cannot be read.
    """

    def __init__(self, table: LanceTable) -> None:
        self._table = table
        self._moving = threading.Lock()
        live = table.live
        self._at = (live.uri, live.version)
        self.reader = self._read_whole(live)

    def upsert(self, rows: pa.Table) -> str:
        """Insert or replace rows by id; durable and searchable here when it returns the revision.

        Raises:
            StoreUnavailable: Nothing is visible; repeating it is safe.
        """
        with self._moving:
            version = self._table.upsert(rows)
            self._take_own(version, lambda index: index.upsert(rows))
            return self.reader.revision

    def delete(self, ids: Sequence[str]) -> tuple[int, str]:
        """Take rows away; how many were there, and the revision without them."""
        with self._moving:
            there = sum(self.reader.index.row_of(i) is not None for i in dict.fromkeys(ids))
            version = self._table.delete(ids)
            self._take_own(version, lambda index: index.delete(ids))
            return there, self.reader.revision

    def follow(self) -> None:
        """Look at the table, and take in what others changed; a store that is away makes the corpus stale.

        Raises:
            NotFound: The table was dropped.
        """
        try:
            with self._moving:
                self._table.refresh()
                self._catch_up()
        except StoreUnavailable:
            self.reader = replace(self.reader, is_stale=True)
            return
        if self.reader.is_stale:
            self.reader = replace(self.reader, is_stale=False)

    def _take_own(self, version: int, change: Any) -> None:
        """Bring the index to what the own write has made; what others wrote in between is read, too."""
        live = self._table.live
        if live.uri == self._at[0] and version <= self._at[1] + 1 and live.version == version:
            change(self.reader.index)
            self._settle(live)
        else:
            self._catch_up()

    def _catch_up(self) -> None:
        live = self._table.live
        if (live.uri, live.version) == self._at:
            if live.info != self.reader.info:
                self._settle(live)
            return
        if live.uri != self._at[0] or not self._take_delta(live):
            self.reader = self._read_whole(live)
        self._settle(live)

    def _take_delta(self, live: LiveTable) -> bool:
        """Read what was added since; False when fragments went, so that nothing says what is new in the others."""
        files = self._table.files
        try:
            before = files.fragments(self._at[1])
        except LakehouseError:
            return False  # the version was cleaned up meanwhile
        now = files.fragments(live.version)
        if not before.keys() <= now.keys():
            return False
        index = self.reader.index
        for batch in files.scan_fragments(live.version, sorted(now.keys() - before.keys()), batch_rows=_READ_ROWS):
            index.upsert(batch)
        if len(index) != live.rows:
            index.keep_only([i for batch in files.scan(live.version, ["id"]) for i in batch.column("id").to_pylist()])
        return True

    def _read_whole(self, live: LiveTable) -> CorpusReader:
        info = live.info
        index = HotIndex(
            dimension=int(info["dimension"]),
            distance=info.get("distance", "cosine"),
            has_text=bool(info.get("has_text", True)),
        )
        for batch in self._table.files.scan(live.version):
            index.upsert(batch)
        _log.info("corpus read", corpus=self._table.name, rows=len(index), version=live.version)
        return CorpusReader(self._table.name, info, index, live.revision, calibration=_calibration(live))

    def _settle(self, live: LiveTable) -> None:
        self._at = (live.uri, live.version)
        self.reader = replace(
            self.reader, info=live.info, revision=live.revision, is_stale=False, calibration=_calibration(live)
        )


def _calibration(live: LiveTable) -> RelevanceModel | None:
    stored = live.info.get("calibration")
    return None if not stored else RelevanceModel.from_json(stored)
