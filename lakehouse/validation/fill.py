"""Fills: every candidate is a worker who exists, is active, matches, and may be sent to that client.

Belongs here: the rules of a fill. Not here: where workers come from (see roster.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lakehouse.counted import counted
from lakehouse.errors import Unavailable
from lakehouse.validation.names import is_same_name
from lakehouse.validation.plain_text import plain
from lakehouse.validation.roster import Roster, RosterSource, Worker
from lakehouse.validation.shapes import MAX_LIST, MAX_NAME, is_blank, schema, type_name
from lakehouse.validation.texts import quoted
from lakehouse.validation.verdict import Finding, Refusal

ACTIVE = "active"
_PLACES = ("role", "city", "state")
_MOST_SAID = 10

Fill = Mapping[str, Any]


def check_fill(
    artifact: Mapping[str, Any], context: Mapping[str, Any], roster: RosterSource | None
) -> tuple[Refusal | None, list[Finding]]:
    """Why a fill is refused, None when it is not; and what is worth knowing when it passed.

    Raises:
        Unavailable: The shape is right, and there are no workers to check it against.
    """
    refusal = _fills_fault(artifact) or _context_fault(context) or _incomplete(artifact, context)
    if refusal is not None:
        return refusal, []
    if roster is None:
        raise Unavailable("fills are checked against the dataset 'workers', and nothing here can read it")
    now = roster.current()
    faults = list(_inconsistent(artifact["fills"], context, now))
    if faults:
        more = f"; and {len(faults) - _MOST_SAID} more" if len(faults) > _MOST_SAID else ""
        return Refusal("Consistency", faults[0][0], "; ".join(said for _, said in faults[:_MOST_SAID]) + more), []
    return None, _findings(context, now)


def _fills_fault(artifact: Mapping[str, Any]) -> Refusal | None:
    if "fills" not in artifact:
        return schema("fill.shape", "fills", "fills is missing; give a list of {candidate_id, name}")
    fills = artifact["fills"]
    if not isinstance(fills, list | tuple):
        return schema("fill.shape", "fills", f"fills must be a list of {{candidate_id, name}}, not {type_name(fills)}")
    if len(fills) > MAX_LIST:
        return schema("fill.shape", "fills", f"fills has {len(fills):,} entries; at most {MAX_LIST:,} are checked")
    for index, fill in enumerate(fills):
        where = f"fills[{index}]"
        if not isinstance(fill, Mapping):
            return schema("fill.shape", where, f"a fill must be {{candidate_id, name}}, not {type_name(fill)}")
        for field in ("candidate_id", "name"):
            value = fill.get(field)
            if not isinstance(value, str):
                reason = f"{field} must be text, not {type_name(value)}" if field in fill else f"{field} is missing"
                return schema("fill.shape", f"{where}.{field}", reason)
            if is_blank(value) or len(value) > MAX_NAME:
                reason = f"{field} must have 1 to {MAX_NAME} characters"
                return schema("fill.shape", f"{where}.{field}", reason)
    return None


def _context_fault(context: Mapping[str, Any]) -> Refusal | None:
    count = context.get("target_count")
    if count is not None and (isinstance(count, bool) or not isinstance(count, int | float) or count != count // 1):
        return schema("fill.context", "context.target_count", "context.target_count must be a whole number")
    if count is not None and not 1 <= count <= MAX_LIST:
        return schema("fill.context", "context.target_count", f"context.target_count must be 1 to {MAX_LIST:,}")
    for field in (*_PLACES, "client_id"):
        value = context.get(field)
        is_id = field == "client_id" and isinstance(value, int) and not isinstance(value, bool)
        if value is not None and not is_id and (not isinstance(value, str) or len(value) > MAX_NAME):
            reason = f"context.{field} must be text of at most {MAX_NAME} characters"
            return schema("fill.context", f"context.{field}", reason)
    return None


def _incomplete(artifact: Mapping[str, Any], context: Mapping[str, Any]) -> Refusal | None:
    if not artifact["fills"]:
        return Refusal("Completeness", "fill.empty", "fills is empty; nobody is proposed")
    for field in ("target_count", *_PLACES):
        if is_blank(context.get(field)):
            reason = f"context.{field} is missing, so that the fill cannot be checked against it"
            return Refusal("Completeness", "fill.context", reason)
    return None


def _inconsistent(fills: Sequence[Fill], context: Mapping[str, Any], roster: Roster) -> Iterator[tuple[str, str]]:
    """Every rule that does not hold, and in words; the ids name who, the worker's own data stays in the dataset."""
    seen: set[str] = set()
    if len(fills) != context["target_count"]:
        wanted = int(context["target_count"])
        proposed = counted(len(fills), "candidate", "is")
        yield "fill.count", f"{proposed} proposed, and {wanted:,} {'is' if wanted == 1 else 'are'} wanted"
    client = "" if is_blank(context.get("client_id")) else str(context["client_id"])
    for fill in fills:
        worker_id = fill["candidate_id"]
        if worker_id in seen:
            yield "fill.duplicate", f"candidate {quoted(worker_id)} occurs more than once"
            continue
        seen.add(worker_id)
        worker = roster.find(worker_id)
        if worker is None:
            yield "fill.phantom", f"there is no worker with the id {quoted(worker_id)}"
            continue
        for rule, said in _unsuited(worker, fill, context):
            yield rule, f"candidate {quoted(worker_id)} {said}"
        if client and roster.is_blocked(client, worker_id):
            yield "fill.blocked", f"candidate {quoted(worker_id)} is blocked for client {quoted(client)}"


def _unsuited(worker: Worker, fill: Fill, context: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if not is_same_name(fill["name"], worker.name):
        yield "fill.name", f"has another name in the dataset than {quoted(fill['name'])}"
    if not _is_alike(worker.status, ACTIVE):
        yield "fill.inactive", "is not active"
    if not _is_alike(worker.role, context["role"]):
        yield "fill.role", "has another role than context.role"
    if not _is_alike(worker.city, context["city"]) or not _is_alike(worker.state, context["state"]):
        yield "fill.place", "is in another place than context.city and context.state"


def _findings(context: Mapping[str, Any], roster: Roster) -> list[Finding]:
    found = []
    if is_blank(context.get("client_id")):
        reason = "context.client_id is missing, so that blocks were not looked at"
        found.append(Finding("fill.no_client", "context.client_id", reason))
    if not roster.is_current:
        reason = "the store does not answer, and workers may have changed since they were read"
        found.append(Finding("fill.stale", "fills", reason))
    return found


def _is_alike(text: str, other: str) -> bool:
    return text == other or _folded(text) == _folded(other)


def _folded(text: str) -> str:
    return " ".join(plain(text).casefold().split())
