"""What a build did: its progress while it runs, its report and receipt when it is done.

Belongs here: the numbers. Not here: the build (see corpus_builder.py), how they are shown (see
lakehouse_assets/corpus_metadata.py, lakehouse_cli/corpus_commands.py).
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from lakehouse.receipts.receipt import Receipt, ReceiptCounts, ReceiptItem

ASSET = "corpus"


@dataclass(slots=True)
class BuildProgress:
    """How far a build is. `total` are rows of the source, None when unknown; `seen` of them were read.

    Rows of the corpus were `embedded`, `reused` (written with the known vector of the same text) or `unchanged` (not
    written); `refused` rows of the source are not in the corpus.
    """

    total: int | None = None
    seen: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    embedded: int = 0
    reused: int = 0
    deleted: int = 0
    refused: int = 0
    seconds: float = 0.0

    @property
    def rows_per_s(self) -> float:
        """Rows of the corpus that were made or compared in a second."""
        return (self.new + self.changed + self.unchanged) / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class BuildReport:
    """One part of a corpus after a build. `is_changed` False: what serves has not changed.

    `is_waiting` says that the part is built but serves only when the other parts are rebuilt, too.
    """

    corpus: str
    part: str
    embedder: str
    dimension: int
    progress: BuildProgress
    rows: int
    version: int
    revision: str
    uri: str
    fragments: int
    is_changed: bool
    is_waiting: bool = False
    has_memo: bool = False
    inputs: tuple[ReceiptItem, ...] = ()
    fingerprint: str = ""
    source_fingerprint: str = ""
    quarantine_key: str | None = None

    @property
    def content(self) -> str:
        """SHA-256 hex, the same exactly when declaration and source are the same."""
        return hashlib.sha256(f"{self.fingerprint}.{self.source_fingerprint}".encode()).hexdigest()

    def to_document(self) -> dict[str, Any]:
        """The report as JSON has it, with what follows from it."""
        return {**asdict(self), "rows_per_s": round(self.progress.rows_per_s, 1), "content": self.content}

    def receipt(
        self, *, run_id: str, code_version: str, git_commit: str, started_at: datetime, now: datetime
    ) -> Receipt:
        """The receipt of this part: its source in, its rows out."""
        done = self.progress
        return Receipt(
            asset=ASSET,
            partition=self.corpus if self.part == "all" else f"{self.corpus}.{self.part}",
            run_id=run_id,
            code_version=code_version,
            git_commit=git_commit,
            started_at=started_at,
            ended_at=now,
            inputs=self.inputs,
            outputs=(ReceiptItem(self.uri, self.content, self.rows),),
            counts=ReceiptCounts(
                taken=done.new + done.changed + done.unchanged + done.refused,
                new=done.new,
                corrected=done.changed,
                duplicate=done.unchanged,
                quarantined=done.refused,
                out=self.rows,
            ),
        )
