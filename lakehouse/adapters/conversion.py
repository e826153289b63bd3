"""Conversion in a child process, so that its memory goes with it and its death is one failed ingest.

Belongs here: starting, timing and reading the child. Not here: what it does (see conversion_child.py).
"""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from collections import deque
from contextlib import suppress

from lakehouse.errors import LakehouseError, TimedOut, Unavailable
from lakehouse.ingest.conversion import ConversionRequest, Converted
from lakehouse.settings import Settings

_MODULE = "lakehouse.adapters.conversion_child"


class ConversionProcess:
    """A `Converter` that runs each conversion in a child of its own.

    A child is started ahead (`prepare`), while its file is still on the way: the start of Python and DuckDB then costs
    the caller nothing.
    """

    def __init__(self, settings: Settings) -> None:
        self._timeout_s = settings.ingest_timeout_s
        self._threads = settings.ingest_threads
        self._waiting: deque[subprocess.Popen[bytes]] = deque()
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Start a child that waits for its request, unless one waits already."""
        with self._lock:
            if not self._waiting:
                self._waiting.append(self._start())

    def close(self) -> None:
        """End a child that waits."""
        with self._lock:
            while self._waiting:
                _end(self._waiting.pop())

    def convert(self, request: ConversionRequest) -> Converted:
        """Convert one file; see `lakehouse.ingest.conversion.Converter`."""
        child = self._take()
        try:
            output, _ = child.communicate(pickle.dumps((request, self._threads)), timeout=self._timeout_s)
        except subprocess.TimeoutExpired:
            raise TimedOut(
                f"the conversion took longer than {self._timeout_s:g} s and was stopped; split the file,"
                " or raise LAKEHOUSE_INGEST_TIMEOUT_S"
            ) from None
        except BrokenPipeError:
            output = b""
        finally:
            _end(child)
        if child.returncode != 0 or not output:
            raise Unavailable(
                f"the conversion process ended with {child.returncode} before it was done; try again",
                retry_after_s=5,
            )
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

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-m", _MODULE], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.kill()
    for stream in (child.stdin, child.stdout):
        if stream is not None:
            with suppress(OSError):
                stream.close()
    child.wait()
