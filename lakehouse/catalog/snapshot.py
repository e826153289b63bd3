"""The catalog as one process sees it: a snapshot in memory, kept fresh by looking at the pointers' ETags.

Belongs here: reading all pointers, the thread that repeats it. Not here: commits (see lakehouse/catalog/service.py).
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import MappingProxyType

from lakehouse.catalog.history import POINTERS
from lakehouse.catalog.manifest import BrokenManifest, Manifest
from lakehouse.errors import LakehouseError, NotFound
from lakehouse.storage.objects import ObjectStore, list_all

_READERS = 8


@dataclass(frozen=True, slots=True)
class CatalogSnapshot:
    """All live datasets at one moment.

    `broken` maps the name of a dataset whose manifest cannot be read to the reason. `generation` rises whenever
    anything differs from the snapshot before.
    """

    manifests: Mapping[str, Manifest] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)
    generation: int = 0
    pointers: Mapping[str, tuple[str, Manifest | str]] = field(default_factory=dict, repr=False)

    def knows(self, name: str) -> bool:
        """True for a live dataset, broken or not."""
        return name in self.manifests or name in self.broken


def read_snapshot(store: ObjectStore, previous: CatalogSnapshot | None = None) -> CatalogSnapshot:
    """Read the pointers; only those whose ETag differs from `previous` are fetched.

    Raises:
        StoreUnavailable: The store does not answer.
    """
    before = previous or CatalogSnapshot()
    etags = {info.key: info.etag for info in list_all(store, POINTERS) if info.key.endswith(".json")}
    changed = [key for key, etag in etags.items() if before.pointers.get(key, ("", ""))[0] != etag]
    pointers = {key: before.pointers[key] for key in etags if key not in set(changed)}
    if previous is not None and not changed and len(pointers) == len(before.pointers):
        return previous
    with ThreadPoolExecutor(min(_READERS, max(1, len(changed)))) as pool:
        for key, read in zip(changed, pool.map(lambda k: _read(store, k), changed), strict=True):
            if read is not None:
                pointers[key] = read
    manifests: dict[str, Manifest] = {}
    broken: dict[str, str] = {}
    for key, (_, content) in sorted(pointers.items()):
        name = key.removeprefix(POINTERS).removesuffix(".json")
        if isinstance(content, str):
            broken[name] = content
        elif content.deleted_at is None:
            manifests[name] = content
    return CatalogSnapshot(
        MappingProxyType(manifests), MappingProxyType(broken), before.generation + 1, MappingProxyType(pointers)
    )


def _read(store: ObjectStore, key: str) -> tuple[str, Manifest | str] | None:
    try:
        stored = store.get(key)
    except NotFound:
        return None  # deleted between the listing and now
    try:
        return stored.info.etag, Manifest.from_json(stored.body, key=key)
    except BrokenManifest as error:
        return stored.info.etag, error.detail


class CatalogWatcher:
    """Keeps a snapshot fresh from a thread of its own; readers never wait for the store.

    Args:
        store: The bucket.
        poll_s: Pause between two looks; CONTRACTS.md section 5 allows others' changes 2 s to show.
    """

    def __init__(self, store: ObjectStore, *, poll_s: float = 0.5) -> None:
        self._store = store
        self._poll_s = poll_s
        self._snapshot = CatalogSnapshot()
        self._read_at: float | None = None
        self._failure: str | None = None
        self._reading = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to poll; the first look happens in the thread, so a store that is away does not hold up the start."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="catalog-watcher", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def current(self) -> CatalogSnapshot:
        """The snapshot in memory, without I/O."""
        return self._snapshot

    def refresh(self) -> CatalogSnapshot:
        """Look now, as after an own write.

        Raises:
            StoreUnavailable: The store does not answer; the old snapshot stays.
        """
        with self._reading:
            try:
                self._snapshot = read_snapshot(self._store, self._snapshot)
            except LakehouseError as error:
                self._failure = error.detail
                raise
            self._read_at = time.monotonic()
            self._failure = None
            return self._snapshot

    @property
    def age_s(self) -> float | None:
        """Seconds since the last look that succeeded; None before the first."""
        return None if self._read_at is None else time.monotonic() - self._read_at

    @property
    def is_stale(self) -> bool:
        """True when there is no snapshot yet or the last look failed."""
        return self._read_at is None or self._failure is not None

    def _run(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(LakehouseError):  # `is_stale` says so; the next look may succeed
                self.refresh()
            self._stopping.wait(self._poll_s)
