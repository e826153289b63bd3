"""The access log: one JSON line per request on standard output, gathered and written a few times a second.

Encoding and writing each line by itself would cost more than many a request does. The lines that are still gathered at
shutdown are written then; a `kill -9` loses those of the last tenth of a second.

Belongs here: what a line holds, gathering and writing. Not here: filling it in (see middleware_context.py).
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

LOGGER = "lakehouse.access"
_GATHER_S = 0.1
_MAX_GATHERED = 1000


class AccessLine(msgspec.Struct):
    """One request and how it ended; `path` has no query string, which may hold SQL or names of people."""

    request_id: str
    task_id: str | None
    method: str
    path: str
    route: str
    status: int
    elapsed_ms: float
    bytes_in: int
    bytes_out: int
    client: str
    actor: str | None
    event: str = "request"
    level: str = "info"
    logger: str = LOGGER
    at: datetime = msgspec.field(default_factory=lambda: datetime.now(UTC))


class AccessLog:
    """Lines of one event loop.

    Args:
        write: Takes whole lines of text; standard output by default.
    """

    def __init__(self, write: Callable[[str], object] | None = None) -> None:
        self._write = write or _write_to_stdout
        self._lines: list[AccessLine] = []
        self._is_enabled = logging.getLogger(LOGGER).isEnabledFor
        self._encoder = msgspec.json.Encoder()

    def add(self, line: AccessLine) -> None:
        """Gather one line."""
        if not self._is_enabled(logging.INFO):
            return
        if not self._lines:
            asyncio.get_running_loop().call_later(_GATHER_S, self.flush)
        self._lines.append(line)
        if len(self._lines) >= _MAX_GATHERED:
            self.flush()

    def flush(self) -> None:
        """Write what was gathered."""
        lines, self._lines = self._lines, []
        if lines:
            self._write(self._encoder.encode_lines(lines).decode("utf-8", "replace"))


def _write_to_stdout(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
