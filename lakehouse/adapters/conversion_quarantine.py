"""The quarantine file of one conversion: refused records as JSON lines, gathered and written a megabyte at a time.

Belongs here: the file and its line format. Not here: why a record is refused (see lakehouse/ingest/csv_scanner.py).
"""

from __future__ import annotations

from pathlib import Path

import orjson

from lakehouse.ingest.csv_scanner import BadRecord

_PENDING_BYTES = 1 << 20


class Quarantine:
    """Collects bad records, or refuses the file at the first one.

    Args:
        path: The file, made at the first record.
        is_open: False when a bad record refuses the file.
    """

    def __init__(self, path: Path, *, is_open: bool) -> None:
        self._path = path
        self._is_open = is_open
        self._pending = bytearray()
        self.count = 0

    def take(self, bad: BadRecord) -> None:
        """Keep a record: the row as it came, the reason, where it stood.

        Raises:
            Unprocessable: This quarantine is closed.
        """
        if not self._is_open:
            raise bad.error("")
        line = {"format_version": 1, "raw": bad.raw, "reason": bad.reason, "record": bad.record, "line": bad.line}
        self._pending += orjson.dumps(line) + b"\n"
        self.count += 1
        if len(self._pending) > _PENDING_BYTES:
            self._write()

    def file(self) -> Path | None:
        """The file with all that was refused, or None when nothing was."""
        if self._pending:
            self._write()
        return self._path if self.count else None

    def _write(self) -> None:
        with self._path.open("ab") as stream:
            stream.write(self._pending)
        self._pending.clear()


def open_quarantine(work_dir: Path, on_error: str) -> Quarantine:
    """The quarantine that the option `on_error` asks for."""
    return Quarantine(work_dir / "quarantine.jsonl", is_open=on_error == "quarantine")
