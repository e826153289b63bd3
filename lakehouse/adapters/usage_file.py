"""The usage meter's file in the data folder: what was spent outlives the process.

Belongs here: reading and replacing the file. Not here: the meter (see lakehouse/chat/usage.py).
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import orjson
import structlog

from lakehouse.chat.usage import UsageMeter

_log = structlog.get_logger("lakehouse.chat")


class UsageFile:
    """Keeps one meter in one file; used by one thread at a time.

    Args:
        path: The file; its folder is made.
        meter: What is kept.
    """

    def __init__(self, path: Path, meter: UsageMeter) -> None:
        self._path = path
        self._meter = meter
        self._saved = 0

    def load(self) -> None:
        """Take in what an earlier process spent; a file that cannot be read is put aside and told."""
        try:
            self._meter.load(orjson.loads(self._path.read_bytes()))
        except FileNotFoundError:
            return
        except (OSError, KeyError, TypeError, ValueError) as error:
            aside = self._path.with_suffix(".unreadable")
            with contextlib.suppress(OSError):
                self._path.replace(aside)
            _log.error("chat_usage_unreadable", reason=str(error)[:200], kept_as=aside.name)

    def save(self) -> None:
        """Write the meter if it has counted since the last time; a full disk is told, and stops nothing."""
        changes = self._meter.changes
        if changes == self._saved:
            return
        part = self._path.with_suffix(".part")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(orjson.dumps(self._meter.dump()))
            part.replace(self._path)
        except (OSError, TypeError) as error:  # TypeError: a sum past 64 bits
            _log.warning("chat_usage_not_saved", reason=str(error)[:200])
        else:
            self._saved = changes
