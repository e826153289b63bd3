"""The lines that did not fit, as JSON lines: where each stood, its bytes (bounded), and why.

Belongs here: the form of a quarantine row, the file. Not here: why a line does not fit (see evidence_sql.py and
lakehouse/evidence/fitness.py).
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import orjson


@dataclass(frozen=True, slots=True)
class RefusedLine:
    """A line that did not fit: its place, SHA-256 of all its bytes, the bytes or (`is_cut`) their begin, the reason."""

    source_key: str
    line: int
    sha256: str
    raw: bytes
    is_cut: bool
    reason: str


class LineQuarantine:
    """Writes rows as they come; the file is there only when there was one.

    A row is `{source_key, line, sha256, raw, encoding, is_cut, reason}`: `sha256` is that of all the line's bytes,
    `raw` its begin where it `is_cut`, `encoding` `utf-8` or `base64`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self.count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    @property
    def path(self) -> Path | None:
        """The file, or None where nothing was refused."""
        return self._path if self.count else None

    def take(self, refused: RefusedLine) -> None:
        """Keep one line."""
        text, encoding = _text(refused.raw, is_cut=refused.is_cut)
        row = {
            "source_key": refused.source_key, "line": refused.line, "sha256": refused.sha256, "raw": text,
            "encoding": encoding, "is_cut": refused.is_cut, "reason": refused.reason,
        }  # fmt: skip
        if self._file is None:
            self._file = self._path.open("wb")
        self._file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))
        self.count += 1


def _text(raw: bytes, *, is_cut: bool) -> tuple[str, str]:
    try:
        return raw.decode(), "utf-8"
    except UnicodeDecodeError as error:
        # A cut may go through the last character.
        if is_cut and error.start >= len(raw) - 3:
            return raw[: error.start].decode(), "utf-8"
        return base64.b64encode(raw).decode(), "base64"
