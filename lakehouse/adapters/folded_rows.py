"""Folded rows: the `FoldedRows` of a memory table, in Lance.

A table that is not there is an empty one, and the next merge makes it. Rows are merged by `op_id`, and what is there
already stays as it is but for its end, so merging twice changes nothing. How far each stream is folded, and under
which fence, moves in one swap of the pointer with the version that has the rows.

Belongs here: reading, merging, making the table anew. Not here: what is folded when (see memory_folder.py), the rows
(see lakehouse/memory/rows.py), rows of damaged files (see folded_salvage.py).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from lakehouse.adapters.folded_salvage import salvage
from lakehouse.adapters.giving_way import breathe
from lakehouse.adapters.lance_files import among
from lakehouse.adapters.lance_table import LanceTable
from lakehouse.adapters.lance_tables import LanceTables
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.errors import Conflict, NotFound, StoreUnavailable
from lakehouse.memory.entry import Entry
from lakehouse.memory.rows import VALIDITY_COLUMNS, Mark, RowRules, ends, marks_of, to_entries, to_rows, with_ends
from lakehouse.memory.subjects import KnownSubjects
from lakehouse.retrieval.live_pointer import checked_fence
from lakehouse.retrieval.live_table import BrokenPointer, LiveTable
from lakehouse.tables.memory import KEY

if TYPE_CHECKING:
    import pyarrow as pa

KIND = "memory"
_SUBJECTS_AT_ONCE = 5_000


class LanceFoldedRows:
    """`FoldedRows` over `LanceTable`; thread-safe.

    Args:
        tables: The bucket's tables.
        objects: The bucket.
        name: The memory table's name.
        rules: What its rows are made of.
    """

    def __init__(self, tables: LanceTables, objects: S3ObjectStore, name: str, rules: RowRules) -> None:
        self._tables = tables
        self._objects = objects
        self._name = name
        self._rules = rules
        self._table: LanceTable | None = None
        self._lock = threading.Lock()
        # Subjects of the table at one version; another version may have others.
        self._known: tuple[str, int, KnownSubjects] | None = None

    @property
    def folded_through(self) -> Mapping[str, int]:
        table = self._table
        return {} if table is None else table.folded_through

    @property
    def fence(self) -> int:
        table = self._table
        return 0 if table is None else table.live.fence

    def refresh(self) -> None:
        with self._lock:
            if self._table is not None:
                try:
                    self._table.refresh()
                except NotFound:
                    self._table = None  # dropped
            if self._table is None:
                self._table = self._tables.open(self._name)

    def read(self) -> Iterator[Entry]:
        table = self._table
        if table is not None:
            for batch in table.scan():
                yield from to_entries(batch)

    def merge(self, entries: Sequence[Entry], folded_through: Mapping[str, int], *, fence: int) -> None:
        table = self._open_or_create()
        rows = to_rows(entries, self._rules, between=breathe)
        if not rows.num_rows:
            self._say(table, folded_through, fence)
            return
        table.refresh()
        checked_fence(table.live, fence)
        if not self._rules.has_closings:
            table.upsert(rows, on=KEY, is_update=False, folded_through=dict(folded_through), fence=fence)
            return
        known = self._known_subjects(table)
        before = table.live.version
        rows = self._with_ends(table, rows, known)
        version = table.upsert(rows, on=KEY, is_update=True, folded_through=dict(folded_through), fence=fence)
        known.add(rows.column("subject_id").to_pylist())
        # Another writer came in between, with subjects that are not known here.
        self._known = (table.live.uri, version, known) if version == before + 1 else None

    def rebuild(self, entries: Iterator[Entry], folded_through: Mapping[str, int], *, fence: int) -> dict[str, int]:
        import pyarrow as pa

        found = salvage(self._objects, self._name, self._rules.schema)
        from_table = sum(rows.num_rows for rows in found.rows)
        found.add(to_rows(entries, self._rules))
        rows = pa.concat_tables(found.rows)
        rows = with_ends(rows, ends(list(marks_of(rows)), self._rules))
        self._replace(rows, folded_through, fence)
        return {
            "rows": rows.num_rows,
            "from_table": from_table,
            "from_log": rows.num_rows - from_table,
            "unreadable_files": found.unreadable_files,
        }

    def _open_or_create(self) -> LanceTable:
        self.refresh()
        if self._table is None:
            with suppress(Conflict):  # another process is making it
                self._tables.create(self._name, self._rules.schema, info={"kind": KIND}, key=KEY)
            self.refresh()
        if self._table is None:
            raise StoreUnavailable(f"the table {self._name!r} was dropped right after it was made", retry_after_s=5)
        return self._table

    def _say(self, table: LanceTable, folded_through: Mapping[str, int], fence: int) -> None:
        def move(live: LiveTable) -> LiveTable | None:
            moved = replace(live, folded_through=dict(folded_through), fence=checked_fence(live, fence))
            return None if moved == live else moved

        table.swap(move)

    def _known_subjects(self, table: LanceTable) -> KnownSubjects:
        """The subjects of the table as it serves; read once, then kept in step."""
        at = (table.live.uri, table.live.version)
        if self._known is None or self._known[:2] != at:
            known = KnownSubjects()
            for batch in table.scan(["subject_id"]):
                known.add(batch.column("subject_id").to_pylist())
            self._known = (*at, known)
        return self._known[2]

    def _with_ends(self, table: LanceTable, rows: pa.Table, known: KnownSubjects) -> pa.Table:
        """The new rows, and those in the table whose end they change, all with their ends."""
        import pyarrow as pa

        subjects = known.may_have(list(dict.fromkeys(rows.column("subject_id").to_pylist())))
        stored = {mark.op_id: mark for mark in self._stored_marks(table, subjects)}
        ops = set(rows.column("op").unique().to_pylist())
        if not stored and not ops & (self._rules.closing_ops | self._rules.ending_ops):
            return rows  # no row gets an end
        op_ids = rows.column(KEY).to_pylist()
        rows = rows.filter(pa.array([op_id not in stored for op_id in op_ids], pa.bool_()))
        ended = ends([*stored.values(), *marks_of(rows, between=breathe)], self._rules)
        changed = [op_id for op_id, mark in stored.items() if ended.get(op_id) != mark.valid_to]
        if changed:
            rows = pa.concat_tables([rows, table.take_ids(changed).select(rows.column_names).cast(rows.schema)])
        return with_ends(rows, ended)

    def _stored_marks(self, table: LanceTable, subjects: Sequence[str]) -> Iterator[Mark]:
        for first in range(0, len(subjects), _SUBJECTS_AT_ONCE):
            where = among("subject_id", subjects[first : first + _SUBJECTS_AT_ONCE])
            for batch in table.scan(VALIDITY_COLUMNS, where=where):
                yield from marks_of(batch, between=breathe)

    def _replace(self, rows: pa.Table, folded_through: Mapping[str, int], fence: int) -> None:
        """Let these rows serve all at once, so that nobody reads an empty table in between."""
        try:
            self.refresh()
        except BrokenPointer:
            # The damaged pointer stays until the rows are written, so that a rebuild that is cut off here finds the
            # files again.
            self._table = None
        info = {"kind": KIND}
        if self._table is None:
            self._table = self._tables.create(
                self._name, self._rules.schema, info=info, key=KEY, rows=rows, folded_through=folded_through,
                fence=fence, is_mending=True,
            )  # fmt: skip
            return
        self._table.replace(
            iter([rows]), schema=self._rules.schema, info=info, folded_through=folded_through, fence=fence
        )
