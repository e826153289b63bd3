"""Frames between a SQL worker and its parent: one byte of kind, four of length, the payload.

Belongs here: writing them, with a thread that writes while the next ones are made. Not here: what they mean (see
sql_worker.py).
"""

from __future__ import annotations

import io
import os
import queue
import struct
import threading
from collections.abc import Callable
from typing import Any, Self

FRAME = struct.Struct("<cI")
FRAME_BYTES = 1 << 20
_AHEAD = 4


def write_all(descriptor: int, *parts: bytes | memoryview) -> None:
    """Write some buffers one after the other, without putting them together first."""
    left = [memoryview(part).cast("B") for part in parts if len(part)]
    while left:
        written = os.writev(descriptor, left)
        while left and written >= len(left[0]):
            written -= len(left.pop(0))
        if left:
            left[0] = left[0][written:]


class FrameWriter(io.RawIOBase):
    """A file whose writes become frames, sent by a thread of its own: the engine works while the pipe is written.

    A few frames at most wait, so that a reader who is slow stops the engine. What is written is copied: memory that is
    handed to a file is the caller's again as soon as the call returns.

    Raises:
        OSError: From the next write, or at the end, when a frame could not be sent.
    """

    def __init__(self, send: Callable[[bytes, bytes], None]) -> None:
        self._send = send
        self._queue: queue.Queue[bytes | None] = queue.Queue(_AHEAD)
        self._fault: OSError | None = None
        self._thread = threading.Thread(target=self._run, name="frames", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: object, *error: object) -> None:
        self._queue.put(None)
        self._thread.join()
        if self._fault is not None and kind is None:
            raise self._fault

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if self._fault is not None:
            raise self._fault
        view = memoryview(data).cast("B")
        for start in range(0, len(view), FRAME_BYTES):
            self._queue.put(bytes(view[start : start + FRAME_BYTES]))
        return len(view)

    def _run(self) -> None:
        while (frame := self._queue.get()) is not None:
            if self._fault is not None:
                continue  # the pipe is broken; frames are still taken, so that the writer does not block for ever
            try:
                self._send(b"D", frame)
            except OSError as error:
                self._fault = error
