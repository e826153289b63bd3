"""The calls about pathways, traces of how tasks were solved, under Mem0's method names. Each function is one route.

Belongs here: what is asked, typed for users. Not here: sending (see transport.py), playbooks (see retrieval_calls.py).

Retries after a temporary refusal: an add whose first try was recorded after all finds its own trace and is linked to
it, or counts as a replay of its key. There is one trace and its rank is unchanged; only `links` or `replay_count` is
one higher, which is better than a lost add. (Two traces come of it only when the second try reaches another process
before the first one is visible there; a key rules that out.) A repeated update or retirement ends in the same state,
with one more line in the history. A revision is never repeated, as it would make a second trace.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from lakehouse.client.answers import PathwayFound, PathwayHistory, PathwayStats, PathwayTrace, PathwayWritten
from lakehouse.client.call import Call, encode, listed, member, path_of, query_of, read_json
from lakehouse.client.problems import LakehouseInputError

_PATHWAY = ("v1", "pathway")


def add_pathway(
    content: Any,
    *,
    tags: str | Sequence[str] = (),
    key: str | None = None,
    provenance: Literal["observed", "recalled"] = "observed",
    validate: Mapping[str, Any] | None = None,
) -> Call[PathwayWritten]:
    """Remember how something was solved; what a trace says already is linked to it instead of added.

    It is repeated after a temporary refusal. When the first try was recorded after all, the answer says `added` false,
    and there is one trace.

    Args:
        content: Any JSON that says something, such as a text, a dict, or messages; no model rewrites it.
        tags: Of the trace; a trace that it is linked to gets them too.
        key: Remembered under this key once; the same key again raises `replay_count`, and the content stays.
        provenance: `recalled`: it came back from a search, and is not learned again.
        validate: `{"kind": "email" | "sms" | "fill" | "playbook", "context": {…}, "artifact": {…}}`, which must pass
            before anything is remembered; without `artifact` it is the content that is validated.

    Raises:
        LakehouseInputError: `key` and `recalled` exclude each other.
        LakehouseApiError: 400 for content that says nothing, 413 above 512 KiB, 422 when the validation refuses.
    """
    if key is None:
        said = None if provenance == "observed" else provenance
        body = encode(content=content, tags=listed(tags) or None, provenance=said, validate=validate)
        return Call("POST", path_of(*_PATHWAY, "add"), read_json, body=body)
    if provenance != "observed":
        raise LakehouseInputError("key and provenance exclude each other: what was recalled is in memory already")
    body = encode(key=key, content=content, tags=listed(tags) or None, validate=validate)
    return Call("POST", path_of(*_PATHWAY, "add_idempotent"), read_json, body=body)


def search_pathways(
    text: str | None = None,
    *,
    tags: str | Sequence[str] = (),
    since: datetime | None = None,
    k: int = 10,
    include_retired: bool = False,
    include_revised: bool = False,
    min_revision: str | None = None,
) -> Call[list[PathwayFound]]:
    """Find traces by words and meaning, best first; without a text the newest come first. Needs the scope `pii`.

    Args:
        text: What is looked for.
        tags: All of them are on a trace that is found.
        since: Updated at or after this time; without a zone it is UTC.
        k: Most results, up to 1000.
        include_retired: Also those that nobody should follow any more.
        include_revised: Also those that a revision has taken the place of.
        min_revision: Waits up to 2 s until this write is visible.
    """
    body = encode(
        text=text,
        tags=listed(tags) or None,
        since=since,
        k=k,
        include_retired=include_retired or None,
        include_revised=include_revised or None,
        min_revision=min_revision,
    )
    return Call("POST", path_of(*_PATHWAY, "search"), member("results"), body=body)


def get_pathway(uid: str, *, min_revision: str | None = None) -> Call[PathwayTrace]:
    """Read one trace, a retired one too; needs the scope `pii`.

    Raises:
        LakehouseApiError: 404 when there is none.
    """
    return Call("GET", path_of(*_PATHWAY, uid), read_json, params=query_of(min_revision=min_revision))


def update_pathway(
    uid: str,
    content: Any,
    *,
    tags: str | Sequence[str] | None = None,
    validate: Mapping[str, Any] | None = None,
) -> Call[PathwayWritten]:
    """Replace what a trace says; its history keeps what it said before.

    Args:
        uid: Of the trace.
        content: What it says from now on.
        tags: Default: as they are.
        validate: As in `add`.

    Raises:
        LakehouseApiError: 404 when there is none; else as for `add`.
    """
    body = encode(uid=uid, content=content, tags=None if tags is None else listed(tags), validate=validate)
    return Call("POST", path_of(*_PATHWAY, "update"), read_json, body=body)


def revise_pathway(
    predecessor_uid: str,
    content: Any,
    *,
    tags: str | Sequence[str] | None = None,
    validate: Mapping[str, Any] | None = None,
) -> Call[PathwayWritten]:
    """Remember a better version of a trace as a new one, linked back; search finds it in the other's place.

    Args:
        predecessor_uid: The trace that it is better than.
        content: What the new trace says.
        tags: Default: those of the predecessor.
        validate: As in `add`.

    Raises:
        LakehouseApiError: 404 when there is no such predecessor; else as for `add`.
    """
    given = None if tags is None else listed(tags)
    body = encode(predecessor_uid=predecessor_uid, content=content, tags=given, validate=validate)
    return Call("POST", path_of(*_PATHWAY, "revise"), read_json, body=body, is_repeatable=False)


def retire_pathway(uid: str, reason: str) -> Call[PathwayWritten]:
    """Take a trace out of searches, with the reason; nothing is deleted: it stays readable, as does its history.

    Args:
        uid: Of the trace.
        reason: Why nobody should follow it any more; of several the first stays.

    Raises:
        LakehouseApiError: 404 when there is none, 400 without a reason.
    """
    return Call("POST", path_of(*_PATHWAY, "retire"), read_json, body=encode(uid=uid, reason=reason))


def get_pathway_history(uid: str, *, min_revision: str | None = None) -> Call[PathwayHistory]:
    """Read a trace and what it revises, back to the first, with all that was said of them; needs the scope `pii`."""
    return Call("GET", path_of(*_PATHWAY, uid, "history"), read_json, params=query_of(min_revision=min_revision))


def pathway_stats() -> Call[PathwayStats]:
    """Read how much is remembered, and how much of what came was known already."""
    return Call("GET", path_of(*_PATHWAY, "stats"), read_json)
