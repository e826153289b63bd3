"""Fakes for the memory log: a state that only collects, and folded rows in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence

from lakehouse.errors import Conflict, LakehouseError, StoreUnavailable
from lakehouse.memory.entry import Entry


class Collected:
    """A `MemoryState` that keeps every entry once, and counts how often it was told of one again."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.repeated = 0
        self.refuses: set[str] = set()

    def apply(self, entries: Sequence[Entry]) -> None:
        if any(entry.op in self.refuses for entry in entries):
            raise ValueError("an entry that the state cannot take")
        for entry in entries:
            self.repeated += entry.op_id in self.entries
            self.entries.setdefault(entry.op_id, entry)

    def payloads(self) -> list[Mapping[str, object]]:
        """Payloads in the order of the log."""
        return [entry.payload for entry in sorted(self.entries.values(), key=lambda entry: entry.order)]


class FoldedTable:
    """What several `FoldedInMemory` share, as processes share a bucket."""

    def __init__(self) -> None:
        self.rows: dict[str, Entry] = {}
        self.folded_through: dict[str, int] = {}
        self.fence = 0
        self.is_down = False
        self.is_broken = False
        self.lock = threading.Lock()


class FoldedInMemory:
    """`FoldedRows` on a shared table; passes tests/contract/test_folded_rows.py like the one on Lance."""

    def __init__(self, table: FoldedTable | None = None) -> None:
        self.table = table or FoldedTable()
        self._seen: tuple[dict[str, int], int] = ({}, 0)

    @property
    def folded_through(self) -> Mapping[str, int]:
        return self._seen[0]

    @property
    def fence(self) -> int:
        return self._seen[1]

    def refresh(self) -> None:
        self._answer()
        with self.table.lock:
            self._seen = dict(self.table.folded_through), self.table.fence

    def read(self) -> Iterator[Entry]:
        self._answer()
        if self.table.is_broken:
            raise LakehouseError("the table is damaged; rebuild it")
        with self.table.lock:
            return iter(list(self.table.rows.values()))

    def merge(self, entries: Sequence[Entry], folded_through: Mapping[str, int], *, fence: int) -> None:
        self._answer()
        with self.table.lock:
            if fence < self.table.fence:
                raise Conflict(f"fence {fence} is behind {self.table.fence}")
            for entry in entries:
                self.table.rows.setdefault(entry.op_id, entry)
            self.table.folded_through = dict(folded_through)
            self.table.fence = fence
        self.refresh()

    def rebuild(self, entries: Iterator[Entry], folded_through: Mapping[str, int], *, fence: int) -> dict[str, int]:
        logged = {entry.op_id: entry for entry in entries}
        with self.table.lock:
            kept = {} if self.table.is_broken else self.table.rows
            self.table.rows = kept | logged
            self.table.is_broken = False
            self.table.folded_through = dict(folded_through)
            self.table.fence = fence
        self.refresh()
        return {"rows": len(self.table.rows), "from_table": len(kept), "from_log": len(logged.keys() - kept.keys())}

    def _answer(self) -> None:
        if self.table.is_down:
            raise StoreUnavailable("the object store did not answer for the table", retry_after_s=5)
