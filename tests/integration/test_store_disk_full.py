"""The embedded store after its disk was full: it is started again by itself, and takes every key."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lakehouse.adapters.connect import connect_store
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.errors import StoreUnavailable
from lakehouse.settings import Settings, load_settings
from lakehouse_cli.children import make_children
from lakehouse_cli.processes import ProcessTable
from lakehouse_cli.supervisor import Supervisor
from tests.servers import free_port_block

_FOLDERS = 32  # the index of names has eight parts, and a key's folder says in which it is


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    environ = {
        "LAKEHOUSE_DATA_DIR": str(tmp_path / "data"),
        "LAKEHOUSE_AUTH_TOKEN": "t",
        "LAKEHOUSE_EMBEDDED_S3_PORT": str(free_port_block(8)),
        "LAKEHOUSE_S3_MAX_ATTEMPTS": "1",
    }
    return load_settings(environ, env_file=None)


@pytest.fixture
def supervisor(settings: Settings) -> Iterator[Supervisor]:
    (store,) = [child for child in make_children(settings) if child.name == "store"]
    table, logs = ProcessTable(settings.data_dir / "run"), settings.data_dir / "logs"
    made = Supervisor((store,), table=table, logs=logs, log_max_bytes=10**8, log_keep=1)
    yield made
    made.stop()


def await_(condition: Callable[[], bool], supervisor: Supervisor) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, supervisor.statuses
        supervisor.look()
        time.sleep(0.02)


def refused(store: S3ObjectStore, name: str) -> list[int]:
    """Folders whose index took no key of that name."""
    found = []
    for folder in range(_FOLDERS):
        try:
            store.put(f"files/{folder}/{name}", b"content")
        except StoreUnavailable:
            found.append(folder)
    return found


def test_store_whose_disk_was_full_takes_every_key_soon_after_there_is_room(
    settings: Settings, supervisor: Supervisor
) -> None:
    await_(lambda: supervisor.statuses["store"].state == "ready", supervisor)
    store = connect_store(settings)
    pid = supervisor.statuses["store"].pid
    assert pid is not None
    assert refused(store, "before") == []
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    journals = sorted(path.stat().st_size for path in settings.data_dir.glob("store/data/filerldb2/*/*.log"))
    # The longer half of the journals can grow no more; bytes, whose files are shorter, find room.
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (journals[len(journals) // 2], hard))
    assert refused(store, "meanwhile") != []
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
    assert refused(store, "after") != []
    await_(lambda: supervisor.statuses["store"].restarts == 1, supervisor)
    await_(lambda: supervisor.statuses["store"].state == "ready", supervisor)
    assert refused(store, "again") == []
    assert {store.get(f"files/{folder}/before").body for folder in range(_FOLDERS)} == {b"content"}
