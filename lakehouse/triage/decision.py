"""What people decide on items, and who comes second.

A decision names the version of the item that it was made on. Whoever comes second, with another decision or another
person's, is refused with the name of who came first and what was decided; the same decision by the same person is the
same, however often it is sent. What is assigned to somebody is theirs until it is assigned anew.

Belongs here: those rules, and the raw line of a decision. Not here: keeping (see lakehouse/adapters/triage_queue.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from lakehouse.catalog.manifest import format_utc, parse_utc
from lakehouse.errors import BadInput, Conflict
from lakehouse.triage.item import Decided, Item, State, Verdict

Choice = Literal["accept", "edit", "reject", "assign"]
_INTERRUPTED = timedelta(seconds=30)
MOST_NOTE, MOST_OUTPUT_BYTES, MOST_NAME = 10_000, 500_000, 200
# An edit says what should have been answered: the draft is not good as it stands, and a corpus learns from both.
_VERDICTS: Mapping[Verdict, str] = {"accept": "accept", "edit": "reject", "reject": "reject"}


@dataclass(frozen=True, slots=True)
class Asked:
    """A decision as it was asked for.

    Attributes:
        choice: accept, edit, reject or assign.
        by: Who decides.
        version: The version of the item that was looked at.
        note: Why.
        output: What should have been answered, of an edit.
        assignee: Whom it is assigned to; empty: nobody.
    """

    choice: Choice
    by: str
    version: int
    note: str = ""
    output: str | None = None
    assignee: str | None = None

    def __post_init__(self) -> None:
        if not self.by.strip() or len(self.by) > MOST_NAME:
            raise BadInput(f"a decision is somebody's: a name of 1 to {MOST_NAME} characters", field="by")
        if len(self.note) > MOST_NOTE:
            raise BadInput(f"a note has at most {MOST_NOTE} characters", field="note")
        if (self.choice == "edit") != (self.output is not None):
            raise BadInput(
                "an edit, and nothing else, comes with output: what should have been answered", field="output"
            )
        if self.output is not None and not self.output.strip():
            raise BadInput(
                "the output of an edit is empty; reject the item where nothing should be answered", field="output"
            )
        if self.output is not None and len(self.output.encode("utf-8", "replace")) > MOST_OUTPUT_BYTES:
            raise BadInput(f"the output of an edit has at most {MOST_OUTPUT_BYTES} bytes", field="output")
        if (self.choice == "assign") != (self.assignee is not None):
            raise BadInput("an assignment, and nothing else, comes with an assignee (empty: nobody)", field="assignee")
        if self.assignee is not None and len(self.assignee) > MOST_NAME:
            raise BadInput(f"an assignee has at most {MOST_NAME} characters", field="assignee")

    @property
    def output_sha256(self) -> str | None:
        """SHA-256 of the text of an edit."""
        return None if self.output is None else hashlib.sha256(self.output.encode("utf-8", "replace")).hexdigest()


def decide(item: Item, asked: Asked, *, at: datetime) -> Item:
    """The item after a decision; the same item where it was decided so before.

    Raises:
        Conflict: Somebody else came first, or it has changed since it was looked at.
        BadInput: There is nothing to edit.
    """
    if item.decided is not None:
        if asked.choice != "assign" and _is_same(item.decided, asked):
            return item
        raise Conflict(
            f"item {item.item_id} was decided by {item.decided.by} at {item.decided.at}: {item.decided.verdict}",
            item_id=item.item_id, decided_by=item.decided.by, decision=item.decided.verdict, decided_at=item.decided.at,
        )  # fmt: skip
    if asked.choice == "assign" and item.is_active and (item.assignee or "") == asked.assignee:
        return item
    if item.state == "withdrawn":
        raise Conflict(f"item {item.item_id} was withdrawn: nothing asks for a person any more", item_id=item.item_id)
    if item.version != asked.version:
        whose = f"; it is assigned to {item.assignee}" if item.assignee else ""
        raise Conflict(
            f"item {item.item_id} has changed since version {asked.version}: look at version {item.version}{whose}",
            item_id=item.item_id, version=item.version, assignee=item.assignee,
        )  # fmt: skip
    if asked.choice == "assign":
        state: State = "assigned" if asked.assignee else "open"
        return replace(item, version=item.version + 1, state=state, assignee=asked.assignee or None)
    if item.assignee is not None and item.assignee != asked.by:
        raise Conflict(
            f"item {item.item_id} is assigned to {item.assignee}; assign it to {asked.by} first",
            item_id=item.item_id, assignee=item.assignee,
        )  # fmt: skip
    if asked.choice == "edit" and item.subject.about != "run":
        raise BadInput(f"item {item.item_id} has no draft that could be edited; accept or reject it")
    decided = Decided(asked.choice, asked.by, format_utc(at), asked.note, asked.output_sha256)
    return replace(item, version=item.version + 1, state="decided", decided=decided, output=asked.output)


def withdraw(item: Item) -> Item:
    """The item once nothing asks for a person any more."""
    return replace(item, version=item.version + 1, state="withdrawn")


def is_interrupted(item: Item, now: datetime) -> bool:
    """Whether an item was decided so long ago, and is not in the run log, that whoever was at it is gone."""
    at = None if item.decided is None else parse_utc(item.decided.at)
    return at is not None and not item.is_logged and now - at > _INTERRUPTED


def logged(item: Item) -> Item:
    """A decided item once its decision is in the run log, which holds the text of an edit from there on."""
    return replace(item, is_logged=True, output=None)


def refreshed(item: Item, asks: Item) -> Item:
    """An item that waits, with what asks for a person now; the same item where that is what it was."""
    same = ("kind", "reasons", "priority", "priority_reasons", "subject")
    if all(getattr(item, name) == getattr(asks, name) for name in same):
        return item
    return replace(
        item,
        version=item.version + 1,
        kind=asks.kind,
        reasons=asks.reasons,
        priority=asks.priority,
        priority_reasons=asks.priority_reasons,
        subject=asks.subject,
    )


def line_of(item: Item) -> dict[str, Any]:
    """The raw line of a decision in the stream `reviews`: a person's word on what the item is about.

    Its run id is the item's, so that a line that is written again is the same record.
    """
    decided = item.decided
    if decided is None:
        raise BadInput(f"item {item.item_id} is not decided; there is nothing to log")
    return {
        "run_id": f"triage/{item.item_id}",
        "task_id": item.subject.task_id,
        "actor": decided.by,
        "review_of": item.subject.of,
        "by": decided.by,
        "is_human": True,
        "verdict": _VERDICTS[decided.verdict],
        "notes": [decided.note] if decided.note else [],
        **({} if item.output is None else {"output": item.output}),
        "decision": decided.verdict,
        "decided_at": decided.at,
        "item_id": item.item_id,
        "item_kind": item.kind,
    }


def _is_same(decided: Decided, asked: Asked) -> bool:
    return (decided.verdict, decided.by, decided.output_sha256) == (asked.choice, asked.by, asked.output_sha256)
