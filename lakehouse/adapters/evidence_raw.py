"""Raw objects of a stream in the bucket: which ones a day has, which it has lost, their bytes as local files.

Belongs here: reading them. Not here: rules on listings (see lakehouse/evidence/days.py), lines to records (see
evidence_engine.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

from lakehouse.adapters.evidence_lines import RawFile
from lakehouse.adapters.receipt_archive import find_receipt
from lakehouse.catalog.partitioned import Partition, TableManifest
from lakehouse.errors import LakehouseError, NotFound
from lakehouse.evidence.days import RAW, RawObject, by_day, day_prefix, is_read
from lakehouse.storage.objects import ObjectStore, list_all

OBJECTS = "objects"
"""Name of the count of raw objects in a partition's accounts."""
_READERS = 8


def list_days(store: ObjectStore, stream: str, days: Sequence[date] | None) -> Mapping[date, list[RawObject]]:
    """Raw objects by day, in one listing for the whole range.

    Args:
        store: The bucket.
        stream: The stream.
        days: Which ones, in order; None: all there are.
    """
    if days is not None and not days:
        return {}
    first = "" if days is None else day_prefix(stream, days[0])
    last = None if days is None else day_prefix(stream, days[-1])
    prefix = f"{RAW}{stream}/" if first != last else first
    start_after = "" if first == last else first
    found: list[RawObject] = []
    while True:
        page = store.list(prefix, start_after=start_after)
        found += [RawObject(info.key, info.size, info.etag) for info in page.objects]
        is_past = last is not None and found and found[-1].key[: len(last)] > last
        if page.next is None or is_past:
            wanted = None if days is None else set(days)
            listed = by_day(found, stream)
            return {day: objects for day, objects in listed.items() if wanted is None or day in wanted}
        start_after = page.next


def unread_keys(store: ObjectStore, stream: str, day: date | None = None) -> list[str]:
    """Objects among a stream's, or a day's, whose lines are not read, for their names are not those of raw objects."""
    prefix = f"{RAW}{stream}/" if day is None else day_prefix(stream, day)
    return [info.key for info in list_all(store, prefix) if not is_read(info.key, stream)]


def unknown_streams(store: ObjectStore, known: Collection[str]) -> list[str]:
    """Folders where raw lines lie and that are those of no stream; one that is empty is left out."""
    strange = (name for name in store.folders(RAW) if name not in known)
    return [name for name in strange if store.list(f"{RAW}{name}/", limit=1).objects]


def made_days(manifest: TableManifest, wanted: Sequence[date] | None) -> dict[date, list[RawObject]]:
    """Days that have evidence, each without objects; a listing of the bucket adds those that are there."""
    made = {date.fromisoformat(day) for day, known in manifest.partitions.items() if known.counts.get(OBJECTS)}
    return {day: [] for day in sorted(made) if wanted is None or day in wanted}


def lost_objects(
    store: ObjectStore, known: Partition | None, objects: Sequence[RawObject], *, prefix: str
) -> tuple[str, ...]:
    """Raw objects that a day was made of and that are not there any more.

    Args:
        store: The bucket.
        known: What serves.
        objects: Those that are there.
        prefix: Where they lie: named where nothing tells which ones are lost.
    """
    if known is None:
        return ()
    there, made_of = {one.key for one in objects}, known.counts.get(OBJECTS, 0)
    if len(there) == made_of and store.head(known.receipt) is None:
        return ()  # as many as there were, so none was lost; comparing with the old receipts would take long
    receipt = find_receipt(store, known.receipt)
    if receipt is None:
        return (prefix,) if len(there) < made_of else ()
    return tuple(item["key"] for item in receipt["inputs"] if item["key"] not in there)


def fetch_objects(store: ObjectStore, objects: Sequence[RawObject], folder: Path) -> list[tuple[RawFile, str]]:
    """Raw objects as local files, in order, each with the SHA-256 of its bytes."""

    def fetch(number: int) -> tuple[RawFile, str]:
        path = folder / f"raw-{number}.jsonl"
        digest = hashlib.sha256()
        with store.open(objects[number].key) as reader, path.open("wb") as stream:
            for chunk in reader.chunks():
                digest.update(chunk)
                stream.write(chunk)
        return RawFile(objects[number].key, path), digest.hexdigest()

    if len(objects) == 1:
        return [fetch(0)]
    with ThreadPoolExecutor(_READERS) as pool:
        return list(pool.map(fetch, range(len(objects))))


def is_given(store: ObjectStore, key: str) -> bool:
    """Whether the store gives the bytes of a key, or says that it has none of that name."""
    try:
        with store.open(key, span=(0, 0)) as reader:
            return any(True for _ in reader.chunks())
    except NotFound:
        return True
    except LakehouseError:
        return False
