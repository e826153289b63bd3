"""Garbage collection: what no manifest refers to any more, and versions past their history.

Belongs here: the plan (pure over listings and manifests) and its execution. Not here: retention of logs and receipts
(see lakehouse/operations/retention.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lakehouse.catalog.history import POINTERS, VERSIONS
from lakehouse.catalog.manifest import Manifest
from lakehouse.storage.objects import ObjectInfo, ObjectStore, list_all

DATA = "datasets/"
_VERSION_KEY = re.compile(re.escape(VERSIONS) + r"(?P<name>[^/]+)/(?P<version>\d+)\.json")


@dataclass(frozen=True, slots=True)
class Garbage:
    """One object that may go, and why."""

    key: str
    size: int
    reason: str


@dataclass(slots=True)
class GcReport:
    """What a collection found (`dry_run`) or removed. Sizes are bytes."""

    dry_run: bool
    collected: list[Garbage] = field(default_factory=list)
    kept_objects: int = 0
    kept_versions: int = 0

    @property
    def bytes_collected(self) -> int:
        """Bytes of everything collected."""
        return sum(g.size for g in self.collected)


def collect_garbage(
    store: ObjectStore,
    *,
    now: datetime,
    history: timedelta,
    min_age: timedelta,
    dry_run: bool,
) -> GcReport:
    """Remove versions past `history` and data objects that nothing refers to and that are older than `min_age`.

    Data is listed before manifests are read: an object written later is not in the listing, one referred to meanwhile
    is in the manifests. A manifest that cannot be read stops the collection, since what it refers to is unknown.

    Raises:
        BrokenManifest: Naming the manifest to restore first.
        StoreUnavailable: The store does not answer; what was removed so far was garbage.
    """
    data = list(list_all(store, DATA))
    versions = list(list_all(store, VERSIONS))
    pointers = {m.name: m for m in (_load(store, info.key) for info in list_all(store, POINTERS))}
    report = GcReport(dry_run)
    expired = dict(_expired_versions(store, versions, pointers, now=now, history=history, min_age=min_age))
    referenced = {o.key for m in pointers.values() if m.deleted_at is None for o in m.objects}
    for info in versions:
        if info.key in expired:
            report.collected.append(Garbage(info.key, info.size, expired[info.key]))
        else:
            report.kept_versions += 1
            referenced.update(o.key for o in _load(store, info.key).objects)
    for info in data:
        if info.key in referenced:
            report.kept_objects += 1
        elif now - info.modified_at < min_age:
            report.kept_objects += 1  # perhaps an ingest that has not committed yet
        else:
            report.collected.append(Garbage(info.key, info.size, "no version refers to it"))
    if not dry_run:
        # Versions go first: killed in between, no version is left that points at nothing.
        for garbage in report.collected:
            if is_still_old(store, garbage.key, now=now, min_age=min_age):
                store.delete(garbage.key)
    return report


def _expired_versions(
    store: ObjectStore,
    versions: list[ObjectInfo],
    pointers: dict[str, Manifest],
    *,
    now: datetime,
    history: timedelta,
    min_age: timedelta,
) -> Iterator[tuple[str, str]]:
    by_name: dict[str, dict[int, ObjectInfo]] = {}
    for info in versions:
        match = _VERSION_KEY.fullmatch(info.key)
        if match:
            by_name.setdefault(match["name"], {})[int(match["version"])] = info
    for name, numbered in by_name.items():
        pointer = pointers.get(name)
        for number, info in numbered.items():
            if now - info.modified_at < min_age:
                continue
            if pointer is None or number > pointer.version or number in pointer.skipped:
                yield info.key, "its writer died before it went live"
                continue
            ended = _ended_at(store, number, numbered, pointer)
            if ended is not None and ended < now - history:
                yield info.key, "superseded longer ago than the history that is kept"


def _ended_at(store: ObjectStore, number: int, numbered: dict[int, ObjectInfo], pointer: Manifest) -> datetime | None:
    """When a version stopped serving; None while it serves."""
    if number == pointer.version:
        return pointer.deleted_at
    following = [n for n in sorted(numbered) if n > number and n not in pointer.skipped and n <= pointer.version]
    successor = _load(store, numbered[following[0]].key) if following else pointer
    return successor.previous_deleted_at or successor.updated_at


def _load(store: ObjectStore, key: str) -> Manifest:
    return Manifest.from_json(store.get(key).body, key=key)


def is_still_old(store: ObjectStore, key: str, *, now: datetime, min_age: timedelta) -> bool:
    """Whether an object may still go: a writer that uses one again copies it onto itself first, and it is young."""
    info = store.head(key)
    return info is not None and now - info.modified_at >= min_age
