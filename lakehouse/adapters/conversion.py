"""Conversion in child processes, so that its memory goes with it and its death is one failed ingest.

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
from contextlib import suppress

from lakehouse.adapters.conversion_child import LENGTH
from lakehouse.errors import LakehouseError, TimedOut, Unavailable
from lakehouse.ingest.conversion import ConversionRequest, Converted
from lakehouse.settings import Settings

_MODULE = "lakehouse.adapters.conversion_child"
# A child that has read a large file has grown with it and goes; one for small files serves the next, too: most of the
# time of a small file is the start of a child.
_SMALL_BYTES = 8 << 20
_MOST_WAITING = 2
_IDLE_S = 20.0


class ConversionProcess:
    """A `Converter` whose work is done by children, one conversion at a time each.

    A child is started ahead (`prepare`), while its file is still on the way: the start of Python and DuckDB then costs
    the caller nothing. One that waits for 20 s is ended.
    """

    def __init__(self, settings: Settings) -> None:
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
            output = _ask(child, pickle.dumps((request, self._threads)), self._timeout_s)
            is_sound = True
        except TimeoutError:
            raise TimedOut(
                f"the conversion took longer than {self._timeout_s:g} s and was stopped; split the file,"
                " or raise LAKEHOUSE_INGEST_TIMEOUT_S"
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


def _ask(child: subprocess.Popen[bytes], message: bytes, timeout_s: float) -> bytes:
    """Send a request and read its answer.

    Raises:
        TimeoutError: There was none in time.
        EOFError, BrokenPipeError: The child has ended.
    """
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(message)
    child.stdin.flush()
    deadline = time.monotonic() + timeout_s
    (length,) = LENGTH.unpack(_read(child.stdout.fileno(), LENGTH.size, deadline))
    return _read(child.stdout.fileno(), length, deadline)


def _read(descriptor: int, size: int, deadline: float) -> bytes:
    ready = select.poll()
    ready.register(descriptor, select.POLLIN)
    parts = bytearray()
    while len(parts) < size:
        if not ready.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise TimeoutError
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
