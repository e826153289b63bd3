"""What `/v1/storage` answers.

Belongs here: its shapes. Not here: keys' rules (see lakehouse/storage/keys.py).
"""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

_ETAG = "9b2cf535f27731c974343645a3985328"


class StoredKey(BaseModel):
    """What a PUT has written."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"key": "files/report.pdf", "size": 48213, "etag": _ETAG}},
    )

    key: str = Field(description="Where it lies.")
    size: int = Field(ge=0, description="Bytes.")
    etag: str = Field(description="Opaque; changes with the content. Send it back in `If-Match`, in quotes.")


class ListedKey(StoredKey):
    """One object of a listing."""

    model_config = ConfigDict(json_schema_extra={"example": None})

    modified_at: datetime = Field(description="When it was written, UTC.")


class KeyListing(BaseModel):
    """One page of a listing, in key order."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "keys": [
                    {"key": "files/report.pdf", "size": 48213, "etag": _ETAG, "modified_at": "2026-05-04T09:30:00Z"}
                ],
                "truncated": False,
                "next": None,
            }
        },
    )

    keys: list[ListedKey]
    truncated: bool = Field(description="True when there are more; go on with `start_after=<next>`.")
    next: str | None = Field(description="The last key of this page when there are more.")
