"""What listing and bulk recording of playbooks answer (CONTRACTS.md section 7).

Belongs here: their shapes. Not here: single records (see matrix.py).
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct
from pydantic import BaseModel, Field


class PlaybookBulkResult(Struct, omit_defaults=True):
    """What became of one record: `ok` with its entry, or the error that refused it."""

    ok: bool
    playbook_id: str | None = None
    merged: bool | None = None
    revision: str | None = None
    error: str | None = None


class PlaybookBulkAnswer(Struct):
    """One result per record, in order."""

    results: list[PlaybookBulkResult]


class PlaybookView(BaseModel):
    """An entry with what stands behind it."""

    playbook_id: str
    query: str = Field(description="Masked without the scope `pii`.")
    answer_id: str
    answer_corpus: str | None
    tags: list[str]
    created_at: datetime | None
    evidence: int = Field(description="Judgements that count.")
    mean_score: float = Field(description="Their mean, undecayed; -1 failed, 1 worked.")


class PlaybookList(BaseModel):
    """A page of entries, oldest first; `next` is the `start_after` of the following page."""

    playbooks: list[PlaybookView]
    next: str | None
