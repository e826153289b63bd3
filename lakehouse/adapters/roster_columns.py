"""Workers and blocks as columns in memory: sorted ids, codes for what repeats, no Python object per row.

A million workers take about 40 MB; a lookup is a binary search.

Belongs here: the columns and how they are searched. Not here: reading them from the store (see roster.py).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lakehouse.validation.plain_text import plain
from lakehouse.validation.roster import Worker

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

_BETWEEN = "\x1f"
_MAX_INTEGER_DIGITS = 19
_MIN_LETTERS = 3


class SortedTexts:
    """Texts in the order of their bytes.

    Args:
        texts: An Arrow array without nulls, in any order.
    """

    def __init__(self, texts: pa.Array) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        large = texts.cast(pa.large_string())
        self.order: NDArray[np.uint64] = pc.array_sort_indices(large).to_numpy()
        self._texts = Texts(large.take(pa.array(self.order)))

    def __len__(self) -> int:
        return len(self._texts)

    def find(self, text: str) -> int:
        """The position of the last text that equals one; -1 when there is none."""
        key = text.encode("utf-8", "replace")
        at = bisect_right(self._texts, key) - 1
        return at if at >= 0 and self._texts[at] == key else -1


class SortedIntegers:
    """Integers in their order, found by their decimal text."""

    def __init__(self, numbers: pa.Array) -> None:
        values = numbers.to_numpy(zero_copy_only=False).astype(np.int64)
        self.order: NDArray[np.int64] = np.argsort(values, kind="stable")
        # A memoryview gives plain integers, with which a binary search costs less than a call of numpy.
        self._values = memoryview(values[self.order])

    def __len__(self) -> int:
        return len(self._values)

    def find(self, text: str) -> int:
        """The position of the last integer that is written so, and not `01` or `1.0`; -1 when there is none."""
        if not text.isascii() or len(text) > _MAX_INTEGER_DIGITS or not text.removeprefix("-").isdecimal():
            return -1
        number = int(text)
        at = bisect_right(self._values, number) - 1
        return at if at >= 0 and self._values[at] == number and str(number) == text else -1


class Texts(Sequence[bytes]):
    """An Arrow array of large strings, read in place."""

    def __init__(self, texts: pa.Array) -> None:
        offsets, data = texts.buffers()[1:]
        first = texts.offset
        self._offsets = memoryview(offsets).cast("B").cast("q")[first : first + len(texts) + 1]
        self._data = memoryview(b"" if data is None else data)

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, index: Any) -> Any:
        return bytes(self._data[self._offsets[index] : self._offsets[index + 1]])


class Categories:
    """A column of few different texts: a small code per row.

    Args:
        texts: A dictionary array; null counts as "".
        order: The rows to take, in their order.
    """

    def __init__(self, texts: pa.Array, order: NDArray[Any]) -> None:
        self._words: list[str] = [*(word or "" for word in texts.dictionary.to_pylist()), ""]
        empty = len(self._words) - 1
        codes = texts.indices.fill_null(empty).to_numpy(zero_copy_only=False)
        smallest = np.uint16 if empty < 1 << 16 else np.uint32
        self._codes = memoryview(codes.astype(smallest)[order])

    def __getitem__(self, row: int) -> str:
        return self._words[self._codes[row]]


class WorkerColumns:
    """Every worker.

    Args:
        table: The columns of `WORKER_COLUMNS`: ids as int64 or text, names as text, the others as dictionaries.
    """

    def __init__(self, table: pa.Table) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        table = table.filter(pc.is_valid(table["worker_id"])).combine_chunks()
        ids = _one(table["worker_id"])
        self._ids: SortedIntegers | SortedTexts = (
            SortedIntegers(ids) if pa.types.is_int64(ids.type) else SortedTexts(ids)
        )
        order = self._ids.order
        names = _one(table["name"]).cast(pa.large_string()).fill_null("")
        self._names = Texts(names.take(pa.array(order)))
        self.given, self.family = _words_at(names, r"\s.*$"), _words_at(names, r"^.*\s")
        self._role, self._city, self._state, self._status = (
            Categories(_one(table[name]), order) for name in ("role", "city", "state", "status")
        )

    def __len__(self) -> int:
        return len(self._ids)

    def find(self, worker_id: str) -> Worker | None:
        """The worker of an id."""
        row = self._ids.find(worker_id)
        if row < 0:
            return None
        name = self._names[row].decode("utf-8", "replace")
        return Worker(name, self._role[row], self._city[row], self._state[row], self._status[row])


class BlockColumns:
    """Who is blocked for whom.

    Args:
        table: `client_id` and `worker_id` as text; a row without one of them blocks nobody.
    """

    def __init__(self, table: pa.Table) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        table = table.filter(pc.and_(pc.is_valid(table["client_id"]), pc.is_valid(table["worker_id"]))).combine_chunks()
        clients = pc.utf8_lower(pc.utf8_trim_whitespace(_one(table["client_id"]).cast(pa.large_string())))
        workers = _one(table["worker_id"]).cast(pa.large_string())
        self._pairs = SortedTexts(pc.binary_join_element_wise(clients, workers, pa.scalar(_BETWEEN, pa.large_string())))
        self._pairs.order = np.empty(0, np.uint64)  # the pairs have no other columns, so their order is not needed

    def __len__(self) -> int:
        return len(self._pairs)

    def has(self, client_id: str, worker_id: str) -> bool:
        """Whether a worker is blocked for a client."""
        return self._pairs.find(f"{client_id.strip().lower()}{_BETWEEN}{worker_id}") >= 0


def _words_at(names: pa.Array, others: str) -> frozenset[str]:
    """The first, or the last, words of names without the `others`; those of three letters at least, folded."""
    import pyarrow.compute as pc

    trimmed = pc.utf8_trim_whitespace(names)
    words = pc.unique(pc.replace_substring_regex(trimmed, others, "")).to_pylist()
    return frozenset(folded for word in words if len(folded := plain(word).casefold()) >= _MIN_LETTERS)


def _one(column: Any) -> Any:
    """A column as one array."""
    import pyarrow as pa

    if not isinstance(column, pa.ChunkedArray):
        return column
    chunks = column.unify_dictionaries().chunks
    return chunks[0] if len(chunks) == 1 else pa.concat_arrays(chunks) if chunks else pa.array([], column.type)
