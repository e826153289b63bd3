"""Garbage of tables of partitions: files that no version of any of them names, and versions past their history.

Belongs here: the plan and its execution. Not here: the manifests (see partitioned.py), data of datasets (see gc.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from lakehouse.catalog.gc import Garbage, GcReport, is_still_old
from lakehouse.catalog.partitioned import PREFIX, TableManifest
from lakehouse.errors import NotFound
from lakehouse.storage.objects import ObjectInfo, ObjectStore, list_all

FOLDERS = ("evidence/", "scored/", "quarantine/evidence/", "quarantine/scored/", "exports/")
"""Where files lie that manifests of tables name, and nothing else."""
_BUILD = re.compile(r"exports/[^/]+/[^/]+/")
"""A build's folder; its own manifest, which names its files, is named by nothing."""
VERSION_KEY = re.compile(re.escape(PREFIX) + r"(?P<table>.+)/(?P<version>\d+)\.json")


def collect_partition_files(
    store: ObjectStore, *, now: datetime, history: timedelta, min_age: timedelta, dry_run: bool
) -> GcReport:
    """Remove versions that were replaced before `history`, and files older than `min_age` that no other version names.

    Files are listed before manifests are read, and what serves is read before the versions it replaced are listed: a
    file named meanwhile is in one of them. A manifest that cannot be read stops the collection.

    Raises:
        BrokenManifest: Naming the manifest to restore first.
        StoreUnavailable: The store does not answer; what was removed so far was garbage.
    """
    files = {info.key: info for folder in FOLDERS for info in list_all(store, folder)}
    unnamed = {key: info for key, info in files.items() if now - info.modified_at >= min_age}
    pointers = [info for info in list_all(store, PREFIX) if not VERSION_KEY.fullmatch(info.key)]
    _forget(unnamed, store, pointers)
    versions = [info for info in list_all(store, PREFIX) if VERSION_KEY.fullmatch(info.key)]
    # A version is kept in the moment in which it is replaced: that is its age.
    expired = [info for info in versions if now - info.modified_at > max(history, min_age)]
    gone = {info.key for info in expired}
    kept = [info for info in versions if info.key not in gone]
    _forget(unnamed, store, sorted(kept, key=lambda info: info.modified_at, reverse=True))
    report = GcReport(dry_run, kept_objects=len(files) - len(unnamed), kept_versions=len(kept))
    report.collected += [Garbage(i.key, i.size, "replaced longer ago than the history that is kept") for i in expired]
    report.collected += [Garbage(i.key, i.size, "no version of a table names it") for i in unnamed.values()]
    if not dry_run:
        # Versions go first: killed in between, no version is left that points at nothing.
        for garbage in report.collected:
            if is_still_old(store, garbage.key, now=now, min_age=min_age):
                store.delete(garbage.key)
    return report


def files_of(manifest: TableManifest) -> Iterator[str]:
    """Keys of the files that a manifest names; what has no bytes is a mark, and no file."""
    for partition in manifest.partitions.values():
        yield from (file.key for file in partition.files if file.size)


def _forget(unnamed: dict[str, ObjectInfo], store: ObjectStore, manifests: Iterable[ObjectInfo]) -> None:
    """Take what manifests name out of what may go; none is read when nothing is left."""
    for info in manifests:
        if not unnamed:
            return
        try:
            body = store.get(info.key).body
        except NotFound:
            continue  # another collection took it
        for key in files_of(TableManifest.from_json(body, key=info.key)):
            unnamed.pop(key, None)
            if (build := _BUILD.match(key)) is not None:
                unnamed.pop(f"{build[0]}manifest.json", None)
