"""Pathways out of one lake and into another, as JSON lines.

A line: `{"format": "lakehouse.exchange/1", "kind": "pathway", "uid", "content", "tags", "predecessor_uid",
"created_at", "updated_at"}`. Traces get uids of their own where they come in; what was retired does not travel.

Belongs here: the form, the calls. Not here: traces (see lakehouse/pathway).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from lakehouse.errors import BadInput
from lakehouse.storage.exchange_line import FORMAT

if TYPE_CHECKING:
    from lakehouse.client.sync_client import Client

KIND = "pathway"
_QUERY = (
    "SELECT uid, content, tags, predecessor_uid, strftime(created_at, '%Y-%m-%dT%H:%M:%S.%fZ') AS created_at,"
    " strftime(updated_at, '%Y-%m-%dT%H:%M:%S.%fZ') AS updated_at FROM pathways WHERE NOT retired"
    " ORDER BY created_at, uid"
)


@dataclass(frozen=True, slots=True)
class TakenPathways:
    """What came of a file: its traces, and how many of them were known already; None: nothing was asked."""

    traces: int
    known: int | None


def write_pathways(client: Client, target: BinaryIO) -> int:
    """Write every trace that was not retired, in the order of their making; gives how many.

    Raises:
        LakehouseApiError: The token lacks the scope `pii`.
    """
    count = 0
    for batch in client.sql_batches(_QUERY):
        for row in batch.to_pylist():
            said = {"format": FORMAT, "kind": KIND, **row, "content": json.loads(row["content"])}
            target.write(json.dumps(said, ensure_ascii=False).encode() + b"\n")
            count += 1
    return count


def take_pathways(client: Client, source: BinaryIO, *, is_dry: bool = False) -> TakenPathways:
    """Take traces in, in the order of the file.

    Args:
        client: Of the API; its token needs the scope `write`.
        source: The file.
        is_dry: Only look at the file; the lake is not asked what it knows.

    Raises:
        BadInput: Naming the line that is none of these; those before it are taken in.
        LakehouseApiError: The API refused one.
    """
    count = known = 0
    uids: dict[str, str] = {}
    for number, line in enumerate(source, start=1):
        said = _read(line, number)
        count += 1
        if is_dry:
            continue
        before = uids.get(said.get("predecessor_uid") or "")
        tags = said.get("tags") or []
        written = (
            client.pathway.add(said["content"], tags=tags)
            if before is None
            else client.pathway.revise(before, said["content"], tags=tags)
        )
        known += not written["added"]
        if written["uid"] is not None and isinstance(said.get("uid"), str):
            uids[said["uid"]] = written["uid"]
    return TakenPathways(count, None if is_dry else known)


def _read(line: bytes, number: int) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except ValueError as error:
        raise BadInput(f"line {number} is not JSON ({error})", line=number) from None
    if not isinstance(said, dict) or said.get("format") != FORMAT or said.get("kind") != KIND or "content" not in said:
        raise BadInput(f"line {number} is none of {FORMAT}, kind {KIND}, with a content", line=number)
    if not isinstance(said.get("predecessor_uid"), str | None):
        raise BadInput(f"line {number}: predecessor_uid must be a text or null", line=number)
    return said
