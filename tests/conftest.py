"""Fixtures shared by all tests: one real object store per session, an empty bucket per test, the real data."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.storage.objects import list_all
from tests.servers import StoreServer, store_server

_numbers = itertools.count(1)
SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def store_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreServer]:
    """One SeaweedFS for the whole session; tests that kill a server start their own with `store_server`."""
    with store_server(tmp_path_factory.mktemp("store")) as server:
        yield server


@pytest.fixture
def objects(store_process: StoreServer) -> Iterator[S3ObjectStore]:
    """An `ObjectStore` on a new, empty bucket of the real server, which goes with the test."""
    store = store_process.objects(bucket=f"test-{next(_numbers)}")
    yield store
    for info in list_all(store, ""):
        store.delete(info.key)
    store_process.drop_bucket(store.bucket)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets; skipped (and refused by .ci/run) where it is missing."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"needs-shared-data: {SHARED_DATA} is not there")
    return SHARED_DATA
