"""What a corpus's metadata offers to filter by: each field with its commonest values and how many rows have them.

A field is counted among the rows that pass what is ticked in all *other* fields: a number says what one more tick would
give. Which rows pass is asked of the corpus itself, by the very filter that a search would use.

Belongs here: counting over a corpus in memory. Not here: what a filter means (see lakehouse/retrieval/filters.py),
forms to filters (see facet_filters.py).
"""

from __future__ import annotations

import threading
from array import array
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import numpy as np
import orjson
from numpy.typing import NDArray

from lakehouse.retrieval.filters import parse_filter
from lakehouse.retrieval.masking import personal_fields
from lakehouse_api.ui.facet_filters import filter_of, value_of

if TYPE_CHECKING:
    from lakehouse.adapters.corpus_reader import CorpusReader

_MOST_ROWS = 100_000
_PORTION = 4096
_MOST_VALUES = 12
# A field with more values than this is a name or a text, which is no use as a list of boxes.
_MOST_DISTINCT = 400
_KEPT = 16
_THREADS = 4
_NUMERIC = {int, float}
_TEXTS = ({str}, {bool})
Rows = NDArray[np.int64]
Fields = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class FacetValue:
    """A value to tick: the JSON scalar, the rows that have it, and its number, which stays while the corpus does."""

    value: Any
    count: int
    number: int


@dataclass(frozen=True, slots=True)
class Facet:
    """A field of metadata.

    Attributes:
        name: Of the field.
        is_list: Its values are elements of lists.
        values: The commonest, and all that are ticked.
        others: How many more values have rows.
        least: Of numbers; None also where no row passes the other filters.
        most: Of numbers.
        is_number: It has bounds instead of values.
    """

    name: str
    is_list: bool
    values: tuple[FacetValue, ...] = ()
    others: int = 0
    least: float | None = None
    most: float | None = None
    is_number: bool = False


@dataclass(frozen=True, slots=True)
class Facets:
    """The fields of a corpus; `counted` rows of `rows` were looked at, and `passing` of these pass all filters."""

    corpus: str
    facets: tuple[Facet, ...]
    rows: int
    counted: int
    passing: int


@dataclass(slots=True)
class _Column:
    """One field of all rows: which rows have a value, and which; `values` is None for numbers."""

    is_list: bool
    owners: NDArray[np.int32]
    numbers: NDArray[np.float64] | NDArray[np.int32]
    values: list[Any] | None

    def among(self, keep: NDArray[np.bool_] | None) -> NDArray[Any]:
        return self.numbers if keep is None else self.numbers[keep[self.owners]]


@dataclass(slots=True)
class _Table:
    """A corpus as it is counted: the public numbers of its rows, and its fields in the order of their names."""

    rows: Rows
    columns: Mapping[str, _Column]


@dataclass(slots=True)
class _Gathering:
    """A field while rows are read; it is given up when it has too many values, or several kinds of them."""

    codes: dict[Any, int] = field(default_factory=dict)
    owners: array[int] = field(default_factory=lambda: array("i"))
    numbers: array[float] = field(default_factory=lambda: array("d"))
    is_list: bool = False
    is_open: bool = True
    is_number: bool | None = None

    def take_all(self, first: int, values: Sequence[Any]) -> None:
        """Take the values of rows that follow each other; columns of one kind, as nearly all are, go in at once."""
        kinds = set(map(type, values))
        is_numeric = kinds <= _NUMERIC
        if (not is_numeric and kinds not in _TEXTS) or self.is_number not in (None, is_numeric):
            for row, value in enumerate(values, first):
                self.take(row, value)
            return
        self.is_number = is_numeric
        codes = self.codes
        self.numbers.extend(values if is_numeric else [codes.setdefault(value, len(codes)) for value in values])
        self.owners.extend(range(first, first + len(values)))
        if len(codes) > _MOST_DISTINCT:
            self._close()

    def take(self, row: int, value: Any) -> None:
        if isinstance(value, list):
            self.is_list = True
            for one in dict.fromkeys(one for one in value if isinstance(one, str | bool | int | float)):
                self._add(row, one)
        elif isinstance(value, str | bool | int | float):
            self._add(row, value)

    def _add(self, row: int, value: str | bool | float) -> None:
        if not self.is_open:
            return
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if self.is_number is None:
            self.is_number = is_number
        code = float(value) if is_number else self.codes.setdefault(value, len(self.codes))
        if is_number is not self.is_number or len(self.codes) > _MOST_DISTINCT:
            self._close()
            return
        self.owners.append(row)
        self.numbers.append(code)

    def _close(self) -> None:
        self.is_open = False
        self.owners, self.numbers = array("i"), array("d")
        self.codes.clear()

    def column(self) -> _Column | None:
        numbers = np.frombuffer(self.numbers, np.float64)
        if not len(numbers) or (self.is_number and self.is_list):  # no filter bounds the numbers of a list
            return None
        owners = np.frombuffer(self.owners, np.int32)
        if self.is_number:
            return _Column(self.is_list, owners, numbers, None) if numbers.min() < numbers.max() else None
        return (
            _Column(self.is_list, owners, numbers.astype(np.int32), list(self.codes)) if len(self.codes) > 1 else None
        )


class FacetCounter:
    """Counts; what it has read of a corpus is kept until the corpus changes. For any number of threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str, bool], _Table] = OrderedDict()
        self._lock = threading.Lock()
        # Threads of its own, so that the slow first count of a corpus does not take threads from store calls.
        self._threads = anyio.CapacityLimiter(_THREADS)

    async def find(self, reader: CorpusReader, *, has_pii: bool, fields: Fields = ()) -> Facets:
        """`of`, in a thread."""
        count = partial(self.of, reader, has_pii=has_pii, fields=fields)
        return await anyio.to_thread.run_sync(count, limiter=self._threads)

    def of(self, reader: CorpusReader, *, has_pii: bool, fields: Fields = ()) -> Facets:
        """The facets of a corpus under what is ticked; blocking work for a corpus that changed.

        Args:
            reader: The corpus.
            has_pii: Whether personal fields may be counted.
            fields: Of the form.

        Raises:
            BadInput: A bound is no number, or a value is no JSON.
        """
        total = len(reader.index)
        if not reader.is_in_memory:
            return Facets(reader.name, (), total, 0, 0)
        hidden = frozenset[str]() if has_pii else personal_fields(reader.info)
        table = self._table(reader, hidden, has_pii=has_pii)
        ticked = {key.partition(".")[2] for key, text in fields if filter_of([(key, text)]) is not None}
        whole = _passing(reader, table, fields, hidden)
        facets = []
        for name, column in table.columns.items():
            keep = whole
            if name in ticked:  # a field is not narrowed by its own ticks
                others = [(key, text) for key, text in fields if key.partition(".")[2] != name]
                keep = _passing(reader, table, others, hidden)
            chosen = {value_of(text) for key, text in fields if key in (f"f.{name}", f"l.{name}") and text.strip()}
            facets.append(_facet(name, column, keep, chosen))
        passing = len(table.rows) if whole is None else int(np.count_nonzero(whole))
        return Facets(reader.name, tuple(facets), total, len(table.rows), passing)

    def _table(self, reader: CorpusReader, hidden: frozenset[str], *, has_pii: bool) -> _Table:
        key = reader.name, reader.revision, has_pii
        with self._lock:  # a second caller waits and then finds it cached
            table = self._kept.get(key)
            if table is None:
                for old in [old for old in self._kept if old[0] == key[0] and old[2] == key[2]]:
                    del self._kept[old]
                table = self._kept[key] = _read(reader, hidden)
            self._kept.move_to_end(key)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return table


def _passing(reader: CorpusReader, table: _Table, fields: Fields, hidden: frozenset[str]) -> NDArray[np.bool_] | None:
    """Which rows of the table pass; None: all of them."""
    wanted = filter_of(fields)
    if wanted is None:
        return None
    selection = reader.select(filter=parse_filter(wanted), masked=hidden)
    mask, at = selection.mask(), table.rows - selection.first
    is_there = (at >= 0) & (at < len(mask))
    keep = np.zeros(len(at), np.bool_)
    keep[is_there] = mask[at[is_there]]
    return keep


def _read(reader: CorpusReader, hidden: Collection[str]) -> _Table:
    selection = reader.select(masked=frozenset(hidden))
    rows = selection.rows()[:_MOST_ROWS] + selection.first
    found: dict[str, _Gathering] = {}
    for start in range(0, len(rows), _PORTION):
        documents = [orjson.loads(one) for one in reader.metadata_of(rows[start : start + _PORTION])]
        for name in sorted(set().union(*documents)):
            one = found.get(name)
            if one is None:
                one = found[name] = _Gathering()
            if one.is_open and name not in hidden:
                one.take_all(start, [document.get(name) for document in documents])
    columns = {name: one.column() for name, one in sorted(found.items())}
    return _Table(rows, {name: column for name, column in columns.items() if column is not None})


def _facet(name: str, column: _Column, keep: NDArray[np.bool_] | None, chosen: Collection[Any]) -> Facet:
    numbers = column.among(keep)
    if column.values is None:
        least, most = (float(numbers.min()), float(numbers.max())) if len(numbers) else (None, None)
        return Facet(name, column.is_list, least=least, most=most, is_number=True)
    counts = np.bincount(numbers, minlength=len(column.values)).tolist()
    ordered = sorted(range(len(counts)), key=lambda code: (-counts[code], str(column.values and column.values[code])))
    there = [code for code in ordered if counts[code]]
    # Values are compared together with their kind, as to Python True equals 1.
    wanted = {(type(one), one) for one in chosen}
    ticked = [code for code in ordered if (type(column.values[code]), column.values[code]) in wanted]
    shown = dict.fromkeys([*there[:_MOST_VALUES], *ticked])
    values = tuple(FacetValue(column.values[code], counts[code], code) for code in shown)
    return Facet(name, column.is_list, values, len([code for code in there if code not in shown]))
