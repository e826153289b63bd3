"""Fixtures shared by all tests: one real object store per session, an empty bucket per test, the real data."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.storage.objects import list_all
from tests.servers import StoreServer, store_server

# A slow machine is no failure: nothing here asserts a time.
hypothesis.settings.register_profile("house", deadline=None)
hypothesis.settings.load_profile("house")

_numbers = itertools.count(1)
# Emptied buckets for the next test: a new one costs the server a second of growing volumes.
_empty_buckets: list[str] = []
MEMORY = Path("/dev/shm")
_ROOM_BYTES = 8 << 30
SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def _logs_of_a_fresh_process() -> Iterator[None]:
    """A command sets up the logs of its process, and the next test has the same one.

    Before a test, too: one that a fixture of a module ran came before this, and would hold for the whole session.
    """
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def store_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreServer]:
    """One SeaweedFS for the whole session; tests that kill a server start their own with `store_server`.

    It lies in memory where there is room: thousands of fsyncs are most of what tests would wait for.
    """
    folder = tmp_path_factory.mktemp("store")
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > _ROOM_BYTES:
        folder = Path(tempfile.mkdtemp(prefix="lakehouse-test-store-", dir=MEMORY))
    with store_server(folder) as server:
        yield server
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def objects(store_process: StoreServer) -> Iterator[S3ObjectStore]:
    """An `ObjectStore` on an empty bucket of the real server."""
    bucket = _empty_buckets.pop() if _empty_buckets else f"test-{next(_numbers)}"
    store = store_process.objects(bucket=bucket)
    assert not store.list("", limit=1).objects
    yield store
    for info in list_all(store, ""):
        store.delete(info.key)
    _empty_buckets.append(bucket)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets; skipped (and refused by .ci/run) where it is missing."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"needs-shared-data: {SHARED_DATA} is not there")
    return SHARED_DATA
