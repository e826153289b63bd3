"""The rows of one version of a Lance table, numbered in sequence: which exist, which pass a filter, what they hold.

A row's number is its place among all rows that the version's fragments ever had; it stays good for this version. Lance
knows the row by its address, fragment and place in it.

Belongs here: numbers and addresses, selections, reading rows by number. Not here: what is known of one fragment (see
lance_fragments.py), searching (see lance_nearest.py, lance_text.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lakehouse.adapters.lance_engine import translated
from lakehouse.adapters.lance_fragments import (
    OFFSET_BITS,
    READ_ROWS,
    FieldKinds,
    FragmentCache,
    FragmentVectors,
    hashes_of,
)
from lakehouse.distinct import distinct
from lakehouse.errors import NotFound
from lakehouse.retrieval.filter_fit import FilterFit, fit_of
from lakehouse.retrieval.filters import Filter, Kind
from lakehouse.retrieval.row_batch import Distance
from lakehouse.retrieval.selection import Selection

if TYPE_CHECKING:
    import pyarrow as pa

Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]
ROWS_PER_TAKE = 10_000


class LanceRows:
    """The rows of a version; it never changes, and any number of threads read it.

    Args:
        dataset: Lance's dataset at the version.
        uri: Of its files.
        cache: Of the corpus.
    """

    def __init__(self, dataset: Any, uri: str, cache: FragmentCache) -> None:
        self.dataset = dataset
        self.uri = uri
        self._cache = cache
        with translated(uri):
            self._fragments = sorted(dataset.get_fragments(), key=lambda fragment: fragment.fragment_id)
            sizes = [fragment.physical_rows for fragment in self._fragments]
            self.deleted = sum(int(fragment.num_deletions) for fragment in self._fragments)
        self._numbers = np.array([fragment.fragment_id for fragment in self._fragments], np.int64)
        self._starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])

    def __len__(self) -> int:
        return self.end - self.deleted

    @property
    def end(self) -> int:
        """The number after the last."""
        return int(self._starts[-1])

    @property
    def fragments(self) -> list[int]:
        """The fragments by number."""
        return [int(number) for number in self._numbers]

    @cached_property
    def living(self) -> Mask | None:
        """Which rows are there, one bool a number; None when all are."""
        if not self.deleted:
            return None
        mask = np.ones(self.end, np.bool_)
        for position, fragment in enumerate(self._fragments):
            if fragment.num_deletions:
                mask[self._span(position)] = self._cache.living(self.uri, fragment)
        return mask

    def select(
        self,
        *,
        filter: Filter | None,  # noqa: A002 - the word of the contract
        only_ids: Collection[str] | None,
        only_sources: Collection[str] | None,
        exclude_ids: Collection[str],
        masked: frozenset[str],
    ) -> Selection:
        """The rows that pass; see `HotIndex.select`."""
        mask = self.living
        if filter is not None:
            passing = self._passing(filter, masked)
            mask = passing if mask is None else passing & mask
        selection = Selection(self, 0, self.end, mask=mask)
        if only_sources is not None:
            selection = selection.among(self._of_sources(only_sources))
        if only_ids is not None:
            only = self.rows_of(only_ids)
            return selection.only(np.setdiff1d(only, self.rows_of(exclude_ids)) if exclude_ids else only)
        excluded = self.rows_of(exclude_ids) if exclude_ids else np.empty(0, np.int64)
        return selection.without(excluded) if len(excluded) else selection

    def check(self, filter: Filter, *, masked: frozenset[str]) -> FilterFit:  # noqa: A002
        """What the corpus says to a filter; see `HotIndex.check`."""
        for fragment in self._fragments:  # this pass also caches what `select` will ask for next
            self._cache.passing(self.uri, fragment, filter, masked)
        known = self._kinds

        def kinds_of(field: str) -> frozenset[Kind] | None:
            return known.kinds.get(field, frozenset[Kind]() if known.is_full else None)

        return fit_of(filter, kinds_of, is_empty=not len(self), masked=masked)

    def rows_of(self, ids: Collection[str]) -> Rows:
        """The rows of ids, ascending; ids that are not there are passed over."""
        wanted = distinct(hashes_of(ids))
        found = [np.empty(0, np.int64)]
        for position, fragment in enumerate(self._fragments):
            _, offsets = self._cache.ids(self.uri, fragment).find(wanted)
            found.append(self._starts[position] + offsets)
        rows = np.sort(np.concatenate(found))
        return rows if self.living is None else rows[self.living[rows]]

    def take(self, rows: Rows, columns: Sequence[str]) -> pa.Table:
        """Rows by number, in the order asked for; a number may come twice.

        Raises:
            NotFound: One is not there in this version.
        """
        import pyarrow as pa

        addresses = self._addresses(np.asarray(rows, np.int64))
        wanted = distinct(addresses)
        parts = [wanted[start : start + ROWS_PER_TAKE] for start in range(0, len(wanted), ROWS_PER_TAKE)]
        with translated(self.uri):
            tables = [self._scan(columns, where=_among(part)).to_table() for part in parts or [wanted]]
        table = pa.concat_tables(tables)
        there = table.column("_rowid").to_numpy().astype(np.int64)
        order = np.argsort(there)
        if not np.array_equal(there[order], wanted):
            raise NotFound("rows are gone; rows are good for the version that they were found in")
        places = order[np.searchsorted(wanted, addresses)]
        return table.select(list(columns)).take(pa.array(places))

    def scan(self, columns: Sequence[str], mask: Mask | None = None) -> Iterator[tuple[Rows, pa.RecordBatch]]:
        """All rows of a mask with their numbers, a batch at a time in flat memory."""
        import pyarrow as pa

        for position, fragment in enumerate(self._fragments):
            chosen = None if mask is None else mask[self._span(position)]
            if chosen is not None and not chosen.any():
                continue
            with translated(self.uri):
                for batch in self._scan(columns, fragments=[fragment]).to_batches():
                    offsets = batch.column("_rowid").to_numpy().astype(np.int64) - (int(self._numbers[position]) << 32)
                    kept = np.arange(len(offsets)) if chosen is None else np.flatnonzero(chosen[offsets])
                    if len(kept):
                        few = batch if len(kept) == len(offsets) else batch.take(pa.array(kept))
                        yield self._starts[position] + offsets[kept], few

    def numbers_of(self, addresses: NDArray[Any]) -> Rows:
        """The numbers of rows that Lance gives by address."""
        wanted = addresses.astype(np.int64)
        position = np.searchsorted(self._numbers, wanted >> OFFSET_BITS)
        numbers: Rows = self._starts[position] + (wanted & ((1 << OFFSET_BITS) - 1))
        return numbers

    @cached_property
    def indexes(self) -> dict[str, frozenset[int]]:
        """Lance's own indexes of this version by name, each with the fragments that it covers."""
        with translated(self.uri):
            indexes = self.dataset.describe_indices()
        return {i.name: frozenset(number for part in i.segments for number in part.fragment_ids) for i in indexes}

    def uncovered(self, index: str) -> list[int]:
        """Positions of the fragments that came after an index was made."""
        covered = self.indexes.get(index, frozenset())
        return [n for n, fragment in enumerate(self._fragments) if fragment.fragment_id not in covered]

    def rows_in(self, positions: Sequence[int]) -> int:
        """How many rows some fragments ever had."""
        return sum(int(self._starts[n + 1] - self._starts[n]) for n in positions)

    def vectors_in(self, position: int, distance: Distance) -> tuple[Rows, FragmentVectors]:
        """The vectors of a fragment, kept in memory, and their numbers; rows that are gone may be among them."""
        found = self._cache.vectors(self.uri, self._fragments[position], distance)
        return self._starts[position] + found.offsets, found

    @cached_property
    def _kinds(self) -> FieldKinds:
        known = FieldKinds({}, is_full=False)
        for fragment in self._fragments:
            known = known.joined(self._cache.kinds(self.uri, fragment))
        return known

    def _passing(self, wanted: Filter, masked: frozenset[str]) -> Mask:
        masks = [self._cache.passing(self.uri, fragment, wanted, masked) for fragment in self._fragments]
        return np.concatenate([np.empty(0, np.bool_), *masks])

    def _of_sources(self, sources: Collection[str]) -> Mask:
        wanted = distinct(hashes_of(sources))
        masks = [self._cache.sources(self.uri, f).mask(wanted, f.physical_rows) for f in self._fragments]
        return np.concatenate([np.empty(0, np.bool_), *masks])

    def _span(self, position: int) -> slice:
        return slice(int(self._starts[position]), int(self._starts[position + 1]))

    def _addresses(self, rows: Rows) -> Rows:
        if len(rows) and not (rows.min() >= 0 and rows.max() < self.end):
            raise NotFound(f"rows run from 0 to {self.end - 1}; {int(rows.min())} to {int(rows.max())} were asked for")
        position = np.searchsorted(self._starts, rows, side="right") - 1
        addresses: Rows = (self._numbers[position] << OFFSET_BITS) + rows - self._starts[position]
        return addresses

    def _scan(self, columns: Sequence[str], *, where: str | None = None, fragments: list[Any] | None = None) -> Any:
        return self.dataset.scanner(
            columns=list(columns), filter=where, fragments=fragments, with_row_id=True, batch_size=READ_ROWS
        )


def _among(addresses: Rows) -> str:
    return f"_rowid IN ({', '.join(map(str, addresses.tolist()))})" if len(addresses) else "false"
