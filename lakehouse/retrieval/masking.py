"""Personal fields of results: a constant for whoever may not see them, whether there is a value or not.

Belongs here: which fields, and the mask. Not here: masks in filters (see filters.py) and in SQL (see
lakehouse/query/views.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from lakehouse.tables.reserved import MASK


def personal_fields(info: Mapping[str, Any]) -> frozenset[str]:
    """The personal metadata fields that a corpus's table declares."""
    return frozenset(map(str, info.get("pii_columns") or ()))


def masked_metadata(document: bytes, personal: frozenset[str]) -> bytes:
    """A JSON object with its personal members masked, in whatever case their names are written."""
    hidden = {name.casefold() for name in personal}
    members: dict[str, Any] = orjson.loads(document)
    return orjson.dumps({name: MASK if name.casefold() in hidden else value for name, value in members.items()})
