"""Backup: a consistent copy of the bucket in a folder, taken while writers go on.

Pointers are read before the versions, and those before the data: whatever a pointer of the cut refers to was in the
bucket before it and is immutable, so it is in the cut too. Pointers are the manifests of the catalog and the
`live.json` of tables and configs; a table's log is read after its pointer, which says how far the log is in the table.
The cut itself is published last.

Belongs here: what is read in which order, and what makes a cut whole. Not here: the folder's files (see cut.py), what
makes tables of partitions whole (see backup_tables.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Self

from lakehouse.catalog.history import POINTERS, VERSIONS
from lakehouse.catalog.manifest import Manifest, format_utc
from lakehouse.catalog.partitioned import PREFIX as PARTITION_TABLES
from lakehouse.errors import BadInput, Conflict, NotFound
from lakehouse.operations.backup_tables import PartitionTables, table_pointers
from lakehouse.operations.cut import PROGRESS, BackupFolder, Cut, Entry, encode
from lakehouse.retrieval.config_store import PREFIX as CONFIGS
from lakehouse.retrieval.live_table import FILES_SUFFIX, TABLES
from lakehouse.storage.objects import ObjectInfo, ObjectStore, list_all

LEFT_OUT = ("leases/", "tmp/")
_VERSION_KEY = re.compile(re.escape(VERSIONS) + r"(?P<name>[^/]+)/(?P<version>\d+)\.json")
_LIVE = "/live.json"
_TABLE_VERSIONS = "/_versions/"
# Read in phases of their own; what comes into being after its phase belongs to a later cut.
_EARLY_KEY = re.compile(
    rf"(?:{TABLES}|{CONFIGS})[^/]+{re.escape(_LIVE)}|{TABLES}[^/]+{re.escape(FILES_SUFFIX + _TABLE_VERSIONS)}.+"
)
_CONTENT_KEY = re.compile(r"(?:.*/)?(?P<sha256>[0-9a-f]{64})\.parquet")


@dataclass(slots=True)
class BackupReport:
    """What a backup copied and what it left as it was. `damaged` are keys whose content is not what they say."""

    cut: Cut
    copied: int = 0
    copied_bytes: int = 0
    unchanged: int = 0
    vanished: int = 0
    pruned: int = 0
    damaged: list[str] = field(default_factory=list)


def back_up(store: ObjectStore, folder: Path, *, now: datetime, prune: bool = False) -> BackupReport:
    """Copy what the folder does not have yet, and publish the cut; interrupted, the next call goes on.

    Args:
        store: The bucket; only read.
        folder: The backup; made if missing.
        now: When the cut is taken.
        prune: Also remove contents that only earlier cuts had.

    Raises:
        BadInput: The folder cannot be made.
        Conflict: Data that a manifest refers to is missing from the bucket; the folder's former cut stays.
        BrokenManifest: A manifest cannot be read.
        StoreUnavailable: The store does not answer; what was copied is kept.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"the folder {folder} cannot be made ({error.strerror}); name another one") from None
    target = BackupFolder(folder)
    with _Copier(store, target) as copier:
        tables = PartitionTables(target, copier.copy_all(table_pointers(store)))
        partition_versions = copier.copy_all(tables.versions(store))
        live = copier.copy_all(_live_pointers(store))
        pointers = copier.copy_all(list_all(store, POINTERS))
        serving = {entry.key: _manifest(target, entry) for entry in pointers}
        highest = {manifest.name: manifest.version for manifest in serving.values()}
        versions = copier.copy_all(info for info in list_all(store, VERSIONS) if _is_of_cut(info.key, highest))
        table_versions = copier.copy_all(_table_versions(store))
        others = copier.copy_all(_others(store))
    _require_data(serving, others)
    tables.require_files(others)
    whole = [*_whole_versions(target, versions, others), *tables.whole_versions(partition_versions, others)]
    entries = [*others, *table_versions, *whole, *tables.pointers, *live, *pointers]
    cut = target.publish(entries, taken_at=format_utc(now), manifests=tuple(pointers))
    return BackupReport(
        cut=cut,
        copied=copier.copied,
        copied_bytes=copier.copied_bytes,
        unchanged=copier.unchanged,
        vanished=copier.vanished,
        pruned=target.prune(entries) if prune else 0,
        damaged=copier.damaged,
    )


class _Copier:
    """Copies objects into the folder and writes down each, so that an interrupted backup can go on."""

    def __init__(self, store: ObjectStore, folder: BackupFolder) -> None:
        self._store = store
        self._folder = folder
        self._known = folder.known()
        self._progress = (folder.path / PROGRESS).open("wb")
        for entry in self._known.values():
            self._progress.write(encode(entry))
        self.copied = self.copied_bytes = self.unchanged = self.vanished = 0
        self.damaged: list[str] = []

    def copy(self, info: ObjectInfo) -> Entry | None:
        """The entry of an object, copied if it has changed; None when it has gone meanwhile."""
        known = self._known.get(info.key)
        if known is not None and (known.etag, known.size) == (info.etag, info.size) and self._folder.has_blob(known):
            self.unchanged += 1
            return known
        try:
            with self._store.open(info.key) as reader:
                sha256, size = self._folder.store_blob(reader.chunks())
                entry = Entry(info.key, size, sha256, reader.info.etag)
        except NotFound:
            self.vanished += 1
            return None
        self._progress.write(encode(entry))
        self._progress.flush()
        self.copied += 1
        self.copied_bytes += size
        stated = _CONTENT_KEY.fullmatch(info.key)
        if stated is not None and stated["sha256"] != sha256:
            self.damaged.append(info.key)
        return entry

    def copy_all(self, infos: Iterable[ObjectInfo]) -> list[Entry]:
        """The entries of objects that were still there."""
        return [entry for info in infos if (entry := self.copy(info)) is not None]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.close()


def _live_pointers(store: ObjectStore) -> Iterator[ObjectInfo]:
    """What says which version of a table or of a config serves."""
    for prefix in (TABLES, CONFIGS):
        for folder in store.folders(prefix):
            if not folder.endswith(FILES_SUFFIX) and (info := store.head(f"{prefix}{folder}{_LIVE}")) is not None:
                yield info


def _table_versions(store: ObjectStore) -> Iterator[ObjectInfo]:
    """What says which files a version of a table has: writers go on from the newest, so that must be whole, too."""
    for folder in store.folders(TABLES):
        if folder.endswith(FILES_SUFFIX):
            yield from list_all(store, f"{TABLES}{folder}{_TABLE_VERSIONS}")


def _others(store: ObjectStore) -> Iterator[ObjectInfo]:
    for info in list_all(store, ""):
        if not info.key.startswith((POINTERS, VERSIONS, PARTITION_TABLES, *LEFT_OUT)) and not _EARLY_KEY.fullmatch(
            info.key
        ):
            yield info


def _manifest(folder: BackupFolder, entry: Entry) -> Manifest:
    return Manifest.from_json(folder.blob_path(entry.sha256).read_bytes(), key=entry.key)


def _is_of_cut(key: str, highest: dict[str, int]) -> bool:
    """False for a version made after its dataset's manifest was read."""
    match = _VERSION_KEY.fullmatch(key)
    return match is None or int(match["version"]) <= highest.get(match["name"], 0)


def _require_data(serving: dict[str, Manifest], others: list[Entry]) -> None:
    there = {entry.key for entry in others}
    for key, manifest in serving.items():
        if manifest.deleted_at is not None:
            continue
        for item in manifest.objects:
            if item.key not in there:
                raise Conflict(
                    f"{key!r} refers to {item.key!r}, which is not in the bucket: ingest {manifest.name!r} again or "
                    "delete it, then take the backup again; the former backup is as it was",
                    key=item.key,
                )


def _whole_versions(folder: BackupFolder, versions: list[Entry], others: list[Entry]) -> list[Entry]:
    """The versions whose data is in the cut: others were collected as garbage meanwhile."""
    there = {entry.key for entry in others}
    return [entry for entry in versions if all(item.key in there for item in _manifest(folder, entry).objects)]
