"""The catalog of a process that has just started: waited for, and never taken for an empty one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lakehouse.catalog.manifest import Column
from lakehouse.catalog.service import Catalog, Draft
from lakehouse.catalog.snapshot import CatalogSnapshot, CatalogWatcher
from lakehouse.errors import StoreUnavailable
from lakehouse_api import catalog_view
from lakehouse_api.catalog_view import fresh_catalog, known_catalog
from lakehouse_api.compose_retrieval import _CatalogSql
from tests.fakes.objects import MemoryObjects

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def store() -> MemoryObjects:
    store = MemoryObjects()
    Catalog(store).commit("workers", lambda _: Draft((Column("a", "BIGINT"),), ()))
    return store


class NamesOfDatasets:
    """Stands for the filter: answers with the datasets that it is shown."""

    async def ids(self, *_: object, snapshot: CatalogSnapshot, **__: Any) -> frozenset[str]:
        return frozenset(snapshot.manifests)


async def test_filter_asked_before_the_first_look_sees_what_it_finds(store: MemoryObjects) -> None:
    watcher = CatalogWatcher(store)
    sql = _CatalogSql(NamesOfDatasets(), watcher)  # type: ignore[arg-type]
    asked = asyncio.ensure_future(sql.ids("true", dataset="workers", id_column="a", has_pii=True))
    await asyncio.sleep(0)
    assert not asked.done()
    watcher.refresh()
    assert await asked == {"workers"}


async def test_store_that_has_not_answered_is_told_and_no_empty_catalog(
    store: MemoryObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog_view, "_PATIENCE_S", 0.01)
    watcher = CatalogWatcher(store)
    for look in (fresh_catalog, known_catalog):
        with pytest.raises(StoreUnavailable, match="the catalog is not known"):
            await look(watcher)


async def test_catalog_that_was_seen_is_known_though_not_fresh_when_the_store_goes_away(
    store: MemoryObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog_view, "_PATIENCE_S", 0.01)
    watcher = CatalogWatcher(store)
    watcher.refresh()
    store.is_down = True
    with pytest.raises(StoreUnavailable):
        watcher.refresh()
    assert set((await known_catalog(watcher)).manifests) == {"workers"}
    with pytest.raises(StoreUnavailable, match="the catalog is not known"):
        await fresh_catalog(watcher)
