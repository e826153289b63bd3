"""Arrays that grow at the end while others read: rows never change, and a reader says up to which row it reads.

Belongs here: one writer, spare capacity, views without a copy. Not here: what the rows mean (see field_columns.py,
lakehouse/adapters/hot_rows.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import DTypeLike, NDArray

_SMALLEST = 16
_FEW = 64


class GrowingArray:
    """A numpy array of rows, appended to by one thread at a time.

    Capacity doubles, so each row is copied about once; spare pages take no memory until they are written. A reader may
    read any row that was appended before it began.

    Args:
        dtype: Of the values.
        width: Values a row; None for an array of one dimension.
    """

    def __init__(self, dtype: DTypeLike, width: int | None = None) -> None:
        self._inner: tuple[int, ...] = () if width is None else (width,)
        self._array: NDArray[Any] = np.empty((0, *self._inner), dtype)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, values: NDArray[Any]) -> None:
        """Add rows."""
        if not len(values):
            return  # nothing to write: an adopted array may be read-only
        end = self._count + len(values)
        self.reserve(end)
        self._array[self._count : end] = values
        self._count = end

    def reserve(self, rows: int) -> None:
        """Make room for so many rows in all."""
        if rows > len(self._array):
            grown = np.empty((max(rows, 2 * len(self._array), _SMALLEST), *self._inner), self._array.dtype)
            grown[: self._count] = self._array[: self._count]
            self._array = grown

    def adopt(self, values: NDArray[Any]) -> None:
        """Make an array all the rows, without a copy; it may be read-only, as the next `append` copies it."""
        self._array, self._count = values, len(values)

    def view(self, start: int = 0, end: int | None = None) -> NDArray[Any]:
        """Rows `start` to `end` without a copy; only the appending thread may write to it."""
        return self._array[start : self._count if end is None else end]

    @property
    def bytes(self) -> int:
        """Memory of the rows that are there."""
        return self._count * (self._array.nbytes // max(1, len(self._array)))


class GrowingStrings:
    """Texts as Arrow keeps them, bytes and offsets, appended to by one thread at a time."""

    def __init__(self) -> None:
        self._data = GrowingArray(np.uint8)
        self._offsets = GrowingArray(np.int64)
        self._offsets.append(np.zeros(1, np.int64))

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def append(self, texts: pa.Array | pa.ChunkedArray | Sequence[str]) -> None:
        """Add texts; null is kept as the empty one."""
        array = texts if isinstance(texts, pa.Array | pa.ChunkedArray) else pa.array(texts, pa.large_string())
        for chunk in array.chunks if isinstance(array, pa.ChunkedArray) else [array]:
            self._append(chunk.cast(pa.large_string()).fill_null(""))

    def adopt(self, texts: pa.LargeStringArray) -> None:
        """Take over as all texts what may stand in a mapped file, without a copy of their bytes.

        Readers may go on meanwhile where these are the very texts that are there.

        Args:
            texts: Without nulls.
        """
        _, offset_buffer, data_buffer = texts.buffers()
        offsets = np.frombuffer(offset_buffer, np.int64)[texts.offset : texts.offset + len(texts) + 1]
        data = np.frombuffer(data_buffer or b"", np.uint8)[offsets[0] : offsets[-1]]
        self._data.adopt(data)
        self._offsets.adopt(offsets - offsets[0])

    def view(self, start: int = 0, end: int | None = None) -> pa.LargeStringArray:
        """Texts `start` to `end` as an Arrow array without a copy."""
        stop = len(self) if end is None else end
        offsets = self._offsets.view(start, stop + 1)
        data = self._data.view()
        return pa.LargeStringArray.from_buffers(stop - start, pa.py_buffer(offsets), pa.py_buffer(data))

    def bytes_of(self, rows: NDArray[np.int64]) -> list[bytes]:
        """The texts of some rows as UTF-8."""
        return [piece.tobytes() for piece in self._pieces(rows)]

    def texts_of(self, rows: NDArray[np.int64]) -> list[str]:
        """The texts of some rows."""
        return [str(piece, "utf-8") for piece in self._pieces(rows)]

    @property
    def bytes(self) -> int:
        """Memory of the texts that are there."""
        return self._data.bytes + self._offsets.bytes

    def _pieces(self, rows: NDArray[np.int64]) -> list[memoryview]:
        offsets = self._offsets.view()
        data: memoryview = self._data.view().data
        if len(rows) <= _FEW:  # for few rows a loop is quicker than numpy calls
            ends = offsets.data
            return [data[ends[row] : ends[row + 1]] for row in rows.tolist()]
        return [data[a:b] for a, b in zip(offsets[rows].tolist(), offsets[rows + 1].tolist(), strict=True)]

    def _append(self, array: pa.LargeStringArray) -> None:
        if not len(array):
            return
        _, offset_buffer, data_buffer = array.buffers()
        offsets = np.frombuffer(offset_buffer, np.int64)[array.offset : array.offset + len(array) + 1]
        if data_buffer is not None:
            self._data.append(np.frombuffer(data_buffer, np.uint8)[offsets[0] : offsets[-1]])
        # The bytes go in first, so that a reader that sees the offsets finds them.
        self._offsets.append(offsets[1:] - offsets[0] + self._offsets.view()[-1])
