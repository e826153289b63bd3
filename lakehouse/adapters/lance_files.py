"""The files of one Lance table: commits to their newest version, reads of any version.

Belongs here: merging, appending, deleting, scanning, taking rows. Not here: which version serves (see lance_table.py),
compaction and indexes (see lance_upkeep.py, lance_search.py).
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from lakehouse.adapters.lance_engine import LanceEngine, translated
from lakehouse.errors import BadInput
from lakehouse.query.quoting import quote_text
from lakehouse.retrieval.live_table import Committed

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

SCAN_ROWS = 8192
IDS_PER_FILTER = 10_000
CONFLICT_RETRIES = 50
RETRY_TIMEOUT = timedelta(seconds=60)


class LanceFiles:
    """One Lance dataset; all methods may be called from any thread, commits of one process follow each other.

    Args:
        engine: Opens it.
        uri: Where it lies in the bucket.
        key: The column that tells rows apart.
    """

    def __init__(self, engine: LanceEngine, uri: str, key: str) -> None:
        self.uri = uri
        self.key = key
        self._engine = engine
        self._newest: Any = None
        self._read: Any = None
        self._writing = threading.Lock()

    @classmethod
    def create(cls, engine: LanceEngine, uri: str, schema: pa.Schema, key: str) -> LanceFiles:
        """Files of a new table without rows; `schema` has its key marked."""
        made = cls(engine, uri, key)
        made._newest = engine.create(uri, schema)
        return made

    def newest(self) -> Any:
        """Lance's dataset at the newest version there is."""
        if self._newest is None:
            self._newest = self._engine.open(self.uri)
        else:
            self._engine.bounded(self.uri, self._newest.checkout_latest)
        return self._newest

    def at(self, version: int) -> Any:
        """Lance's dataset at a version; it never changes.

        Raises:
            NotFound: The version is gone.
        """
        read = self._read
        if read is None or read.version != version:
            read = self._engine.open(self.uri, version)
            self._read = read
        return read

    def committed(self) -> Committed:
        """The newest version there is."""
        with self.exclusive() as head:
            return committed_of(head)

    @contextmanager
    def exclusive(self) -> Iterator[Any]:
        """Lance's dataset at the newest version, while no other thread here writes to it."""
        with self._writing, translated(self.uri):
            yield self.newest()

    def schema(self) -> pa.Schema:
        """The columns."""
        with self._writing:
            return (self._newest or self.newest()).schema

    def merge(self, rows: pa.Table, *, is_update: bool = True) -> Committed:
        """Insert rows; rows whose key is there replace (`is_update`) or leave what is there.

        Raises:
            Unavailable: Other writers kept winning.
            StoreUnavailable: The store failed; perhaps nothing, perhaps everything is in the newest version.
        """
        with self.exclusive() as head:
            merge = head.merge_insert(self.key).when_not_matched_insert_all()
            if is_update:
                merge = merge.when_matched_update_all()
            merge.conflict_retries(CONFLICT_RETRIES).retry_timeout(RETRY_TIMEOUT).execute(last_of_each(rows, self.key))
            return committed_of(head)

    def append(self, rows: pa.Table) -> Committed:
        """Add rows whose keys are known to be new; nothing looks for them."""
        with self.exclusive() as head:
            head.insert(rows)
            return committed_of(head)

    def delete(self, ids: Sequence[str]) -> Committed:
        """Take rows away by key; keys that are not there are no error."""
        import pyarrow as pa

        with self.exclusive() as head:
            if ids:
                field = head.schema.field(self.key)
                gone = pa.table({self.key: pa.array(dict.fromkeys(ids), field.type)}, schema=pa.schema([field]))
                merge = head.merge_insert(self.key).when_matched_delete()
                merge.conflict_retries(CONFLICT_RETRIES).retry_timeout(RETRY_TIMEOUT).execute(gone)
            return committed_of(head)

    def scan(
        self, version: int, columns: Sequence[str] | None = None, *, where: str | None = None
    ) -> Iterator[pa.RecordBatch]:
        """The rows of a version in the order they are stored, a batch at a time in flat memory."""
        dataset = self.at(version)
        chosen = None if columns is None else list(columns)
        with translated(self.uri):
            yield from dataset.scanner(
                columns=chosen,
                filter=where,
                batch_size=SCAN_ROWS,
                batch_readahead=2,
                fragment_readahead=2,
                scan_in_order=True,
            ).to_batches()

    def fragments(self, version: int) -> dict[int, int]:
        """The fragments of a version by number, each with its rows that are not deleted."""
        dataset = self.at(version)
        with translated(self.uri):
            return {fragment.fragment_id: fragment.count_rows() for fragment in dataset.get_fragments()}

    def scan_fragments(
        self,
        version: int,
        numbers: Collection[int],
        columns: Sequence[str] | None = None,
        *,
        batch_rows: int = SCAN_ROWS,
    ) -> Iterator[pa.RecordBatch]:
        """The rows of some fragments of a version, as `scan`."""
        dataset = self.at(version)
        chosen = None if columns is None else list(columns)
        with translated(self.uri):
            wanted = [fragment for fragment in dataset.get_fragments() if fragment.fragment_id in numbers]
            if wanted:
                yield from dataset.scanner(
                    columns=chosen, fragments=wanted, batch_size=batch_rows, scan_in_order=True
                ).to_batches()

    def take(self, version: int, positions: NDArray[Any], columns: Sequence[str]) -> pa.Table:
        """Rows by their position in `scan` of the same version, in the order asked for."""
        dataset = self.at(version)
        with translated(self.uri):
            return dataset.take(positions, columns=list(columns))

    def take_ids(self, version: int, ids: Sequence[str], columns: Sequence[str] | None = None) -> pa.Table:
        """Rows by key, in no order; keys that are not there are left out."""
        import pyarrow as pa

        dataset = self.at(version)
        chosen = None if columns is None else list(columns)
        wanted = list(dict.fromkeys(ids))
        parts = [wanted[start : start + IDS_PER_FILTER] for start in range(0, len(wanted), IDS_PER_FILTER)] or [[]]
        with translated(self.uri):
            return pa.concat_tables([dataset.to_table(columns=chosen, filter=among(self.key, part)) for part in parts])

    def count(self, version: int, *, where: str | None = None) -> int:
        """Rows of a version."""
        dataset = self.at(version)
        with translated(self.uri):
            return int(dataset.count_rows(filter=where))


def among(column: str, ids: Sequence[str]) -> str:
    """The condition that a column has one of some values, as Lance's SQL has it."""
    return f"`{column}` IN ({', '.join(map(quote_text, ids))})" if ids else "false"


def last_of_each(rows: pa.Table, key: str) -> pa.Table:
    """The rows without those that a later one of the same key replaces."""
    ids = rows.column(key).to_pylist()
    last = {value: position for position, value in enumerate(ids)}
    return rows if len(last) == len(ids) else rows.take(sorted(last.values()))


def conform(rows: pa.RecordBatch | pa.Table, schema: pa.Schema) -> pa.Table:
    """The rows in a table's columns, order and types.

    Raises:
        BadInput: Columns are missing or unknown, of another type, or null where they may not be.
    """
    import pyarrow as pa

    table = rows if isinstance(rows, pa.Table) else pa.Table.from_batches([rows])
    if set(table.column_names) != set(schema.names):
        raise BadInput(f"the rows have columns {table.column_names}, the table has {schema.names}")
    try:
        table = table.select(schema.names).cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise BadInput(f"the rows do not fit the table's columns: {error}") from None
    for field in schema:
        if not field.nullable and table.column(field.name).null_count:
            raise BadInput(f"the column {field.name!r} must have a value in every row")
    return table


def committed_of(dataset: Any) -> Committed:
    """The version that Lance's dataset is at."""
    return Committed(dataset.version, dataset.count_rows(), len(dataset.get_fragments()))
