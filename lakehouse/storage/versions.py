"""Numbered versions of a document: each is written once, and a pointer says which of them counts.

A version is written before the pointer moves, so when a writer is killed in between the earlier one goes on counting.
The pointer moves by compare-and-swap, so no writer replaces a pointer that it has not seen.

Belongs here: the numbers, the order of the writes, the races. Not here: what a version or a pointer holds (see
lakehouse/retrieval/config_store.py, lakehouse/adapters/drift_baselines.py, lakehouse/adapters/audit_baselines.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lakehouse.errors import NotFound, PreconditionFailed, Unavailable
from lakehouse.storage.objects import ObjectStore, list_all

_JSON = "application/json"
_TRIES = 20


@dataclass(frozen=True, slots=True)
class NumberedVersions:
    """The versions of one document; stateless, so any number of processes may have one.

    Attributes:
        store: The bucket.
        folder: Prefix of the versions' keys, ending in `/`; version 3 lies at `<folder>3.json`.
        pointer_key: Key of the pointer.
        what: What the document is called in error messages, such as `config 'search'`.
    """

    store: ObjectStore
    folder: str
    pointer_key: str
    what: str

    def key(self, version: int) -> str:
        """Where a version lies."""
        return f"{self.folder}{version}.json"

    def numbers(self) -> list[int]:
        """The numbers of all versions there are, the newest first."""
        stems = (info.key.removeprefix(self.folder).removesuffix(".json") for info in list_all(self.store, self.folder))
        return sorted((int(stem) for stem in stems if stem.isdecimal()), reverse=True)

    def add(self, body_of: Callable[[int], bytes]) -> int:
        """Write a new version; the pointer stays where it is.

        Args:
            body_of: Makes the JSON of the version from its number; called again after a lost race.

        Returns:
            Its number: one more than the newest, from 1.

        Raises:
            Unavailable: Other writers kept taking the next number.
            StoreUnavailable: The store does not answer; perhaps the version was written, and nothing points to it.
        """
        for _ in range(_TRIES):
            version = max(self.numbers(), default=0) + 1
            try:
                self.store.put(self.key(version), body_of(version), if_absent=True, content_type=_JSON)
            except PreconditionFailed:
                continue
            return version
        raise self._lost()

    def move_pointer(self, body: bytes, *, is_kept: Callable[[bytes], bool] = lambda _: False) -> None:
        """Replace the pointer.

        Args:
            body: What it is to hold, as JSON.
            is_kept: Called with what the pointer holds now, damaged or not; True leaves it. Called again after a lost
                race.

        Raises:
            Unavailable: Other writers kept moving it.
            StoreUnavailable: The store does not answer; perhaps the pointer has moved.
        """
        for _ in range(_TRIES):
            try:
                stored = self.store.get(self.pointer_key)
            except NotFound:
                etag = None
            else:
                if is_kept(stored.body):
                    return
                etag = stored.info.etag
            try:
                self.store.put(self.pointer_key, body, if_match=etag, if_absent=etag is None, content_type=_JSON)
            except PreconditionFailed:
                continue
            return
        raise self._lost()

    def _lost(self) -> Unavailable:
        return Unavailable(f"other writers of {self.what} kept winning; try again", retry_after_s=1)
