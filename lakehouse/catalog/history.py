"""History: which stored version a number or a time names, and how far back there is one.

Belongs here: the keys of pointers and versions, look-ups among versions. Not here: writing them (see
lakehouse/catalog/service.py), collecting them (see lakehouse/catalog/gc.py).
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime

from lakehouse.catalog.manifest import Manifest, format_utc
from lakehouse.errors import Gone, NotFound
from lakehouse.storage.objects import ObjectStore, list_all

POINTERS = "catalog/manifests/"
VERSIONS = "catalog/versions/"
_VERSION_FILE = re.compile(r"(\d+)\.json")


def pointer_key(name: str) -> str:
    """Key of the manifest that serves now."""
    return f"{POINTERS}{name}.json"


def version_key(name: str, version: int) -> str:
    """Key of one immutable version."""
    return f"{VERSIONS}{name}/{version}.json"


class History:
    """The versions of one dataset as seen from its pointer.

    A version is readable while it serves and until it has been superseded (or deleted) before `oldest`.
    """

    def __init__(self, store: ObjectStore, pointer: Manifest, *, oldest: datetime) -> None:
        self._store = store
        self._pointer = pointer
        self._oldest = oldest
        self._loaded: dict[int, Manifest | None] = {pointer.version: pointer}

    def by_version(self, version: int) -> Manifest:
        """The manifest of a version number."""
        name = self._pointer.name
        if version < 1 or version > self._pointer.version or version in self._pointer.skipped:
            raise NotFound(
                f"dataset {name!r} has no version {version}; the newest is {self._pointer.version}", name=name
            )
        manifest = self._load(version)
        if manifest is None or not self._is_readable(version):
            raise self._gone(f"version {version}")
        return manifest

    def as_of(self, moment: datetime) -> Manifest:
        """The manifest that served at a time: binary search, since `updated_at` rises with the version."""
        name = self._pointer.name
        numbers = self._numbers()
        low, high = 0, len(numbers)
        while low < high:
            middle = (low + high) // 2
            manifest = self._load(numbers[middle])
            # A version whose file is gone is older than every one that is left.
            if manifest is None or manifest.updated_at <= moment:
                low = middle + 1
            else:
                high = middle
        if low == 0:
            if self._has_older_than(numbers):
                raise self._gone(format_utc(moment))
            raise NotFound(f"dataset {name!r} was not there yet at {format_utc(moment)}", name=name)
        number = numbers[low - 1]
        manifest = self._load(number)
        ended = self._ended_at(number)
        if manifest is None or not self._is_readable(number):
            raise self._gone(format_utc(moment))
        if ended is not None and moment >= ended:
            raise NotFound(f"dataset {name!r} was deleted at {format_utc(ended)}", name=name)
        return manifest

    def readable(self) -> list[Manifest]:
        """All readable versions, newest first."""
        found = []
        for number in reversed(self._numbers()):
            manifest = self._load(number)
            if manifest is None or not self._is_readable(number):
                break
            found.append(manifest)
        return found

    def _numbers(self) -> list[int]:
        prefix = f"{VERSIONS}{self._pointer.name}/"
        stored = {
            int(match[1])
            for info in list_all(self._store, prefix)
            if (match := _VERSION_FILE.fullmatch(info.key.removeprefix(prefix)))
        }
        dead = set(self._pointer.skipped)
        return sorted(n for n in stored | {self._pointer.version} if n <= self._pointer.version and n not in dead)

    def _load(self, version: int) -> Manifest | None:
        if version not in self._loaded:
            key = version_key(self._pointer.name, version)
            try:
                self._loaded[version] = Manifest.from_json(self._store.get(key).body, key=key)
            except NotFound:
                self._loaded[version] = None
        manifest = self._loaded[version]
        return manifest if manifest is None or manifest.deleted_at is None else replace(manifest, deleted_at=None)

    def _successor(self, version: int) -> Manifest | None:
        following = version + 1
        while following in self._pointer.skipped:
            following += 1
        return self._load(following) if following <= self._pointer.version else None

    def _ended_at(self, version: int) -> datetime | None:
        """When a version stopped because the dataset was deleted; None when it was superseded or still serves."""
        if version == self._pointer.version:
            return self._pointer.deleted_at
        successor = self._successor(version)
        return None if successor is None else successor.previous_deleted_at

    def _is_readable(self, version: int) -> bool:
        if version == self._pointer.version:
            return self._pointer.deleted_at is None or self._pointer.deleted_at >= self._oldest
        successor = self._successor(version)
        return successor is not None and (successor.previous_deleted_at or successor.updated_at) >= self._oldest

    def _has_older_than(self, numbers: list[int]) -> bool:
        return numbers[0] > 1 and any(n not in self._pointer.skipped for n in range(1, numbers[0]))

    def _gone(self, what: str) -> Gone:
        kept = self.readable()
        oldest = format_utc(kept[-1].updated_at) if kept else None
        since = f"the oldest time there is {oldest}" if oldest else "nothing older is kept"
        return Gone(
            f"{what} of dataset {self._pointer.name!r} is past the history that is kept; {since}", oldest=oldest
        )
