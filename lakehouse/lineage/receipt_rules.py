"""Whether a receipt can be true: its form, its balance, its place, and what it says against what a manifest says.

Belongs here: pure rules on one receipt. Not here: finding receipts (see lakehouse/adapters/audit_receipts.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from lakehouse.catalog.partitioned import Partition
from lakehouse.counted import counted
from lakehouse.receipts.receipt import PREFIX, SCHEMA

_SHA256 = re.compile(r"[0-9a-f]{64}")
_COUNTS = ("in", "new", "corrected", "duplicate", "quarantined", "out")


def read_receipt(body: bytes) -> dict[str, Any] | str:
    """A receipt's document, or why it is none."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return f"is not JSON ({error})"
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        return f"is not {SCHEMA}"
    for name in ("asset", "partition", "run_id"):
        if not isinstance(document.get(name), str):
            return f"has no {name}"
    for name in ("inputs", "outputs"):
        items = document.get(name)
        if not isinstance(items, list) or not all(_is_item(item) for item in items):
            return f"has {name} that are not a list of key, sha256 and rows"
    counts = document.get("counts")
    if not isinstance(counts, dict) or not all(isinstance(counts.get(name), int) for name in _COUNTS):
        return f"has no counts of {', '.join(_COUNTS)}"
    return document


def faults_of(document: Mapping[str, Any], key: str) -> Iterator[str]:
    """What cannot be true of a receipt by itself.

    Args:
        document: As `read_receipt` gives it.
        key: Where it lies.
    """
    place = f"{PREFIX}{document['asset']}/{document['partition']}/{document['run_id']}.json"
    if place != key:
        yield f"says that it belongs to {place}"
    counts = document["counts"]
    told = counts["new"] + counts["corrected"] + counts["duplicate"] + counts["quarantined"] + counts.get("left_out", 0)
    if counts["in"] != told:
        yield "does not balance: in is not new + corrected + duplicate + quarantined + left_out"
    for item in document["outputs"]:
        name = item["key"].rpartition("/")[2]
        said = _SHA256.findall(name)
        if said and item["sha256"] not in said:
            yield f"says SHA-256 {item['sha256'][:12]} of {item['key']}, whose name says {said[-1][:12]}"


def faults_against(document: Mapping[str, Any], partition: Partition) -> Iterator[str]:
    """What a receipt says otherwise than the partition that names it."""
    told = {item["key"]: item for item in document["outputs"]}
    for file in partition.files:
        item = told.get(file.key)
        if item is None:
            yield f"does not name {file.key}, which it is the receipt of"
        elif item["sha256"] != file.sha256:
            yield f"says SHA-256 {item['sha256'][:12]} of {file.key}; the manifest says {file.sha256[:12]}"
        elif item["rows"] is not None and item["rows"] != file.rows:
            yield f"says {counted(item['rows'], 'row')} of {file.key}; the manifest says {file.rows}"
    counts = {name: value for name, value in partition.counts.items() if name in _COUNTS}
    for name, value in counts.items():
        if document["counts"][name] != value:
            yield f"counts {document['counts'][name]} {name}; the manifest says {value}"


def _is_item(item: object) -> bool:
    return (
        isinstance(item, dict)
        and isinstance(item.get("key"), str)
        and isinstance(item.get("sha256"), str)
        and isinstance(item.get("rows"), int | None)
    )
