"""Imports in the bucket: one raw object each, whole or not at all, and never the same one twice.

An object's name is a hash of what it was made of. A writer looks for it under every day, puts its own where there is
none, and looks again: when two were made at once on both sides of midnight, the one of the earlier day stays.

Belongs here: keys, the order of writes. Not here: what is written (see trajectory_staging.py).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from lakehouse.errors import PreconditionFailed
from lakehouse.events.envelope import RAW_PREFIX, part_key
from lakehouse.storage.objects import ObjectStore, list_all
from lakehouse.trajectories.run import STREAM

QUARANTINE = f"quarantine/{STREAM}/"
_DAYS = f"{RAW_PREFIX}{STREAM}/"
_AT_ONCE = timedelta(days=7)
"""Imports that began so far apart may still be at it at once."""


def known_imports(objects: ObjectStore) -> dict[str, str]:
    """Keys of all imports by name, on whatever day they were made; of one that lies on two days, the earlier.

    Raises:
        StoreUnavailable: The store does not answer.
    """
    known: dict[str, str] = {}
    for info in list_all(objects, _DAYS):
        name = info.key.rpartition("/")[2].removesuffix(".jsonl")
        known[name] = min(info.key, known.get(name, info.key))
    return known


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
    first, *later = _keys_of(objects, name, since=recorded_at - _AT_ONCE)
    for key in later:
        objects.delete(key)
    return first, is_new and first == part_key(STREAM, day, name)


def publish_refused(objects: ObjectStore, name: str, refused: Path, *, recorded_at: datetime) -> str:
    """Write what an import refused; before its lines, whose being there says that all is done. Gives its key."""
    key = f"{QUARANTINE}dt={recorded_at:%Y-%m-%d}/{name}.jsonl"
    objects.put(key, refused, content_type="application/jsonl")
    return key


def _keys_of(objects: ObjectStore, name: str, *, since: datetime) -> list[str]:
    begin = f"dt={since:%Y-%m-%d}"
    days = [folder.removeprefix("dt=") for folder in objects.folders(_DAYS) if folder >= begin]
    keys = [part_key(STREAM, day, name) for day in sorted(days)]
    return [key for key in keys if objects.head(key) is not None]
