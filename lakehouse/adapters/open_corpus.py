"""One open corpus: its Lance table, its hot index, and how the index follows the table.

The table is the truth. Own writes go into the table and then into the index. What others wrote is found by comparing
Lance's fragments: new ones are read, rows that went are taken out, a compaction changes nothing. After a rebuild the
index is built anew beside the old one, which answers until then. A snapshot on the local disk makes the next start
quick; it is taken when nothing was written for a while, and only its very version is ever used.

Belongs here: opening, writing, following. Not here: which corpora are open (see corpora.py), the index (see
hot_index.py), the table (see lance_table.py).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from lakehouse.adapters.corpus_reader import CorpusReader
from lakehouse.adapters.hot_index import HotIndex
from lakehouse.adapters.lance_changes import changes_between
from lakehouse.adapters.lance_engine import BrokenFiles
from lakehouse.adapters.lance_table import LanceTable
from lakehouse.adapters.spare_memory import give_back
from lakehouse.errors import Conflict, NotFound, StoreUnavailable
from lakehouse.retrieval.relevance import calibration_of

if TYPE_CHECKING:
    import pyarrow as pa

    from lakehouse.retrieval.live_table import LiveTable

_READ_ROWS = 65_536
# Smaller corpora are read from the table as quickly as from a snapshot.
_SNAPSHOT_ROWS = 5_000
_log = structlog.get_logger("lakehouse.corpora")


class OpenCorpus:
    """A corpus in memory; any number of threads search through `reader`, one at a time writes or follows.

    Args:
        table: Its table; read whole here, unless there is a snapshot of its version.
        snapshot: Folder of the snapshot; None: there is none.
        quiet_s: How long nothing must have been written before a snapshot is taken.

    Raises:
        StoreUnavailable, BrokenFiles: The table cannot be read.
    """

    def __init__(self, table: LanceTable, *, snapshot: Path | None = None, quiet_s: float = 5.0) -> None:
        self.table = table
        self._snapshot = snapshot
        self._quiet_s = quiet_s
        self._writing = threading.Lock()
        # Held while the index is moved to another version of the table, so whoever holds it sees the index at one
        # version. It is not held during a commit, which may take seconds, so that the writes of others are followed
        # meanwhile.
        self.moving = threading.Lock()
        live = table.live
        self._at = (live.uri, live.version)
        self._saved: tuple[str, int] | None = None
        self._changed_s = time.monotonic()
        self.reader = self._read_snapshot(live) or self._read_whole(live)

    @property
    def _index(self) -> HotIndex:
        index = self.reader.index
        assert isinstance(index, HotIndex)
        return index

    def upsert(self, rows: pa.Table) -> str:
        """Insert or replace rows by id; durable and searchable here when it returns the revision.

        Raises:
            StoreUnavailable: Nothing is visible; repeating it is safe.
        """
        with self._writing:
            version = self.table.upsert(rows)
            with self.moving:
                self._take_own(version, lambda index: index.upsert(rows))
                return self.reader.revision

    def delete(self, ids: Sequence[str]) -> tuple[int, str]:
        """Take rows away; how many were there, and the revision without them."""
        with self._writing:
            there = sum(self._index.row_of(i) is not None for i in dict.fromkeys(ids))
            version = self.table.delete(ids)
            with self.moving:
                self._take_own(version, lambda index: index.delete(ids))
                return there, self.reader.revision

    def follow(self) -> None:
        """Look at the table, and take in what others changed; a store that is away makes the corpus stale.

        Raises:
            NotFound: The table was dropped.
        """
        try:
            with self.moving:
                self.table.refresh()
                self._catch_up()
        except StoreUnavailable:
            self.reader = replace(self.reader, is_stale=True)
            return
        if self.reader.is_stale:
            self.reader = replace(self.reader, is_stale=False)

    def save_snapshot(self) -> None:
        """Write a snapshot if there is something new and nothing was written for some seconds."""
        is_small = len(self._index) < _SNAPSHOT_ROWS
        if self._snapshot is None or is_small or time.monotonic() - self._changed_s < self._quiet_s:
            return
        with self.moving:  # so that the snapshot is of one version of the table
            if self._saved == self._at:
                return
            self._index.settle()
            try:
                self._index.save(self._snapshot, source=_source(self._at))
            except OSError as error:
                _log.warning("no snapshot was written", corpus=self.table.name, reason=error.strerror)
            self._saved = self._at

    def _read_snapshot(self, live: LiveTable) -> CorpusReader | None:
        if self._snapshot is None:
            return None
        try:
            index = HotIndex.load(self._snapshot, source=_source(self._at))
        except NotFound:
            return None
        except Conflict as error:
            _log.info("the snapshot is not used", corpus=self.table.name, reason=error.detail)
            return None
        give_back()
        self._saved = self._at
        return CorpusReader(self.table.name, live.info, index, live.revision, calibration=calibration_of(live.info))

    def _take_own(self, version: int, change: Any) -> None:
        """Bring the index to what the own write has made; what others wrote in between is read, too."""
        live = self.table.live
        if live.uri == self._at[0] and version == self._at[1] + 1 and live.version == version:
            change(self._index)
            self._settle(live)
        else:
            self._catch_up()

    def _catch_up(self) -> None:
        live = self.table.live
        if (live.uri, live.version) == self._at:
            if live.info != self.reader.info:
                self._settle(live)
            return
        if live.uri != self._at[0] or not self._take_delta(live):
            self.reader = self._read_whole(live)
        self._settle(live)

    def _take_delta(self, live: LiveTable) -> bool:
        """Read what came since and take out what went; False when only reading everything will tell."""
        files, index = self.table.files, self._index
        try:
            changes = changes_between(files, self._at[1], live.version)
            if changes is None:
                return False
            came = set[str]()
            for batch in changes.rows(batch_rows=_READ_ROWS):
                index.upsert(batch)
                came.update(batch.column("id").to_pylist())
            for ids in changes.gone():
                index.delete([id for id in ids if id not in came])  # noqa: A001
        except (NotFound, BrokenFiles):
            return False  # a version was cleaned up meanwhile
        if len(index) != live.rows:
            index.keep_only([i for batch in files.scan(live.version, ["id"]) for i in batch.column("id").to_pylist()])
        return len(index) == live.rows

    def _read_whole(self, live: LiveTable) -> CorpusReader:
        info = live.info
        index = HotIndex(
            dimension=int(info["dimension"]),
            distance=info.get("distance", "cosine"),
            has_text=bool(info.get("has_text", True)),
        )
        index.reserve(live.rows)
        for batch in self.table.files.scan(live.version):
            index.upsert(batch)
        give_back()
        _log.info("corpus read", corpus=self.table.name, rows=len(index), version=live.version)
        return CorpusReader(self.table.name, info, index, live.revision, calibration=calibration_of(live.info))

    def _settle(self, live: LiveTable) -> None:
        if self._at != (live.uri, live.version):
            self._at = (live.uri, live.version)
            self._changed_s = time.monotonic()
        calibration = calibration_of(live.info)
        self.reader = replace(
            self.reader, info=live.info, revision=live.revision, is_stale=False, calibration=calibration
        )


def _source(at: tuple[str, int]) -> dict[str, Any]:
    return {"uri": at[0], "version": at[1]}
