"""Imports in the bucket: one raw object each, whole or not at all, and never the same one twice.

An object's name says what it was made of. A writer looks on every day whether it is there, puts its own where there is
none, and looks again: where two were made at once on both sides of midnight, that of the earlier day stays.

Belongs here: keys, the order of writes. Not here: what is written (see trajectory_staging.py).
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from lakehouse.errors import PreconditionFailed
from lakehouse.events.envelope import RAW_PREFIX, part_key
from lakehouse.storage.objects import ObjectStore
from lakehouse.trajectories.run import STREAM

QUARANTINE = f"quarantine/{STREAM}/"
_DAYS = f"{RAW_PREFIX}{STREAM}/"


def find_import(objects: ObjectStore, name: str) -> str | None:
    """Key of an import, on whatever day it was made; None where it was not.

    Raises:
        StoreUnavailable: The store does not answer.
    """
    return next(iter(_keys_of(objects, name)), None)


def publish(objects: ObjectStore, name: str, lines: Path, *, recorded_at: datetime) -> tuple[str, bool]:
    """Write an import: the lines in one PUT.

    Args:
        objects: The bucket.
        name: As `import_name` gives it.
        lines: The raw lines.
        recorded_at: The time of the import, whose day it lies in.

    Returns:
        The key of the lines, and whether this call wrote them.

    Raises:
        StoreUnavailable: The store does not answer; nothing is half written, and it can be tried again.
    """
    day = f"{recorded_at:%Y-%m-%d}"
    is_new = True
    try:
        objects.put(part_key(STREAM, day, name), lines, if_absent=True, content_type="application/jsonl")
    except PreconditionFailed:
        is_new = False
    first, *later = _keys_of(objects, name)
    for key in later:
        objects.delete(key)
    return first, is_new and first == part_key(STREAM, day, name)


def publish_refused(objects: ObjectStore, name: str, refused: Path, *, recorded_at: datetime) -> str:
    """Write what an import refused; before its lines, whose being there says that all is done. Gives its key."""
    key = f"{QUARANTINE}dt={recorded_at:%Y-%m-%d}/{name}.jsonl"
    objects.put(key, refused, content_type="application/jsonl")
    return key


def _keys_of(objects: ObjectStore, name: str) -> list[str]:
    days = (folder.removeprefix("dt=") for folder in objects.folders(_DAYS) if folder.startswith("dt="))
    keys = [part_key(STREAM, day, name) for day in sorted(days)]
    return [key for key in keys if objects.head(key) is not None]
