"""The calls about triage.

Belongs here: what is asked, typed for users. Not here: sending (see transport.py).
"""

from __future__ import annotations

from typing import Any, Literal

from lakehouse.client.call import Call, encode, path_of, query_of, read_json


def list_triage(
    *,
    state: Literal["open", "assigned", "decided"] | None = None,
    kind: str | None = None,
    assignee: str | None = None,
    limit: int | None = None,
    after: str | None = None,
) -> Call[dict[str, Any]]:
    """List what needs a person, the most urgent first.

    Args:
        state: Without it, what is open or assigned.
        kind: suspected_pii, validator_conflict, drift, reviewer_disagreement or needs_review.
        assignee: Whose they are.
        limit: Most items of a page.
        after: `next` of the page before.
    """
    params = query_of(state=state, kind=kind, assignee=assignee, limit=limit, after=after)
    return Call("GET", path_of("v1", "triage"), read_json, params=params)


def get_triage_item(item_id: str) -> Call[dict[str, Any]]:
    """Read an item with what a person needs to see.

    Args:
        item_id: Its id.

    Raises:
        LakehouseApiError: 404 where there is none.
    """
    return Call("GET", path_of("v1", "triage", item_id), read_json)


def decide_triage_item(
    item_id: str,
    decision: Literal["accept", "edit", "reject", "assign"],
    version: int,
    *,
    note: str = "",
    output: str | None = None,
    assignee: str | None = None,
    by: str | None = None,
) -> Call[dict[str, Any]]:
    """Decide on an item; the same decision again changes nothing.

    Args:
        item_id: Its id.
        decision: What is decided.
        version: The version of the item that was looked at.
        note: Why.
        output: Of an edit, what should have been answered.
        assignee: Of an assignment, whom to; empty: nobody.
        by: Who decides, where the token may speak for people.

    Raises:
        LakehouseApiError: 409 where somebody else came first; it says who, and what was decided.
    """
    body = encode(decision=decision, version=version, note=note or None, output=output, assignee=assignee, by=by)
    return Call("POST", path_of("v1", "triage", item_id, "decision"), read_json, body=body)
