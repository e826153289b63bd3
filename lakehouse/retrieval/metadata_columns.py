"""The metadata of a corpus in columns: a filter over all its rows at once.

Belongs here: JSON objects into columns, filters into masks, what a filter names that is not there. Not here: the
columns of one field (see field_columns.py), what a filter means (see filters.py), which rows live (see selection.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from lakehouse.errors import BadInput
from lakehouse.retrieval.field_columns import FieldColumn
from lakehouse.retrieval.filter_fit import FilterFit, fit_of
from lakehouse.retrieval.filters import And, Compare, Filter, Kind, Not, fields_of, holds, mask_of
from lakehouse.retrieval.growing import GrowingStrings
from lakehouse.tables.reserved import MASK

Mask = NDArray[np.bool_]
# Most fields with columns, as each takes some kilobytes; further fields (keys that are data) are read from the JSON.
MAX_FIELDS = 4_096
_KEPT_FITS = 4_096
_READ_ROWS = 4_096
_OPPOSITE = {"ne": "eq", "nin": "in"}


def read_metadata(metadata: Sequence[str], *, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Read JSON objects, one a row.

    Args:
        metadata: Each the text of a JSON object.
        ids: Of the rows, for the message.

    Raises:
        BadInput: One is no JSON object; names its id and its position.
    """
    try:
        documents = list(map(orjson.loads, metadata))
    except orjson.JSONDecodeError:
        documents = []
    if set(map(type, documents)) == {dict} or not metadata:
        return documents
    for position, (text, name) in enumerate(zip(metadata, ids, strict=True)):
        try:
            is_object = isinstance(orjson.loads(text), dict)
        except orjson.JSONDecodeError as error:
            raise BadInput(f"the metadata of item {name!r} (position {position}) is not JSON: {error}") from None
        if not is_object:
            raise BadInput(f"the metadata of item {name!r} (position {position}) must be a JSON object")
    return documents


class MetadataColumns:
    """Rows of metadata, appended by one thread at a time, filtered by any number of others meanwhile.

    A row never changes once it is there, and a filter over a span of rows gives the same mask for ever.
    """

    def __init__(self) -> None:
        self._json = GrowingStrings()
        self._fields: dict[str, FieldColumn] = {}
        self._is_full = False
        # Rows are only added, so a filter that fits stays fitting.
        self._fitting: dict[tuple[Filter, frozenset[str]], FilterFit] = {}

    def __len__(self) -> int:
        return len(self._json)

    def append(self, metadata: pa.Array | pa.ChunkedArray, documents: Sequence[Mapping[str, object]]) -> None:
        """Add rows.

        Args:
            metadata: Their JSON.
            documents: The same, read by `read_metadata`.
        """
        self._add_fields(documents, len(self._json))
        self._json.append(metadata)

    def restore(self, metadata: pa.LargeStringArray) -> None:
        """Take over all rows of a snapshot: columns are made from them, and the JSON is not copied."""
        for start in range(0, len(metadata), _READ_ROWS):
            texts = metadata.slice(start, _READ_ROWS).to_pylist()
            self._add_fields(read_metadata(texts, ids=texts), start)
        self._json.adopt(metadata)

    def adopt(self, metadata: pa.LargeStringArray) -> None:
        """Use the equal JSON of a mapped file for all rows, in place of that in memory."""
        self._json.adopt(metadata)

    def json_of(self, rows: NDArray[np.int64]) -> list[bytes]:
        """The JSON of some rows, as it was given."""
        return self._json.bytes_of(rows)

    def view(self, start: int = 0, end: int | None = None) -> pa.LargeStringArray:
        """The JSON of rows `start` to `end`, without a copy."""
        return self._json.view(start, end)

    def evaluate(
        self,
        filter: Filter,  # noqa: A002 - the word of the contract
        start: int,
        stop: int,
        *,
        masked: frozenset[str] = frozenset(),
    ) -> Mask:
        """Which of the rows `start` to `stop` pass; agrees with `filters.matches` on each.

        Args:
            filter: A parsed filter.
            start: First row.
            stop: The row after the last, at most the length.
            masked: Columns that read as the constant `[masked]`.
        """
        if isinstance(filter, Compare):
            return self._compare(filter, start, stop, masked)
        if isinstance(filter, Not):
            return ~self.evaluate(filter.part, start, stop, masked=masked)
        is_and = isinstance(filter, And)
        mask = np.full(stop - start, is_and)
        for part in filter.parts:
            found = self.evaluate(part, start, stop, masked=masked)
            mask = mask & found if is_and else mask | found
            if not mask.any() if is_and else mask.all():
                break
        return mask

    def check(self, filter: Filter, *, masked: frozenset[str] = frozenset()) -> FilterFit:  # noqa: A002
        """What the filter names that no row of this corpus has; the caller decides over all corpora.

        Rows that were deleted count until the index is compacted.
        """
        known = self._fitting.get((filter, masked))
        if known is None:
            known = fit_of(filter, self._kinds_of, is_empty=not len(self), masked=masked)
            if known.is_whole:
                if len(self._fitting) >= _KEPT_FITS:
                    self._fitting.clear()
                self._fitting[filter, masked] = known
        return known

    def field_kinds(self) -> dict[str, frozenset[Kind]]:
        """Every field with the kinds of values that occur in it."""
        return {path: column.kinds for path, column in tuple(self._fields.items())}

    @property
    def bytes(self) -> int:
        """About how much memory the JSON and the columns take."""
        return self._json.bytes + sum(column.bytes for column in tuple(self._fields.values()))

    def _add_fields(self, documents: Sequence[Mapping[str, object]], first: int) -> None:
        for path, (rows, cells) in _by_field(documents, first).items():
            if (column := self._fields.get(path)) is None:
                if len(self._fields) >= MAX_FIELDS:
                    self._is_full = True
                    continue
                column = self._fields[path] = FieldColumn()
            column.append(rows, cells)

    def _kinds_of(self, path: str) -> frozenset[Kind] | None:
        column = self._fields.get(path)
        if column is None:
            # An empty set: the field is known, and no kind of value is wrong for it.
            return frozenset() if self._is_full else None
        return column.kinds

    def _compare(self, condition: Compare, start: int, stop: int, masked: frozenset[str]) -> Mask:
        mask_kind = mask_of(condition.field, masked)
        if mask_kind is not None:
            return np.full(stop - start, holds(condition, MASK if mask_kind == "constant" else None))
        column = self._fields.get(condition.field)
        if column is None:
            if self._is_full:
                return self._compare_json(condition, start, stop)
            return np.full(stop - start, holds(condition, None))
        mask = np.zeros(stop - start, np.bool_)
        if condition.op in _OPPOSITE:
            column.mark(Compare(condition.field, _OPPOSITE[condition.op], condition.value), mask, start)
            return ~mask
        column.mark(condition, mask, start)
        if condition.op == "exists" and not condition.value:
            return ~mask
        return mask

    def _compare_json(self, condition: Compare, start: int, stop: int) -> Mask:
        texts = self._json.bytes_of(np.arange(start, stop))
        fields = (fields_of(cast("dict[str, object]", orjson.loads(text))) for text in texts)
        return np.fromiter((holds(condition, f.get(condition.field)) for f in fields), np.bool_, stop - start)


def _by_field(
    documents: Sequence[Mapping[str, object]], first: int
) -> dict[str, tuple[Sequence[int], Sequence[object]]]:
    """The values of each field with their rows, which count from `first`."""
    names = tuple(documents[0]) if documents else ()
    if all(tuple(document) == names for document in documents):
        rows = range(first, first + len(documents))
        cells = list(zip(*(document.values() for document in documents), strict=True))
        if not any(dict in map(type, values) for values in cells):
            return {name: (rows, values) for name, values in zip(names, cells, strict=True)}
    fields: dict[str, tuple[list[int], list[object]]] = {}
    for row, document in enumerate(documents, first):
        is_flat = dict not in map(type, document.values())
        for path, value in (document if is_flat else fields_of(document)).items():
            if (place := fields.get(path)) is None:
                place = fields[path] = ([], [])
            place[0].append(row)
            place[1].append(value)
    return cast("dict[str, tuple[Sequence[int], Sequence[object]]]", fields)
