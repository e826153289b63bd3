"""The catalog as a request sees it: what the watcher has in memory, which a process that has just started waits for.

Belongs here: waiting for the watcher. Nothing here asks the store itself: when it hangs, such calls would queue up.
Not here: the watcher (see lakehouse/catalog/snapshot.py).
"""

from __future__ import annotations

from collections.abc import Callable

import anyio

from lakehouse.catalog.snapshot import CatalogSnapshot, CatalogWatcher
from lakehouse.errors import StoreUnavailable

_PATIENCE_S = 2.0


async def fresh_catalog(watcher: CatalogWatcher) -> CatalogSnapshot:
    """The catalog once the watcher's last look has succeeded.

    Raises:
        StoreUnavailable: The store does not answer.
    """
    return await _once(lambda: not watcher.is_stale, watcher)


async def known_catalog(watcher: CatalogWatcher) -> CatalogSnapshot:
    """The catalog once the watcher has seen it, though the store may not answer any more.

    Raises:
        StoreUnavailable: The store has not answered since the start.
    """
    return await _once(lambda: watcher.age_s is not None, watcher)


async def _once(is_so: Callable[[], bool], watcher: CatalogWatcher) -> CatalogSnapshot:
    if not is_so():
        with anyio.move_on_after(_PATIENCE_S):
            while not is_so():
                await anyio.sleep(0.02)
    if not is_so():
        raise StoreUnavailable("the object store did not answer, so the catalog is not known", retry_after_s=5)
    return watcher.current()
