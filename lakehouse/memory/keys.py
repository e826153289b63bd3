"""Keys of the memory log in the bucket, and how long a stream lives (CONTRACTS.md section 1).

Belongs here: keys and their parts. Not here: what the objects hold (see log_object.py, lease.py).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

from lakehouse.errors import BadInput

LOG_PREFIX = "log/"
# A writer begins a new stream when its last object is this old ...
STREAM_REST = timedelta(hours=1)
# ... so that a stream whose newest object is older than this has ended, clocks being an hour apart at most.
STREAM_ENDED = timedelta(hours=2)
_TABLE = re.compile(r"[a-z][a-z0-9_]{0,62}")
_OBJECT = re.compile(r"log/(?P<table>[^/]+)/(?P<writer>[^/]+)/(?P<seq>[0-9]{12})\.jsonl")


def check_table(table: str) -> str:
    """Return the name when a memory table may bear it.

    Raises:
        BadInput: It may not.
    """
    if _TABLE.fullmatch(table) is None:
        raise BadInput(f"memory table {table[:80]!r} is refused: a name matches {_TABLE.pattern}")
    return table


def table_prefix(table: str) -> str:
    """Prefix of a table's streams."""
    return f"{LOG_PREFIX}{table}/"


def stream_prefix(table: str, writer: str) -> str:
    """Prefix of one writer's objects."""
    return f"{LOG_PREFIX}{table}/{writer}/"


def object_key(table: str, writer: str, seq: int) -> str:
    """Key of one object; keys of a stream sort by number."""
    return f"{LOG_PREFIX}{table}/{writer}/{seq:012d}.jsonl"


def parse_object_key(key: str) -> tuple[str, str, int] | None:
    """Table, writer and number of an object of the log; None for any other key."""
    match = _OBJECT.fullmatch(key)
    return None if match is None else (match["table"], match["writer"], int(match["seq"]))


def named_at(writer: str) -> datetime:
    """When a stream was named, which is at most `STREAM_REST` before its first object; the epoch for a foreign name."""
    try:
        named = UUID(writer)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
    return datetime.fromtimestamp((named.int >> 80) / 1000 if named.version == 7 else 0, UTC)


def lease_key(table: str) -> str:
    """Key of the lease that lets one process fold."""
    return f"{LOG_PREFIX}{table}/lease.json"
