"""Entries as rows of their table, and back; from when until when each row holds.

A row holds from the time it was recorded until the first later entry about the same subject that takes its place. Of
several such entries the earliest time counts, so that rows come out the same in whatever portions they are folded.

Belongs here: conversion and validity, pure. Not here: the columns (see lakehouse/tables/memory.py), the table (see
lakehouse/adapters/folded_rows.py).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

from lakehouse.memory.entry import Entry, Order
from lakehouse.tables.memory import memory_schema

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS_AT_ONCE = 256
VALIDITY_COLUMNS = ("op_id", "subject_id", "order", "op", "valid_from", "valid_to")


@dataclass(frozen=True, slots=True)
class RowRules:
    """What one kind of memory says about its rows.

    Attributes:
        subject_field: Field of the payload that names what an entry is about; without it an entry is its own subject.
        closing_ops: Operations that take the place of all earlier rows of their subject.
        ending_ops: Closing ones after which nothing holds: their own rows end as they begin.
        vector_of: Gives the vector in a payload, for the column `vector`; None: there is no such column.
        dimension: Its length.
    """

    subject_field: str = "id"
    closing_ops: frozenset[str] = frozenset()
    ending_ops: frozenset[str] = frozenset()
    vector_of: Callable[[Mapping[str, Any]], Sequence[float] | None] | None = None
    dimension: int | None = None

    @property
    def schema(self) -> pa.Schema:
        """The table's columns."""
        return memory_schema(None if self.vector_of is None else self.dimension)

    @property
    def has_closings(self) -> bool:
        """True when any operation takes the place of others."""
        return bool(self.closing_ops | self.ending_ops)


@dataclass(frozen=True, slots=True)
class Mark:
    """What decides how long a row holds, and how long it does as stored."""

    op_id: str
    subject_id: str
    order: str
    op: str
    valid_from: datetime
    valid_to: datetime | None


def to_rows(entries: Iterable[Entry], rules: RowRules, *, between: Callable[[], object] = lambda: None) -> pa.Table:
    """One row per operation, open-ended; of entries with the same op_id the first in order.

    Args:
        entries: In any order.
        rules: Of the table.
        between: Called between pieces of the work, by those who have time.

    Returns:
        A table that conforms to `rules.schema`, in the log's order.
    """
    import pyarrow as pa

    first: dict[str, Entry] = {}
    for entry in sorted(entries, key=lambda entry: entry.order):
        first.setdefault(entry.op_id, entry)
    unique = list(first.values())
    # A few at a time: Arrow holds the interpreter while it takes a list in, and whoever writes meanwhile waits.
    parts = []
    for start in range(0, len(unique), _ROWS_AT_ONCE):
        rows = [_row(entry, rules) for entry in unique[start : start + _ROWS_AT_ONCE]]
        parts.append(pa.Table.from_pylist(rows, schema=rules.schema))
        between()
    return pa.concat_tables(parts) if parts else rules.schema.empty_table()


def to_entries(batch: pa.RecordBatch) -> Iterator[Entry]:
    """The entries of stored rows."""
    names = ("op_id", "order", "op", "payload", "recorded_at", "actor")
    columns = [batch.column(name).to_pylist() for name in names]
    for op_id, order, op, payload, recorded_at, actor in zip(*columns, strict=True):
        yield Entry(op_id, Order.parse(order), op, orjson.loads(payload), recorded_at, actor)


def marks_of(batch: pa.RecordBatch | pa.Table, *, between: Callable[[], object] = lambda: None) -> Iterator[Mark]:
    """The marks of rows; only `VALIDITY_COLUMNS` are looked at. `between` as in `to_rows`."""
    for start in range(0, batch.num_rows, _ROWS_AT_ONCE):
        part = batch.slice(start, _ROWS_AT_ONCE)
        yield from map(Mark, *(part.column(name).to_pylist() for name in VALIDITY_COLUMNS))
        between()


def ends(marks: Sequence[Mark], rules: RowRules) -> dict[str, datetime]:
    """By op_id, until when rows hold; those that hold on are left out.

    Args:
        marks: All rows of their subjects.
        rules: Which operations take the place of others.
    """
    closing: dict[str, list[Mark]] = {}
    for mark in sorted(marks, key=lambda mark: mark.order):
        if mark.op in rules.closing_ops or mark.op in rules.ending_ops:
            closing.setdefault(mark.subject_id, []).append(mark)
    orders = {subject: [mark.order for mark in found] for subject, found in closing.items()}
    earliest = {subject: _earliest_from(found) for subject, found in closing.items()}
    ended: dict[str, datetime] = {}
    for mark in marks:
        later = bisect_right(orders.get(mark.subject_id, []), mark.order)
        if mark.op in rules.ending_ops:
            ended[mark.op_id] = mark.valid_from
        elif later < len(orders.get(mark.subject_id, [])):
            ended[mark.op_id] = max(mark.valid_from, earliest[mark.subject_id][later])
    return ended


def with_ends(rows: pa.Table, ended: Mapping[str, datetime]) -> pa.Table:
    """The rows with `valid_to` as computed."""
    import pyarrow as pa

    at = rows.schema.get_field_index("valid_to")
    values = [ended.get(op_id) for op_id in rows.column("op_id").to_pylist()]
    return rows.set_column(at, rows.schema.field(at), pa.array(values, rows.schema.field(at).type))


def _row(entry: Entry, rules: RowRules) -> dict[str, Any]:
    row = {
        "op_id": entry.op_id,
        "order": str(entry.order),
        "op": entry.op,
        "subject_id": str(entry.payload.get(rules.subject_field) or entry.op_id),
        "payload": orjson.dumps(entry.payload).decode(),
        "actor": entry.actor,
        "recorded_at": entry.recorded_at,
        "valid_from": entry.recorded_at,
        "valid_to": None,
    }
    if rules.vector_of is not None:
        row["vector"] = rules.vector_of(entry.payload)
    return row


def _earliest_from(closing: Sequence[Mark]) -> list[datetime]:
    """At each place, the earliest time of that mark and all after it."""
    earliest: list[datetime] = []
    for mark in reversed(closing):
        earliest.append(min(mark.valid_from, earliest[-1]) if earliest else mark.valid_from)
    return earliest[::-1]
