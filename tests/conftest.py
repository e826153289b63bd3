"""Fixtures shared by all tests: one real object store per session, an empty bucket per test, the real data."""

from __future__ import annotations

import contextlib
import gc
import importlib
import itertools
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog

from lakehouse.adapters.conversion import ConversionProcess
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.settings import load_settings
from tests.servers import StoreServer, store_server

# A slow machine is no failure, nor is a draw without luck: nothing here asserts a time, and the same code is judged by
# the same examples, of which fifty say what a hundred do. `--hypothesis-profile explore` draws others every time, and
# more.
_OF_LUCK = (
    hypothesis.HealthCheck.too_slow,
    hypothesis.HealthCheck.filter_too_much,
    hypothesis.HealthCheck.data_too_large,
    hypothesis.HealthCheck.large_base_example,
)
hypothesis.settings.register_profile("explore", deadline=None, suppress_health_check=_OF_LUCK)
hypothesis.settings.register_profile(
    "house", hypothesis.settings.get_profile("explore"), derandomize=True, database=None, max_examples=50
)
hypothesis.settings.load_profile("house")

_numbers = itertools.count(1)
# Emptied buckets for the next test: a new one costs the server a second of growing volumes.
_empty_buckets: list[S3ObjectStore] = []
MEMORY = Path("/dev/shm")
_ROOM_BYTES = 8 << 30
ROOT = Path(__file__).resolve().parents[1]
SHARED_DATA = ROOT.parent / "shared" / "data"


def pytest_sessionstart(session: pytest.Session) -> None:
    """Look for no cycles while modules are loaded: they stay, and looking is a third of the collection."""
    gc.disable()
    if worker := getattr(session.config, "workerinput", None):
        _load_from(int(worker["workerid"].removeprefix("gw")) / worker["workercount"], session.config.args)


def _load_from(share: float, args: list[str]) -> None:
    """Load the modules that will be collected, beginning at another one in each worker.

    In a new checkout every module has to be compiled, which takes longer than the rest of a collection. In one order,
    all workers would compile all of them at the same time; so each finds what the others have compiled.
    """
    found = [path for arg in args for path in sorted((ROOT / arg).rglob("test_*.py")) if "smoke" not in path.parts]
    first = int(share * len(found))
    for path in found[first:] + found[:first]:
        # What is wrong with a module, its collection tells.
        with contextlib.suppress(Exception, pytest.skip.Exception):
            importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))


def pytest_collection_finish() -> None:
    """From here on the collector leaves alone what was loaded."""
    gc.collect()
    gc.freeze()
    gc.enable()


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
    with store_server(folder, has_one_thread=True) as server:
        yield server
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def objects(store_process: StoreServer) -> Iterator[S3ObjectStore]:
    """An `ObjectStore` on an empty bucket of the real server."""
    store = _empty_buckets.pop() if _empty_buckets else store_process.objects(bucket=f"test-{next(_numbers)}")
    assert not store.list("", limit=1).objects
    yield store
    store_process.empty_bucket(store.bucket)
    _empty_buckets.append(store)


@pytest.fixture(scope="session")
def converter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConversionProcess]:
    """Conversion by real children that serve one test after the other; tests that end children make their own."""
    settings = load_settings({"LAKEHOUSE_DATA_DIR": str(tmp_path_factory.mktemp("converter"))}, env_file=None)
    made = ConversionProcess(settings)
    yield made
    made.close()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets; skipped (and refused by .ci/run) where it is missing."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"needs-shared-data: {SHARED_DATA} is not there")
    return SHARED_DATA
