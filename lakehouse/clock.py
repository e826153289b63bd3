"""The clock and the ids: the two sources of non-determinism, in one place so that callers can pass their own.

Belongs here: `utc_now`, `new_id`. Not here: formatting (see lakehouse/catalog/manifest.py).
"""

from __future__ import annotations

from datetime import UTC, datetime

from uuid_utils import uuid7


def utc_now() -> datetime:
    """The time now, aware, in UTC."""
    return datetime.now(UTC)


def new_id() -> str:
    """A UUIDv7 as text: unique, and sorts by the time it was made (RFC 9562)."""
    return str(uuid7())
