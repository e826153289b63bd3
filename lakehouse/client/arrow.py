"""Arrow on the wire: tables that are sent, streams that are read as they come.

Belongs here: the two directions. Not here: HTTP. pyarrow is loaded when it is needed.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

_BUFFER_BYTES = 1 << 20


def encode_table(table: pa.Table | pa.RecordBatch) -> bytes:
    """A table as an Arrow IPC stream."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write(table)
    return bytes(sink.getvalue())


def open_reader(next_chunk: Callable[[], bytes]) -> Any:
    """A `pyarrow.RecordBatchReader` over chunks of an IPC stream; `next_chunk` gives b"" at the end."""
    import pyarrow as pa

    return pa.ipc.open_stream(io.BufferedReader(_Chunks(next_chunk), _BUFFER_BYTES))


def read_batch(reader: Any) -> Any | None:
    """The next `pyarrow.RecordBatch`, None behind the last."""
    try:
        return reader.read_next_batch()
    except StopIteration:
        return None


class _Chunks(io.RawIOBase):
    """Chunks as a file."""

    def __init__(self, next_chunk: Callable[[], bytes]) -> None:
        super().__init__()
        self._next_chunk = next_chunk
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            self._left = memoryview(self._next_chunk())
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count
