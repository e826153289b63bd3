"""What `/v1/triage` takes and answers.

Belongs here: its shapes. Not here: what they mean (see lakehouse/triage).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lakehouse.tables.reserved import MASK
from lakehouse.triage.decision import MOST_NAME, MOST_NOTE
from lakehouse.triage.item import Item
from lakehouse_api.schemas.request_body import RequestBody

_ID = "5a0c7a1d6f0f8d3b4f0e6f3c2b1a9d8e"
_ITEM: dict[str, Any] = {
    "item_id": _ID,
    "kind": "validator_conflict",
    "state": "open",
    "version": 1,
    "about": "run",
    "of": "0198f0c2-7c1e-7f43-9a51-0f6a3a1d2b3c",
    "task_id": None,
    "detail": {"stream": "chat_calls", "dt": "2026-03-01", "score": "needs_human_review"},
    "reasons": ["a validator passed it, and a judge rejects it"],
    "priority": 60,
    "priority_reasons": ["60: rules and a model contradict each other: one of them is wrong, and will be again"],
    "created_at": "2026-03-01T10:00:00.000000Z",
    "assignee": None,
    "decision": None,
}


class TriageDecision(BaseModel):
    """What was decided, by whom, when."""

    verdict: Literal["accept", "edit", "reject"]
    by: str
    at: str
    note: str = Field(description="Why; `[masked]` without the scope `pii`.")
    output_sha256: str | None = Field(description="SHA-256 of the text of an edit.")


class TriageItem(BaseModel):
    """One item of the queue."""

    model_config = ConfigDict(json_schema_extra={"example": _ITEM})

    item_id: str = Field(examples=[_ID])
    kind: Literal["suspected_pii", "validator_conflict", "drift", "reviewer_disagreement", "needs_review"]
    state: Literal["open", "assigned", "decided", "withdrawn"]
    version: int = Field(description="A decision names it; it rises with every change.")
    about: Literal["run", "pii", "review", "drift"]
    of: str = Field(description="The run's id, or what else it is about.")
    task_id: str | None
    detail: dict[str, Any]
    reasons: list[str] = Field(description="Why a person is needed.")
    priority: int = Field(description="Higher is more urgent.")
    priority_reasons: list[str]
    created_at: str
    assignee: str | None
    decision: TriageDecision | None

    @classmethod
    def fields_of(cls, item: Item, *, has_pii: bool) -> dict[str, Any]:
        """The members of an item; what a person wrote shows to those who may see personal data."""
        decided = None if item.decided is None else asdict(item.decided)
        if decided is not None and decided["note"] and not has_pii:
            decided["note"] = MASK
        return {
            "item_id": item.item_id,
            "kind": item.kind,
            "state": item.state,
            "version": item.version,
            "about": item.subject.about,
            "of": item.subject.of,
            "task_id": item.subject.task_id,
            "detail": dict(item.subject.detail),
            "reasons": list(item.reasons),
            "priority": item.priority,
            "priority_reasons": list(item.priority_reasons),
            "created_at": item.created_at,
            "assignee": item.assignee,
            "decision": decided,
        }

    @classmethod
    def of_item(cls, item: Item, *, has_pii: bool) -> TriageItem:
        """The answer for an item."""
        return cls(**cls.fields_of(item, has_pii=has_pii))


class TriageItemInFull(TriageItem):
    """An item with what a person needs to see; without the scope `pii` that is withheld."""

    model_config = ConfigDict(json_schema_extra={"example": {**_ITEM, "context": None, "is_withheld": True}})

    context: dict[str, Any] | None
    is_withheld: bool = Field(description="Whether the context needs the scope `pii`, which the token lacks.")


class TriagePage(BaseModel):
    """Items, the most urgent first, and where the next page begins."""

    model_config = ConfigDict(json_schema_extra={"example": {"items": [_ITEM], "next": None, "open": 1, "assigned": 0}})

    items: list[TriageItem]
    next: str | None = Field(description="`after` of the next page; null: this is the last.")
    open: int = Field(description="Items that wait and are nobody's.")
    assigned: int = Field(description="Items that are somebody's.")


class TriageChoice(RequestBody):
    """A decision on an item."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"decision": "accept", "version": 1, "note": "the judge misread it"}},
    )

    decision: Literal["accept", "edit", "reject", "assign"]
    version: int = Field(ge=1, description="Of the item that was looked at.")
    note: str = Field("", max_length=MOST_NOTE, description="Why.")
    output: str | None = Field(None, description="Of an edit: what should have been answered.")
    assignee: str | None = Field(None, max_length=MOST_NAME, description="Of an assignment: whom to; empty: nobody.")
    by: str | None = Field(
        None,
        min_length=1,
        max_length=MOST_NAME,
        description="Who decides, where the token has the scope `admin`; else it is the token's name.",
    )
