"""What listing and bulk recording of playbooks answer (CONTRACTS.md section 7).

Belongs here: their shapes. Not here: single records (see matrix.py).
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct
from pydantic import BaseModel, ConfigDict, Field


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


class PlaybookDeleted(BaseModel):
    """The entry that is gone, and the revision without it."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "playbook_id": "0198f0c2-7c1e-7f43-9a51-0f6a3a1d2b3c",
                "revision": "01a20e5d71b10000-01a20e5d-6443-7336-9c7a-3e9c950a46ce-000000000001-0000",
            }
        }
    )

    playbook_id: str
    revision: str


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

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "playbooks": [
                    {
                        "playbook_id": "0198f0c2-7c1e-7f43-9a51-0f6a3a1d2b3c",
                        "query": "forklift driver, OSHA-30",
                        "answer_id": "1017",
                        "answer_corpus": "workers",
                        "tags": ["fill"],
                        "created_at": "2026-01-01T00:00:00Z",
                        "evidence": 2,
                        "mean_score": 0.5,
                    }
                ],
                "next": None,
            }
        }
    )

    playbooks: list[PlaybookView]
    next: str | None
