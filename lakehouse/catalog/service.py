"""The catalog: reads manifests and moves them forward by compare-and-swap.

Belongs here: commit, delete, get. Not here: which versions a time or number names (see lakehouse/catalog/history.py),
conversion of files (see lakehouse/ingest).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lakehouse.catalog.history import History, pointer_key, version_key
from lakehouse.catalog.manifest import Column, DataObject, Manifest
from lakehouse.catalog.names import check_dataset_name, check_name_form, dataset_id, refuse_ambiguous_columns
from lakehouse.catalog.snapshot import CatalogSnapshot, read_snapshot
from lakehouse.clock import new_id, utc_now
from lakehouse.errors import NotFound, PreconditionFailed, Unavailable
from lakehouse.jitter import jitter_s
from lakehouse.storage.objects import ObjectStore

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Draft:
    """What a writer wants the next version of a dataset to be."""

    columns: tuple[Column, ...]
    objects: tuple[DataObject, ...]
    committed_by: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Commit:
    """The outcome of a commit: the manifest that serves now, the one before, and whether they differ."""

    manifest: Manifest
    previous: Manifest | None
    is_new_version: bool


class Catalog:
    """Datasets by name, over any `ObjectStore`; stateless, so any number of processes may have one.

    Args:
        store: The bucket.
        clock: Gives the time now, aware, in UTC.
        history: How long a version stays readable after it was superseded.
        patience_s: How long a writer waits for another that has claimed the next version number and not finished.
        deadline_s: How long a writer goes on trying against other writers.
    """

    def __init__(
        self,
        store: ObjectStore,
        *,
        clock: Callable[[], datetime] = utc_now,
        history: timedelta = timedelta(days=7),
        patience_s: float = 2.0,
        deadline_s: float = 60.0,
    ) -> None:
        self._store = store
        self._clock = clock
        self._history = history
        self._patience_s = patience_s
        self._deadline_s = deadline_s

    def find(self, name: str) -> Manifest | None:
        """The live manifest, or None when there is no such dataset (any more)."""
        manifest, _ = self._read_pointer(name)
        return None if manifest is None or manifest.deleted_at else manifest

    def get(self, name: str, *, version: int | None = None, as_of: datetime | None = None) -> Manifest:
        """The live manifest, or the one of a version or of a time.

        Raises:
            NotFound: No such dataset or version, or none at that time.
            Gone: Older than the history that is kept; `oldest` says from when on there is any.
            BrokenManifest: Its bytes are damaged.
        """
        pointer = self._pointer_of(name)
        if version is None and as_of is None:
            if pointer.deleted_at:
                raise NotFound(f"dataset {name!r} was deleted; ingest it again, or read an old version", name=name)
            return pointer
        history = History(self._store, pointer, oldest=self._clock() - self._history)
        return history.by_version(version) if version is not None else history.as_of(as_of)  # type: ignore[arg-type]

    def versions(self, name: str) -> list[Manifest]:
        """Every version that is still readable, newest first; a deleted dataset's too."""
        pointer = self._pointer_of(name)
        return History(self._store, pointer, oldest=self._clock() - self._history).readable()

    def list(self) -> CatalogSnapshot:
        """All live datasets, and the names of those whose manifest is broken, read now."""
        return read_snapshot(self._store)

    def commit(self, name: str, update: Callable[[Manifest | None], Draft | None]) -> Commit:
        """Make a new version of a dataset by compare-and-swap.

        Args:
            name: The dataset.
            update: Called with the live manifest (None when there is none), returns the draft of the next, or None to
                leave everything as it is. Called again after a lost race; may raise, and then nothing has changed.

        Raises:
            BadInput: The name is refused.
            Conflict: Two columns differ only in upper and lower case.
            Unavailable: Other writers kept winning until the deadline.
        """
        check_dataset_name(name)
        commit_id = new_id()
        deadline = time.monotonic() + self._deadline_s
        skipped: set[int] = set()
        while time.monotonic() < deadline:
            pointer, etag = self._read_pointer(name)
            live = None if pointer is None or pointer.deleted_at else pointer
            if pointer is not None and pointer.commit_id == commit_id:
                return Commit(pointer, live, is_new_version=True)
            draft = update(live)
            if draft is None:
                if live is None:
                    raise NotFound(f"no dataset {name!r}", name=name)
                return Commit(live, live, is_new_version=False)
            refuse_ambiguous_columns(column.name for column in draft.columns)
            manifest = self._next(name, draft, pointer, commit_id, skipped)
            if not self._claim(manifest):
                if not self._wait_for_other(name, etag):
                    skipped.add(manifest.version)
                continue
            if self._swap(manifest, etag):
                return Commit(manifest, live, is_new_version=True)
        raise Unavailable(f"other writers of {name!r} kept winning; try again", name=name, retry_after_s=5)

    def delete(self, name: str, *, by: str = "") -> Manifest:
        """Take a dataset out of the catalog at once; its versions stay readable until `gc`.

        Raises:
            NotFound: There is no such dataset.
        """
        self._pointer_of(name)
        deadline = time.monotonic() + self._deadline_s
        commit_id = new_id()
        while time.monotonic() < deadline:
            pointer, etag = self._read_pointer(name)
            if pointer is not None and pointer.commit_id == commit_id:
                return pointer
            if pointer is None or pointer.deleted_at:
                raise NotFound(f"no dataset {name!r}; GET /v1/catalog lists those there are", name=name)
            now = max(self._clock(), pointer.updated_at + timedelta(microseconds=1))
            tombstone = replace(pointer, deleted_at=now, commit_id=commit_id, committed_by=by)
            if self._swap(tombstone, etag):
                return tombstone
        raise Unavailable(f"other writers of {name!r} kept winning; try again", name=name, retry_after_s=5)

    def _pointer_of(self, name: str) -> Manifest:
        """What is known of a dataset, deleted or not, also of one that could not be made any more."""
        pointer, _ = self._read_pointer(check_name_form(name))
        if pointer is None:
            check_dataset_name(name)
            raise NotFound(f"no dataset {name!r}; GET /v1/catalog lists those there are", name=name)
        return pointer

    def _read_pointer(self, name: str) -> tuple[Manifest | None, str | None]:
        key = pointer_key(name)
        try:
            stored = self._store.get(key)
        except NotFound:
            return None, None
        return Manifest.from_json(stored.body, key=key), stored.info.etag

    def _next(self, name: str, draft: Draft, pointer: Manifest | None, commit_id: str, skipped: set[int]) -> Manifest:
        version = 1 if pointer is None else pointer.version + 1
        passed_over = []
        while version in skipped:
            passed_over.append(version)
            version += 1
        now = self._clock()
        if pointer is not None:
            # Monotone per dataset even when clocks of writers differ: as_of relies on it.
            now = max(now, (pointer.deleted_at or pointer.updated_at) + timedelta(microseconds=1))
        is_reborn = pointer is None or pointer.deleted_at is not None
        return Manifest(
            dataset_id=dataset_id(name),
            name=name,
            columns=draft.columns,
            objects=draft.objects,
            version=version,
            commit_id=commit_id,
            created_at=now if is_reborn or pointer is None else pointer.created_at,
            updated_at=now,
            committed_by=draft.committed_by,
            note=draft.note,
            parent_version=None if pointer is None else pointer.version,
            skipped=(() if pointer is None else pointer.skipped) + tuple(passed_over),
            previous_deleted_at=None if pointer is None else pointer.deleted_at,
        )

    def _claim(self, manifest: Manifest) -> bool:
        """Write the version's own object; False when the number is taken."""
        try:
            self._store.put(
                version_key(manifest.name, manifest.version), manifest.to_json(), if_absent=True, content_type=JSON
            )
        except PreconditionFailed:
            key = version_key(manifest.name, manifest.version)
            # A retried PUT whose first answer was lost finds its own object.
            stored = Manifest.from_json(self._store.get(key).body, key=key)
            return stored == manifest
        return True

    def _swap(self, manifest: Manifest, etag: str | None) -> bool:
        """Move the pointer; False when another writer moved it first."""
        key = pointer_key(manifest.name)
        try:
            self._store.put(key, manifest.to_json(), if_match=etag, if_absent=etag is None, content_type=JSON)
        except (PreconditionFailed, NotFound):
            # After a lost answer the retry fails although the first try won: the commit id tells.
            pointer, _ = self._read_pointer(manifest.name)
            return pointer is not None and pointer.commit_id == manifest.commit_id
        return True

    def _wait_for_other(self, name: str, etag: str | None) -> bool:
        """Wait until the writer that claimed the next number moves the pointer; False when it seems dead."""
        give_up = time.monotonic() + self._patience_s
        while time.monotonic() < give_up:
            time.sleep(jitter_s(0.005, 0.03))  # jitter between racing writers
            _, seen = self._read_pointer(name)
            if seen != etag:
                return True
        return False


__all__ = ["Catalog", "Column", "Commit", "DataObject", "Draft", "Manifest"]
