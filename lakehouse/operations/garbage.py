"""Garbage of the whole bucket: of the catalog, of tables of partitions, and Lance files that no pointer names any more.

Belongs here: which files of Lance tables may go, the collection of everything. Not here: data of datasets (see
lakehouse/catalog/gc.py), evidence and scores (see lakehouse/catalog/table_gc.py), versions within a Lance table's files
(see lakehouse/adapters/lance_upkeep.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from lakehouse.catalog.gc import Garbage, GcReport, collect_garbage
from lakehouse.catalog.table_gc import collect_partition_files
from lakehouse.errors import NotFound
from lakehouse.retrieval.live_pointer import LivePointer
from lakehouse.retrieval.live_table import FILES_SUFFIX, TABLES, BrokenPointer, LiveTable, first_uri, is_table_name
from lakehouse.storage.objects import ObjectInfo, ObjectStore, list_all


def collect_all_garbage(
    store: ObjectStore, *, now: datetime, history: timedelta, min_age: timedelta, dry_run: bool
) -> GcReport:
    """Collect everything; see `collect_garbage`, `collect_table_files` and `collect_partition_files`.

    Raises:
        BrokenManifest: Naming the manifest to restore first.
        StoreUnavailable: The store does not answer; what was removed so far was garbage.
    """
    report = collect_garbage(store, now=now, history=history, min_age=min_age, dry_run=dry_run)
    tables = collect_table_files(store, now=now, history=history, min_age=min_age, dry_run=dry_run)
    partitions = collect_partition_files(store, now=now, history=history, min_age=min_age, dry_run=dry_run)
    for other in (tables, partitions):
        report.collected += other.collected
        report.kept_objects += other.kept_objects
        report.kept_versions += other.kept_versions
    return report


def collect_table_files(
    store: ObjectStore, *, now: datetime, history: timedelta, min_age: timedelta, dry_run: bool
) -> GcReport:
    """Remove files of Lance tables that serve no more and stopped serving before the history that is kept.

    Files that no pointer names (their table was dropped, or their build gave up) go when none of them is younger than
    `min_age`. Files of a table whose pointer is damaged stay: they are what mends it.
    """
    report = GcReport(dry_run)
    folders = [name for name in store.folders(TABLES) if name.endswith(FILES_SUFFIX)]
    # After the folders: files that were made later are not among them, files named meanwhile are in the pointers.
    pointers = dict(_pointers(store))
    named = {uri: until for live in pointers.values() if live is not None for uri, until in _named(live)}
    for folder in folders:
        uri = f"{TABLES}{folder}"
        objects = list(list_all(store, f"{uri}/"))
        reason = _why(uri, named, objects, oldest=now - history, newest=now - min_age)
        if reason is None or any(live is None and _may_be_of(uri, name) for name, live in pointers.items()):
            report.kept_objects += len(objects)
        else:
            report.collected += [Garbage(info.key, info.size, reason) for info in objects]
    if not dry_run:
        for garbage in report.collected:
            store.delete(garbage.key)
        for name, live in pointers.items():
            if live is not None and any(f.until < now - history for f in live.former):
                _forget_former(store, name, oldest=now - history)
    return report


def _pointers(store: ObjectStore) -> Iterator[tuple[str, LiveTable | None]]:
    """Every table's pointer; None for one that is damaged."""
    for name in store.folders(TABLES):
        if is_table_name(name):
            try:
                live = LivePointer(store, name).read()
            except BrokenPointer:
                yield name, None
            else:
                if live is not None:
                    yield name, live


def _named(live: LiveTable) -> Iterator[tuple[str, datetime | None]]:
    """What a pointer names, with the time it stopped serving."""
    yield from ((former.uri, former.until) for former in live.former)
    if live.successor is not None:
        yield live.successor.uri, None
    yield live.uri, None


def _why(
    uri: str, named: dict[str, datetime | None], objects: list[ObjectInfo], *, oldest: datetime, newest: datetime
) -> str | None:
    """Why files may go; None when they stay."""
    if uri in named:
        until = named[uri]
        return "replaced longer ago than the history that is kept" if until is not None and until < oldest else None
    is_old = all(info.modified_at < newest for info in objects)
    return "no table's pointer names these files" if objects and is_old else None


def _may_be_of(uri: str, name: str) -> bool:
    return uri == first_uri(name) or uri.startswith(f"{TABLES}{name}-")


def _forget_former(store: ObjectStore, name: str, *, oldest: datetime) -> None:
    def forget(live: LiveTable) -> LiveTable:
        return replace(live, former=tuple(f for f in live.former if f.until >= oldest))

    try:
        LivePointer(store, name).swap(forget)
    except NotFound:
        return  # dropped meanwhile
