"""Manifests against the bucket: every file that one names is there, in its size, and (asked for) byte for byte.

The bucket is listed a page at a time; only what the manifests name is held in memory.

Belongs here: manifests of tables and datasets, their files, orphans. Not here: receipts (see audit_receipts.py), what
lies behind evidence (see audit_chains.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lakehouse.adapters.corpus_exports import MANIFEST, PREFIX
from lakehouse.adapters.evidence_lake import BUILDS_TABLE, SCORED_TABLE, SUPERSEDED_BY
from lakehouse.adapters.scored_days import LOOKED_AT
from lakehouse.catalog.history import POINTERS
from lakehouse.catalog.manifest import BrokenManifest, Manifest
from lakehouse.catalog.partitioned import PREFIX as TABLES
from lakehouse.catalog.partitioned import Partition, PartitionedTable, TableManifest
from lakehouse.counted import counted
from lakehouse.distillation.manifest import read_manifest
from lakehouse.errors import BadInput, NotFound
from lakehouse.lineage.findings import Finding, Ledger
from lakehouse.storage.objects import ObjectInfo, list_all

if TYPE_CHECKING:
    from lakehouse.storage.objects import ObjectStore

_FOLDERS = ("evidence/", "scored/", PREFIX)
_READERS = 4
_RESTORE = "Restore it from a backup, or make it anew"


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A file as a manifest names it; `by` is that manifest's key."""

    size: int
    sha256: str
    by: str


@dataclass(slots=True)
class Named:
    """All that the live manifests name.

    Attributes:
        files: By key.
        tables: The tables' manifests by name.
        receipts: Partitions by the key of the receipt that tells of them.
    """

    files: dict[str, NamedFile] = field(default_factory=dict)
    tables: dict[str, TableManifest] = field(default_factory=dict)
    receipts: dict[str, Partition] = field(default_factory=dict)

    def table(self, name: str) -> TableManifest:
        """The manifest of a table; an empty one where it is not there or damaged."""
        return self.tables.get(name, TableManifest(name))


def read_named(store: ObjectStore, ledger: Ledger) -> Named:
    """What the live manifests of tables and datasets name; one that is damaged is a finding."""
    named = Named()
    for info in list_all(store, TABLES):
        name = info.key.removeprefix(TABLES).removesuffix(".json")
        if name.rpartition("/")[2].isdecimal():
            continue  # a version that was replaced
        ledger.looked("manifests")
        try:
            manifest = PartitionedTable(store, name).read()
        except BrokenManifest as error:
            ledger.find(Finding("manifests", info.key, "cannot be read", error.detail))
            continue
        named.tables[name] = manifest
        _take_table(named, manifest, info.key)
    for info in list_all(store, POINTERS):
        ledger.looked("manifests")
        try:
            dataset = Manifest.from_json(store.get(info.key).body, key=info.key)
        except BrokenManifest as error:
            ledger.find(Finding("manifests", info.key, "cannot be read", error.detail))
            continue
        if dataset.deleted_at is None:
            for one in dataset.objects:
                named.files[one.key] = NamedFile(one.size, one.sha256, info.key)
    return named


def _take_table(named: Named, manifest: TableManifest, key: str) -> None:
    for name, partition in manifest.partitions.items():
        if manifest.table == SCORED_TABLE and name == LOOKED_AT:
            continue  # a deleted dataset names no files
        if partition.receipt and partition.file(SUPERSEDED_BY) is None:
            named.receipts[partition.receipt] = partition
        files = [file for file in partition.files if file.sha256]  # an entry without a hash is a note, not a file
        for file in files:
            named.files[file.key] = NamedFile(file.size, file.sha256, key)
        if manifest.table == BUILDS_TABLE and files:
            named.files[f"{PREFIX}{name}/{MANIFEST}"] = NamedFile(-1, "", key)


def check_files(store: ObjectStore, named: Named, ledger: Ledger) -> None:
    """Hold the listing of the bucket against what manifests name."""
    missing = dict(named.files)
    orphans, orphan_bytes, example = 0, 0, ""
    for info in _listed(store, named):
        said = missing.pop(info.key, None)
        ledger.looked("orphans")
        if said is None:
            orphans, orphan_bytes, example = orphans + 1, orphan_bytes + info.size, example or info.key
            continue
        ledger.looked("manifests")
        if said.size not in (-1, info.size):
            what = f"has {counted(info.size, 'byte')}; {said.by} says {said.size:,}"
            ledger.find(Finding("manifests", info.key, what, _RESTORE))
    for key, said in sorted(missing.items()):
        ledger.looked("manifests")
        ledger.find(Finding("manifests", key, f"is not there; {said.by} names it", _RESTORE))
    if orphans:
        what = f"and {counted(orphans - 1, 'other')} ({orphan_bytes:,} bytes) are named by no live manifest"
        remedy = "Versions that are kept may name them; `lakehouse gc` removes what nothing names any more"
        ledger.find(Finding("orphans", example, what, remedy, "notice"))


def _listed(store: ObjectStore, named: Named) -> Iterator[ObjectInfo]:
    """Objects of tables and builds, and those that are named elsewhere."""
    for folder in _FOLDERS:
        yield from list_all(store, folder)
    elsewhere = [key for key in named.files if not key.startswith(_FOLDERS)]
    with ThreadPoolExecutor(_READERS) as pool:
        yield from (info for info in pool.map(store.head, elsewhere) if info is not None)


def check_builds(store: ObjectStore, named: Named, ledger: Ledger) -> None:
    """Hold each build's own manifest against the table of builds."""
    for entry, partition in named.table(BUILDS_TABLE).partitions.items():
        if partition.file(SUPERSEDED_BY) is not None:
            continue
        key = f"{PREFIX}{entry}/{MANIFEST}"
        ledger.looked("manifests")
        try:
            manifest = read_manifest(store.get(key).body)
        except NotFound:
            continue  # `check_files` says so
        except BadInput as error:
            ledger.find(Finding("manifests", key, "cannot be read", error.detail))
            continue
        told = {file.name: (file.sha256, file.bytes) for file in manifest.files}
        known = {file.role: (file.sha256, file.size) for file in partition.files}
        if manifest.build_id != entry.rpartition("/")[2] or told != known:
            differing = sorted(name for name in told.keys() | known.keys() if told.get(name) != known.get(name))
            what = f"says otherwise than the table of builds of {', '.join(differing[:3]) or 'its build_id'}"
            ledger.find(Finding("manifests", key, what, _RESTORE))


def check_bytes(store: ObjectStore, files: Mapping[str, NamedFile], ledger: Ledger) -> None:
    """Read every named file and hold its SHA-256 against what its manifest says."""
    with ThreadPoolExecutor(_READERS) as pool:
        wanted = sorted(key for key, said in files.items() if said.sha256)
        for key, sha256 in zip(wanted, pool.map(lambda key: sha256_of(store, key), wanted), strict=True):
            if sha256 is None:
                continue  # `check_files` says so
            ledger.looked("bytes")
            if sha256 != files[key].sha256:
                what = f"has SHA-256 {sha256[:12]}; {files[key].by} says {files[key].sha256[:12]}"
                ledger.find(Finding("bytes", key, what, _RESTORE))


def sha256_of(store: ObjectStore, key: str) -> str | None:
    """SHA-256 of an object's bytes, hex; None where there is none."""
    digest = hashlib.sha256()
    try:
        with store.open(key) as reader:
            for chunk in reader.chunks():
                digest.update(chunk)
    except NotFound:
        return None
    return digest.hexdigest()
