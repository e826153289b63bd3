"""The `format_version` of stored documents: which of them this program reads.

Belongs here: the check. Not here: what a document holds, rewriting earlier ones (see lakehouse/operations/formats.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakehouse.errors import BadInput


def require_not_newer(document: Mapping[str, Any], newest: int) -> None:
    """Let a document pass whose `format_version` is at most the newest that this program reads.

    Raises:
        ValueError: It is a later one.
        KeyError: The document has none.
    """
    if document["format_version"] > newest:
        raise ValueError(f"format_version {document['format_version']} is newer than this program")


def require_exactly(document: Mapping[str, Any], version: int, *, key: str) -> None:
    """Let a document pass whose `format_version` is the one that this program reads.

    Args:
        document: What is stored.
        version: The one that is read.
        key: Where it lies, for the message.

    Raises:
        BadInput: It is another one.
        KeyError: The document has none.
    """
    if document["format_version"] != version:
        raise BadInput(f"{key} has format_version {document['format_version']}; this program reads {version}")
