"""What somebody ran in the SQL workbench lately: statements with what came of them, for that person alone.

Belongs here: keeping and forgetting statements. Not here: their answers (see results.py).
"""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog

from lakehouse.clock import new_id
from lakehouse_api.ui.kept_files import read_document, write_document

_FORMAT = 1
_MOST = 50
_MOST_CHARACTERS = 1_000_000
_log = structlog.get_logger("lakehouse.ui.history")


@dataclass(frozen=True, slots=True)
class Ran:
    """A statement that was run.

    Attributes:
        at_s: When, since the epoch.
        rows: Of its answer; None where it was refused.
        result_id: The answer, while it is kept.
        refusal: Why there is none.
    """

    id: str
    sql: str
    at_s: float
    rows: int | None = None
    elapsed_ms: float = 0.0
    result_id: str = ""
    refusal: str = ""


class History:
    """The statements of a data folder, a file for each person.

    Args:
        folder: Where they lie.
        keep_s: Seconds that they stay.
    """

    def __init__(self, folder: Path, *, keep_s: float) -> None:
        self._folder = folder
        self._keep_s = keep_s
        self._lock = threading.Lock()

    def of(self, owner: str) -> list[Ran]:
        """What an owner ran, the latest first."""
        found = read_document(self._path(owner))
        if found is None or found.get("format_version") != _FORMAT:
            return []
        oldest_s = time.time() - self._keep_s
        try:
            return [ran for one in found["ran"] if (ran := Ran(**one)).at_s > oldest_s]
        except (KeyError, TypeError):
            return []

    def add(
        self, owner: str, sql: str, *, rows: int | None = None, elapsed_ms: float = 0.0, result_id: str = "",
        refusal: str = "",
    ) -> None:  # fmt: skip
        """Write a statement down, in the place of the same one that was run before; a full disk refuses no query."""
        ran = Ran(new_id(), sql, time.time(), rows, elapsed_ms, result_id, refusal[:1000])
        with self._lock:
            kept, characters = [ran], len(sql)
            for one in self.of(owner):
                characters += len(one.sql)
                if one.sql != sql and len(kept) < _MOST and characters <= _MOST_CHARACTERS:
                    kept.append(one)
            try:
                write_document(self._path(owner), {"format_version": _FORMAT, "ran": [asdict(one) for one in kept]})
            except OSError as error:
                _log.warning("a statement is not written down", reason=error.strerror)

    def forget(self, owner: str) -> None:
        """Take away what an owner ran."""
        with self._lock:
            self._path(owner).unlink(missing_ok=True)

    def expire(self) -> None:
        """Take away what is too old."""
        for path in self._folder.glob("*.json"):
            try:
                is_old = time.time() - path.stat().st_mtime > self._keep_s
            except FileNotFoundError:  # another process has removed it
                continue
            if is_old:
                path.unlink(missing_ok=True)

    def _path(self, owner: str) -> Path:
        return self._folder / f"{hashlib.sha256(owner.encode()).hexdigest()[:32]}.json"
