"""Baselines: what ran when somebody said that this is how it should be; versions, of which the last one counts.

Belongs here: the document. Not here: what a kind keeps in it (see outcome.py and the others), where it lies (see
lakehouse/adapters/drift_baselines.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import orjson

from lakehouse.catalog.manifest import format_utc, parse_utc
from lakehouse.drift.finding import Kind, kind_of
from lakehouse.errors import BadInput
from lakehouse.storage.format_version import require_exactly

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Baseline:
    """A baseline of one kind.

    Attributes:
        kind: Of which.
        version: Counts from 1.
        first: First day of what it was made of.
        last: Last day.
        set_at: When it was set, UTC.
        by: Who set it.
        why: Why.
        data: What the kind keeps, as JSON.
        file_key: Key of its rows as Parquet; None: it has none.
        file_sha256: SHA-256 of those bytes; empty without.
    """

    kind: Kind
    version: int
    first: date
    last: date
    set_at: datetime
    by: str
    why: str
    data: Mapping[str, Any]
    file_key: str | None = None
    file_sha256: str = ""

    def to_json(self) -> bytes:
        """The stored bytes."""
        document = {
            "format_version": FORMAT_VERSION,
            "kind": self.kind,
            "version": self.version,
            "first": self.first.isoformat(),
            "last": self.last.isoformat(),
            "set_at": format_utc(self.set_at),
            "by": self.by,
            "why": self.why,
            "file_key": self.file_key,
            "file_sha256": self.file_sha256,
            "data": dict(self.data),
        }
        return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def read_baseline(body: bytes, *, key: str) -> Baseline:
    """A stored baseline.

    Args:
        body: Its bytes.
        key: Where they lie, for the message.

    Raises:
        BadInput: It is damaged, or of a version that this program does not know.
    """
    try:
        document = orjson.loads(body)
        require_exactly(document, FORMAT_VERSION, key=key)
        return Baseline(
            kind=kind_of(document["kind"]),
            version=int(document["version"]),
            first=date.fromisoformat(document["first"]),
            last=date.fromisoformat(document["last"]),
            set_at=parse_utc(document["set_at"]),
            by=str(document["by"]),
            why=str(document["why"]),
            data=dict(document["data"]),
            file_key=document["file_key"],
            file_sha256=str(document["file_sha256"]),
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
        raise BadInput(f"{key} is not a baseline of drift; set another one: lakehouse drift baseline KIND") from None
