"""The calls about drift.

Belongs here: what is asked, typed for users. Not here: sending (see transport.py).
"""

from __future__ import annotations

from typing import Any

from lakehouse.client.call import Call, encode, path_of, read_json


def get_drift() -> Call[dict[str, Any]]:
    """Say where every kind of drift stands, and whether corpora wait for an acknowledgement (`is_frozen`)."""
    return Call("GET", path_of("v1", "drift"), read_json)


def acknowledge_drift(kind: str, *, why: str) -> Call[dict[str, Any]]:
    """Acknowledge what of a kind is confirmed, so that corpora are built again.

    Args:
        kind: `scorer`, `playbook`, `embedding`, `audit` or `outcome`.
        why: Why; it is kept, with the name of the token.

    Raises:
        LakehouseApiError: 404 where there is no such kind, 409 where nothing of it is open.
    """
    return Call(
        "POST", path_of("v1", "drift", kind, "acknowledge"), read_json, body=encode(why=why), is_repeatable=False
    )
