"""The stored formats: where each lies, how its version is read, and the migrations between versions.

Belongs here: one entry per stored format; a new version gets its migration here. Not here: the scan and the rewriting
(see upgrade.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lakehouse.catalog import manifest, partitioned, retractions
from lakehouse.catalog.history import POINTERS, VERSIONS
from lakehouse.catalog.partitioned import PREFIX
from lakehouse.events.envelope import FORMAT_VERSION as EVENTS_VERSION
from lakehouse.events.envelope import RAW_PREFIX

Document = dict[str, Any]
_RECEIPT_SCHEMA = re.compile(r"receipt\.v(\d+)")


@dataclass(frozen=True, slots=True)
class StoredFormat:
    """A kind of document in the bucket.

    Args:
        name: How reports call it.
        prefix: Where it lies.
        suffix: What its keys end in.
        version: The version this program writes; it reads the one before as well.
        read_version: The version of a document.
        is_lines: Many documents to an object, never rewritten: the first one speaks for all.
    """

    name: str
    prefix: str
    suffix: str
    version: int
    read_version: Callable[[Document], int]
    is_lines: bool = False


def version_field(document: Document) -> int:
    """The version in `format_version`; a document without one is older than the field."""
    return int(document.get("format_version", 0))


def _receipt_version(document: Document) -> int:
    found = _RECEIPT_SCHEMA.fullmatch(str(document.get("schema")))
    return int(found[1]) if found else 0


# Versions before manifests: interrupted in between, no manifest is newer than the version it stands for.
FORMATS = (
    StoredFormat("version", VERSIONS, ".json", manifest.FORMAT_VERSION, version_field),
    StoredFormat("manifest", POINTERS, ".json", manifest.FORMAT_VERSION, version_field),
    StoredFormat("manifest of partitions", PREFIX, ".json", partitioned.FORMAT_VERSION, version_field),
    StoredFormat("list of retractions", retractions.KEY, "", retractions.FORMAT_VERSION, version_field),
    StoredFormat("receipt", "receipts/", ".json", 1, _receipt_version),
    StoredFormat("replay", "replay/", "/batch.json", 1, version_field),
    StoredFormat("verdict of a replay", "replay/", "/verdict.json", 1, version_field),
    StoredFormat("drift", "drift/", ".json", 1, version_field),
    StoredFormat("table pointer", "lance/", "/live.json", 1, version_field),
    StoredFormat("run log", RAW_PREFIX, ".jsonl", EVENTS_VERSION, version_field, is_lines=True),
)

# (format's name, version it starts from) → what makes a document of the next version of it.
Migrations = Mapping[tuple[str, int], Callable[[Document], Document]]
MIGRATIONS: Migrations = {}
