"""The access log: one JSON line per request on standard output, gathered and written a few times a second.

A write for each request costs more than many a request does. What was gathered is written at shutdown; a `kill -9`
loses the lines of the last tenth of a second, and no others.

Belongs here: gathering and writing. Not here: what a line says (see middleware_context.py).
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson

LOGGER = "lakehouse.access"
_GATHER_S = 0.1
_MAX_GATHERED = 1000


class AccessLog:
    """Lines of one event loop.

    Args:
        write: Takes whole lines of text; standard output by default.
    """

    def __init__(self, write: Callable[[str], object] | None = None) -> None:
        self._write = write or _write_to_stdout
        self._lines: list[bytes] = []
        self._is_enabled = logging.getLogger(LOGGER).isEnabledFor

    def add(self, **fields: Any) -> None:
        """Gather one line; its time is now."""
        if not self._is_enabled(logging.INFO):
            return
        if not self._lines:
            asyncio.get_running_loop().call_later(_GATHER_S, self.flush)
        at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        line = {**fields, "event": "request", "level": "info", "logger": LOGGER, "at": at}
        self._lines.append(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE, default=str))
        if len(self._lines) >= _MAX_GATHERED:
            self.flush()

    def flush(self) -> None:
        """Write what was gathered."""
        lines, self._lines = self._lines, []
        if lines:
            self._write(b"".join(lines).decode("utf-8", "replace"))


def _write_to_stdout(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
