"""Conversion in child processes: their memory is freed when they end, and a crash is just one failed ingest.

Belongs here: starting, asking, timing and ending children. Not here: what they do (see conversion_child.py).
"""

from __future__ import annotations

import os
import pickle
import select
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from lakehouse.adapters.conversion_child import LENGTH
from lakehouse.errors import InsufficientStorage, LakehouseError, TimedOut, Unavailable
from lakehouse.ingest.conversion import ConversionRequest, Converted
from lakehouse.settings import Settings

_MODULE = "lakehouse.adapters.conversion_child"
# A child that has read a large file has grown and is ended. One that has read a small file is kept for the next, as the
# start of a child takes most of the time of a small file.
_SMALL_BYTES = 8 << 20
_MOST_WAITING = 2
_IDLE_S = 20.0
# The engine's own limit is 2 GiB at the most; one JSON object of many small values takes half as much in Python.
MOST_MEMORY_BYTES = 3 << 30
_LOOK_S = 0.1


class ConversionProcess:
    """A `Converter` whose work is done by children, one conversion at a time each.

    A child is started ahead (`prepare`), while its file is still on the way: the start of Python and DuckDB then costs
    the caller nothing. One that waits for 20 s is ended.

    Args:
        settings: Deadline and threads of a conversion.
        memory_bytes: What a child may take, whatever the file is; one that takes more is ended.
    """

    def __init__(self, settings: Settings, *, memory_bytes: int = MOST_MEMORY_BYTES) -> None:
        self._memory_bytes = memory_bytes
        self._timeout_s = settings.ingest_timeout_s
        self._threads = settings.ingest_threads
        self._waiting: deque[subprocess.Popen[bytes]] = deque()
        self._lock = threading.Lock()
        self._reaper: threading.Timer | None = None

    def prepare(self) -> None:
        """Start a child that waits for its request, unless one waits already."""
        with self._lock:
            if not self._waiting:
                self._waiting.append(self._start())
                self._reap_later()

    def close(self) -> None:
        """End the children that wait."""
        with self._lock:
            if self._reaper is not None:
                self._reaper.cancel()
            while self._waiting:
                _end(self._waiting.pop())

    def convert(self, request: ConversionRequest) -> Converted:
        """Convert one file; see `lakehouse.ingest.conversion.Converter`."""
        is_small = request.source.stat().st_size <= _SMALL_BYTES
        child = self._take()
        is_sound = False
        try:
            message = pickle.dumps((request, self._threads))
            output = _ask(child, message, timeout_s=self._timeout_s, memory_bytes=self._memory_bytes)
            is_sound = True
        except TimeoutError:
            raise TimedOut(
                f"the conversion took longer than {self._timeout_s:g} s and was stopped; split the file,"
                " or raise LAKEHOUSE_INGEST_TIMEOUT_S"
            ) from None
        except MemoryError:
            raise InsufficientStorage(
                f"the conversion took more than {self._memory_bytes >> 20} MiB of memory and was stopped;"
                " split the file, or write it as CSV or JSON lines"
            ) from None
        except (EOFError, BrokenPipeError):
            child.wait()
            raise Unavailable(
                f"the conversion process ended with {child.returncode} before it was done; try again",
                retry_after_s=5,
            ) from None
        finally:
            if not (is_sound and is_small and self._keep(child)):
                _end(child)
        # The bytes come from our own child over its stdout.
        answer: Converted | LakehouseError = pickle.loads(output)  # noqa: S301
        if isinstance(answer, LakehouseError):
            raise answer
        return answer

    def _take(self) -> subprocess.Popen[bytes]:
        with self._lock:
            while self._waiting:
                child = self._waiting.popleft()
                if child.poll() is None:
                    return child
                _end(child)
        return self._start()

    def _keep(self, child: subprocess.Popen[bytes]) -> bool:
        with self._lock:
            if len(self._waiting) >= _MOST_WAITING:
                return False
            self._waiting.append(child)
            self._reap_later()
            return True

    def _reap_later(self) -> None:
        if self._reaper is not None:
            self._reaper.cancel()
        self._reaper = threading.Timer(_IDLE_S, self.close)
        self._reaper.daemon = True
        self._reaper.start()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-m", _MODULE], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _ask(child: subprocess.Popen[bytes], message: bytes, *, timeout_s: float, memory_bytes: int) -> bytes:
    """Send a request and read its answer.

    Raises:
        TimeoutError: There was none in time.
        MemoryError: The child has taken more memory than it may.
        EOFError, BrokenPipeError: The child has ended.
    """
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(message)
    child.stdin.flush()
    deadline = time.monotonic() + timeout_s
    look, descriptor = partial(_check_memory, child.pid, memory_bytes), child.stdout.fileno()
    (length,) = LENGTH.unpack(_read(descriptor, LENGTH.size, deadline, look))
    return _read(descriptor, length, deadline, look)


def _check_memory(pid: int, memory_bytes: int) -> None:
    """Check the child's memory from outside, so that it is noticed whatever the child is busy with."""
    import psutil

    with suppress(psutil.Error):  # the child has ended, which reading its answer tells
        if psutil.Process(pid).memory_info().rss > memory_bytes:
            raise MemoryError


def _read(descriptor: int, size: int, deadline: float, look: Callable[[], None]) -> bytes:
    ready = select.poll()
    ready.register(descriptor, select.POLLIN)
    parts = bytearray()
    while len(parts) < size:
        left_s = deadline - time.monotonic()
        if not ready.poll(max(0.0, min(left_s, _LOOK_S)) * 1000):
            if left_s <= 0:
                raise TimeoutError
            look()
            continue
        part = os.read(descriptor, min(size - len(parts), 1 << 20))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.kill()
    for stream in (child.stdin, child.stdout):
        if stream is not None:
            with suppress(OSError):
                stream.close()
    child.wait()
