"""The quarantine of a build: rows that cannot be in the corpus, as JSON lines in the bucket.

Belongs here: the file on its way and its key. Not here: why a row is refused (see lakehouse/retrieval/corpus_rows.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from lakehouse.retrieval.corpus_rows import RefusedRow
from lakehouse.storage.objects import ObjectStore

PREFIX = "quarantine/corpus/"


class CorpusQuarantine:
    """Gathers refused rows on the disk.

    Args:
        folder: Where the file lies; it goes with the folder.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "quarantine.jsonl"
        self.count = 0

    def take(self, rows: Sequence[RefusedRow]) -> None:
        """Add rows."""
        if rows:
            with self._path.open("ab") as stream:
                stream.writelines(row.to_line() for row in rows)
            self.count += len(rows)

    def store(self, objects: ObjectStore, name: str, *, now: datetime) -> str | None:
        """Put the file into the bucket; gives its key, None when nothing was refused."""
        if not self.count:
            return None
        key = f"{PREFIX}dt={now:%Y-%m-%d}/{name}.jsonl"
        objects.put(key, self._path)
        return key
