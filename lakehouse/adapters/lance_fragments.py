"""What is known of the fragments of a Lance table: ids, sources, rows that pass a filter, fields, fresh vectors.

A fragment's rows never change and are only deleted, so what was read of a fragment holds for every later version that
has it, and after a write only the new fragments are read.

Belongs here: reading these things of one fragment, keeping them. Not here: rows of a whole version (see
lance_rows.py).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from lakehouse.adapters.lance_engine import translated
from lakehouse.adapters.lance_search import matrix_of
from lakehouse.retrieval.filters import Filter, Kind
from lakehouse.retrieval.metadata_columns import MAX_FIELDS, MetadataColumns, read_metadata
from lakehouse.retrieval.row_batch import Distance, check_vectors
from lakehouse.retrieval.source_table import sources_of

if TYPE_CHECKING:
    import pyarrow as pa

Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]
RECENT_BYTES = 64 << 20
READ_ROWS = 8_192
OFFSET_BITS = 32
_OFFSETS = (1 << OFFSET_BITS) - 1
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class FragmentIds:
    """The ids of a fragment as hashes, ascending, each with its row in the fragment."""

    hashes: Rows
    offsets: NDArray[np.uint32]

    @property
    def nbytes(self) -> int:
        """Memory of it."""
        return int(self.hashes.nbytes + self.offsets.nbytes)

    def find(self, wanted: Rows) -> tuple[Rows, Rows]:
        """Of wanted hashes those that are here: their positions among the wanted, and their rows."""
        if not len(self.hashes):
            return np.empty(0, np.int64), np.empty(0, np.int64)
        at = np.minimum(np.searchsorted(self.hashes, wanted), len(self.hashes) - 1)
        is_here = self.hashes[at] == wanted
        return np.flatnonzero(is_here), self.offsets[at[is_here]].astype(np.int64)


@dataclass(frozen=True, slots=True)
class FragmentSources:
    """The sources of a fragment's chunks: different hashes, ascending, and for each chunk its row and the hash's place.

    A row that is no chunk (see lakehouse/retrieval/source_table.py) is not here.
    """

    hashes: Rows
    places: NDArray[np.uint32]
    offsets: NDArray[np.uint32]

    def mask(self, wanted: Rows, rows: int) -> Mask:
        """Which of a fragment's rows are chunks of sources whose hashes, ascending, are wanted."""
        mask = np.zeros(rows, np.bool_)
        if len(wanted) and len(self.hashes):
            at = np.minimum(np.searchsorted(wanted, self.hashes), len(wanted) - 1)
            mask[self.offsets[(wanted[at] == self.hashes)[self.places]]] = True
        return mask

    @property
    def nbytes(self) -> int:
        """Memory of it."""
        return int(self.hashes.nbytes + self.places.nbytes + self.offsets.nbytes)


@dataclass(frozen=True, slots=True)
class FieldKinds:
    """The metadata fields with the kinds of their values; past `MAX_FIELDS` there may be others (`is_full`)."""

    kinds: dict[str, frozenset[Kind]]
    is_full: bool

    def joined(self, other: FieldKinds) -> FieldKinds:
        """The fields of both."""
        names = dict.fromkeys([*self.kinds, *other.kinds])
        none = frozenset[Kind]()
        kinds = {n: self.kinds.get(n, none) | other.kinds.get(n, none) for n in list(names)[:MAX_FIELDS]}
        return FieldKinds(kinds, self.is_full or other.is_full or len(names) >= MAX_FIELDS)


@dataclass(frozen=True, slots=True)
class FragmentVectors:
    """The vectors of a small fragment as they are compared (n, dimension), with their ids and rows."""

    offsets: Rows
    ids: pa.Array
    vectors: NDArray[np.float32]

    @property
    def nbytes(self) -> int:
        """Memory of it."""
        return int(self.offsets.nbytes + self.ids.nbytes + self.vectors.nbytes)


_R = TypeVar("_R", Mask, FragmentVectors)


class FragmentCache:
    """A cache of what was read of a corpus's fragments, for many threads; the oldest masks and vectors are dropped."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reading = threading.RLock()
        self._kept: dict[tuple[Hashable, ...], Any] = {}
        self._newest: OrderedDict[tuple[Hashable, ...], Mask | FragmentVectors] = OrderedDict()

    def ids(self, uri: str, fragment: Any) -> FragmentIds:
        """The ids of a fragment."""
        return self._keep((uri, fragment.fragment_id, "ids"), lambda: _read_ids(uri, fragment))

    def sources(self, uri: str, fragment: Any) -> FragmentSources:
        """The sources of a fragment's chunks."""
        return self._keep((uri, fragment.fragment_id, "sources"), lambda: _read_sources(uri, fragment))

    def kinds(self, uri: str, fragment: Any) -> FieldKinds:
        """The metadata fields of a fragment."""
        return self._keep((uri, fragment.fragment_id, "kinds"), lambda: _read_metadata(uri, fragment, None)[0])

    def passing(self, uri: str, fragment: Any, filter: Filter, masked: frozenset[str]) -> Mask:  # noqa: A002
        """Which rows of a fragment pass a filter, one bool a row; the values of deleted rows mean nothing."""

        def read() -> Mask:
            kinds, mask = _read_metadata(uri, fragment, (filter, masked))
            self._keep((uri, fragment.fragment_id, "kinds"), lambda: kinds)
            return mask

        return self._recent((uri, fragment.fragment_id, filter, masked), read)

    def vectors(self, uri: str, fragment: Any, distance: Distance) -> FragmentVectors:
        """The vectors of a fragment; for those that no index has yet."""
        key = (uri, fragment.fragment_id, "vectors")
        return self._recent(key, lambda: _read_vectors(uri, fragment, distance))

    def living(self, uri: str, fragment: Any) -> Mask:
        """Which rows of a fragment are there, one bool a row."""
        return self._recent(
            (uri, fragment.fragment_id, "living", fragment.num_deletions), lambda: read_living(uri, fragment)
        )

    def forget_others(self, uri: str, numbers: Collection[int]) -> None:
        """Forget the fragments that the newest version has not."""
        kept = set(numbers)
        with self._lock:
            for store in (self._kept, self._newest):
                for key in [k for k in store if k[0] != uri or k[1] not in kept]:
                    del store[key]

    @property
    def bytes(self) -> int:
        """Memory of what is kept."""
        with self._lock:
            ids = sum(v.nbytes for v in self._kept.values() if isinstance(v, FragmentIds | FragmentSources))
            return int(ids + sum(mask.nbytes for mask in self._newest.values()))

    def _keep(self, key: tuple[Hashable, ...], read: Callable[[], _T]) -> _T:
        with self._lock:
            if key in self._kept:
                return self._kept[key]  # type: ignore[no-any-return]
        with self._reading:
            with self._lock:
                if key in self._kept:
                    return self._kept[key]  # type: ignore[no-any-return]
            made = read()
            with self._lock:
                return self._kept.setdefault(key, made)  # type: ignore[no-any-return]

    def _recent(self, key: tuple[Hashable, ...], read: Callable[[], _R]) -> _R:
        with self._lock:
            if (known := self._newest.get(key)) is not None:
                self._newest.move_to_end(key)
                return cast("_R", known)
        with self._reading:
            with self._lock:
                if (known := self._newest.get(key)) is not None:
                    return cast("_R", known)
            made = read()
            with self._lock:
                self._newest[key] = made
                while len(self._newest) > 1 and sum(m.nbytes for m in self._newest.values()) > RECENT_BYTES:
                    self._newest.popitem(last=False)
            return made


def hashes_of(ids: Collection[str]) -> Rows:
    """The hashes by which this process tells ids apart; lakehouse/retrieval/id_table.py says how sure that is."""
    return np.fromiter(map(hash, ids), np.int64, len(ids))


def offsets_of(batch: pa.RecordBatch | pa.Table, column: str = "_rowaddr") -> Rows:
    """Where the rows of a scan lie in their fragment."""
    addresses: Rows = batch.column(column).to_numpy().astype(np.int64)
    return addresses & _OFFSETS


def _scan(uri: str, fragment: Any, columns: list[str]) -> Iterator[pa.RecordBatch]:
    with translated(uri):
        yield from fragment.scanner(columns=columns, with_row_address=True, batch_size=READ_ROWS).to_batches()


def _read_ids(uri: str, fragment: Any) -> FragmentIds:
    hashes, offsets = [np.empty(0, np.int64)], [np.empty(0, np.uint32)]
    for batch in _scan(uri, fragment, ["id"]):
        hashes.append(hashes_of(batch.column("id").to_pylist()))
        offsets.append(offsets_of(batch).astype(np.uint32))
    all_hashes, all_offsets = np.concatenate(hashes), np.concatenate(offsets)
    order = np.argsort(all_hashes)
    return FragmentIds(all_hashes[order], all_offsets[order])


def _read_sources(uri: str, fragment: Any) -> FragmentSources:
    hashes, offsets = [np.empty(0, np.int64)], [np.empty(0, np.uint32)]
    for batch in _scan(uri, fragment, ["id"]):
        encoded = sources_of(batch.column("id")).dictionary_encode()
        is_chunk = encoded.indices.is_valid().to_numpy(zero_copy_only=False)
        places = encoded.indices.drop_null().to_numpy(zero_copy_only=False)
        hashes.append(hashes_of(encoded.dictionary.to_pylist())[places])
        offsets.append(offsets_of(batch).astype(np.uint32)[is_chunk])
    different, places = np.unique(np.concatenate(hashes), return_inverse=True)
    return FragmentSources(different, places.astype(np.uint32), np.concatenate(offsets))


def read_living(uri: str, fragment: Any) -> Mask:
    """Which rows of a fragment are there, one bool for each that it ever had."""
    mask = np.zeros(fragment.physical_rows, np.bool_)
    for batch in _scan(uri, fragment, []):
        mask[offsets_of(batch)] = True
    return mask


def _read_vectors(uri: str, fragment: Any, distance: Distance) -> FragmentVectors:
    with translated(uri):
        table = fragment.scanner(columns=["id", "vector"], with_row_address=True).to_table()
    vectors = check_vectors(matrix_of(table.column("vector")), distance=distance)
    return FragmentVectors(offsets_of(table), table.column("id").combine_chunks(), vectors)


def _read_metadata(uri: str, fragment: Any, asked: tuple[Filter, frozenset[str]] | None) -> tuple[FieldKinds, Mask]:
    mask = np.zeros(fragment.physical_rows, np.bool_)
    kinds = FieldKinds({}, is_full=False)
    for batch in _scan(uri, fragment, ["metadata"]):
        texts = batch.column("metadata").to_pylist()
        columns = MetadataColumns()
        columns.append(batch.column("metadata"), read_metadata(texts, ids=texts))
        found = columns.field_kinds()
        kinds = kinds.joined(FieldKinds(found, is_full=len(found) >= MAX_FIELDS))
        if asked is not None:
            wanted, masked = asked
            mask[offsets_of(batch)] = columns.evaluate(wanted, 0, len(columns), masked=masked)
    return kinds, mask
