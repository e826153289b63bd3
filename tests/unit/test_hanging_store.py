"""Pages and routes while the store hangs: from memory where they can be, else told at once."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from lakehouse.errors import StoreUnavailable
from lakehouse_api.answering_store import ANSWERING_STORE, SILENT_AFTER_S, require_answering, run_while_answering
from lakehouse_api.routes import catalog, config, drift, ingest, lineage, storage, triage, vectors
from lakehouse_api.ui import corpora_page, datasets_page, drift_page, replay_form, replay_page, triage_page
from lakehouse_api.ui.answers import corpus_names

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Corpora:
    """Corpora of a store; the open ones are in memory."""

    open: tuple[str, ...]
    asked: list[str] = field(default_factory=list)

    def stats(self) -> dict[str, Any]:
        return {name: {} for name in self.open}

    async def names(self) -> list[str]:
        self.asked.append("names")
        return ["a", "b"]


def services_of(age_s: float | None, *, is_stale: bool = False, opened: tuple[str, ...] = ("a",)) -> Any:
    watcher = SimpleNamespace(age_s=age_s, is_stale=is_stale)
    corpora = SimpleNamespace(corpora=Corpora(opened))
    return SimpleNamespace(watcher=watcher, retrieval=corpora, threads=anyio.CapacityLimiter(1))


async def test_corpora_that_are_open_are_named_without_asking_a_store_that_hangs() -> None:
    for hanging in (services_of(SILENT_AFTER_S + 1), services_of(0.1, is_stale=True)):
        assert await corpus_names(hanging) == ["a"]
        assert hanging.retrieval.corpora.asked == []
    assert await corpus_names(services_of(0.1)) == ["a", "b"]


async def test_page_of_the_store_is_refused_at_once_while_it_hangs() -> None:
    await require_answering(services_of(0.1))
    for hanging in (services_of(None, is_stale=True), services_of(SILENT_AFTER_S + 1)):
        with pytest.raises(StoreUnavailable, match="try again when Health says"):
            await require_answering(hanging, patience_s=0.0)


async def test_call_that_waits_for_a_store_that_hangs_is_given_up_and_its_thread_ends_by_itself() -> None:
    assert await run_while_answering(services_of(0.1), max, 1, 2) == 2
    with pytest.raises(ZeroDivisionError):
        await run_while_answering(services_of(0.1), divmod, 1, 0)
    services, store = services_of(SILENT_AFTER_S + 1), threading.Event()
    with pytest.raises(StoreUnavailable, match="did not answer"):
        await run_while_answering(services, store.wait, 60)
    assert services.threads.borrowed_tokens == 1
    store.set()
    with anyio.fail_after(60):
        while services.threads.borrowed_tokens:
            await anyio.sleep(0.001)


def test_pages_and_routes_that_are_read_from_the_store_look_whether_it_answers() -> None:
    pages = (corpora_page, drift_page, replay_form, replay_page, triage_page)
    for module in (*pages, config, drift, ingest, lineage, storage, triage):
        assert ANSWERING_STORE in module.router.dependencies, module.__name__
    for route in catalog.router.routes[1:]:  # the list is from memory
        assert ANSWERING_STORE in route.dependencies  # type: ignore[attr-defined]
    routes: Any = vectors.router.routes
    looking = {route.name for route in routes if ANSWERING_STORE in route.dependencies}
    assert looking == {"create_index", "list_indexes", "delete_index"}  # others go on from memory
    of_one = next(route for route in datasets_page.router.routes if route.path.endswith("/of/{name}"))  # type: ignore[attr-defined]
    assert ANSWERING_STORE in of_one.dependencies  # type: ignore[attr-defined]
