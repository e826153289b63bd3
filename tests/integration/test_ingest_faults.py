"""Ingest when the store, the conversion or the whole process dies in the middle: the old state or the new one."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from lakehouse.adapters.conversion import ConversionProcess
from lakehouse.adapters.objects import S3Location, S3ObjectStore
from lakehouse.catalog.gc import GcReport, collect_garbage
from lakehouse.catalog.service import Catalog
from lakehouse.clock import utc_now
from lakehouse.errors import LakehouseError, Unavailable
from lakehouse.storage.objects import list_all
from tests.api import TOKEN, ApiProcess, api_process
from tests.forked import context
from tests.ingesting import IngestDesk
from tests.servers import StoreServer, store_server

OLD, NEW = "id,t\n1,old\n", "id,t\n2,new\n"
# Where a writer may die: before and after each of its three writes, in their order.
POINTS = [
    (prefix, when)
    for prefix in ("datasets/", "catalog/versions/", "catalog/manifests/")
    for when in ("before", "after")
]


class ActingStore(S3ObjectStore):
    """The real store, with something that happens once, before or after the first write under a prefix."""

    def __init__(self, location: S3Location, prefix: str, when: str, act: Callable[[], None]) -> None:
        super().__init__(location)
        self._point = prefix, when
        self._act = act

    def put(self, key: str, *args: Any, **options: Any) -> Any:
        is_here = key.startswith(self._point[0])
        if is_here and self._point[1] == "before":
            self._act()
        done = super().put(key, *args, **options)
        if is_here and self._point[1] == "after":
            self._act()
        return done


def collect(store: S3ObjectStore, *, hours: float) -> GcReport:
    now = utc_now() + timedelta(hours=hours)
    return collect_garbage(store, now=now, history=timedelta(days=7), min_age=timedelta(hours=24), dry_run=False)


def keys(store: S3ObjectStore, prefix: str = "") -> list[str]:
    return [info.key for info in list_all(store, prefix)]


def referenced(store: S3ObjectStore, name: str = "d") -> set[str]:
    return {o.key for version in Catalog(store).versions(name) for o in version.objects}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreServer]:
    """A store that these tests may kill."""
    with store_server(tmp_path_factory.mktemp("killed-store")) as server:
        yield server


@pytest.mark.parametrize(("prefix", "when"), POINTS)
def test_store_that_dies_in_the_middle_leaves_the_old_state_or_the_new(
    server: StoreServer, converter: ConversionProcess, tmp_path: Path, prefix: str, when: str
) -> None:
    name = f"d_{prefix.strip('/').replace('/', '_')}_{when}"
    steady = IngestDesk(server.objects(), tmp_path, converter=converter)
    steady.load(OLD, name)
    location = server.location(max_attempts=1)
    (tmp_path / "dying").mkdir()
    dying_store = ActingStore(location, prefix, when, lambda: server.stop(how=signal.SIGKILL))
    dying = IngestDesk(dying_store, tmp_path / "dying", converter=converter)
    failure = None
    try:
        dying.load(NEW, name)
    except LakehouseError as error:
        failure = error
    # The last write of all is answered before the store dies: then the ingest has succeeded.
    assert (failure is None) == ((prefix, when) == ("catalog/manifests/", "after")) or isinstance(failure, Unavailable)
    server.start()
    expected = [(1, "old")] if failure is not None else [(2, "new")]
    assert steady.rows(name) == expected
    again = steady.load(NEW, name)
    assert steady.rows(name) == [(2, "new")]
    assert again.existing == (failure is None)
    for desk in (steady, dying):
        assert list((desk.folder / "work").iterdir()) == []


def _ingest_and_die(location: S3Location, folder: Path, prefix: str, when: str) -> None:
    store = ActingStore(location, prefix, when, lambda: os.kill(os.getpid(), signal.SIGKILL))
    IngestDesk(store, folder, is_direct=True).load(NEW)


@pytest.mark.parametrize(("prefix", "when"), POINTS)
def test_writer_killed_in_the_middle_leaves_the_old_state_or_the_new_and_gc_finds_the_rest(
    objects: S3ObjectStore, converter: ConversionProcess, tmp_path: Path, prefix: str, when: str
) -> None:
    desk = IngestDesk(objects, tmp_path, converter=converter)
    desk.load(OLD)
    (tmp_path / "victim").mkdir()
    arguments = objects.location, tmp_path / "victim", prefix, when
    victim = context().Process(target=_ingest_and_die, args=arguments)
    victim.start()
    victim.join(60)
    assert victim.exitcode == -signal.SIGKILL
    is_new = (prefix, when) == ("catalog/manifests/", "after")
    assert desk.rows() == ([(2, "new")] if is_new else [(1, "old")])
    orphans = set(keys(objects, "datasets/")) - referenced(objects)
    assert bool(orphans) == (not is_new and (prefix, when) != ("datasets/", "before"))
    assert collect(objects, hours=1).collected == []
    assert {g.key for g in collect(objects, hours=25).collected} >= orphans
    again = desk.load(NEW)
    assert (desk.rows(), again.existing) == ([(2, "new")], is_new)
    assert set(keys(objects, "datasets/")) == referenced(objects)


def test_number_claimed_by_a_killed_writer_goes_with_gc(
    objects: S3ObjectStore, converter: ConversionProcess, tmp_path: Path
) -> None:
    desk = IngestDesk(objects, tmp_path, converter=converter)
    desk.load(OLD)
    (tmp_path / "victim").mkdir()
    arguments = objects.location, tmp_path / "victim", "catalog/versions/", "after"
    victim = context().Process(target=_ingest_and_die, args=arguments)
    victim.start()
    victim.join(60)
    assert desk.load(NEW).manifest.version == 3
    assert [m.version for m in desk.catalog.versions("d")] == [3, 1]
    assert {g.key for g in collect(objects, hours=25).collected} == {"catalog/versions/d/2.json"}
    assert desk.rows(version=1) == [(1, "old")]


def conversions(of_pid: int) -> list[psutil.Process]:
    """Conversion children of a process."""
    children = psutil.Process(of_pid).children()
    return [child for child in children if "lakehouse.adapters.conversion_child" in child.cmdline()]


def wait_until(is_so: Callable[[], object], *, timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline
        threading.Event().wait(0.002)


@pytest.fixture(scope="module")
def big_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600,000 rows, whose conversion takes long enough to be ended amid it."""
    path = tmp_path_factory.mktemp("big") / "big.csv"
    with path.open("w") as stream:
        stream.write("id,a,b,c\n")
        stream.writelines(f"{i},{i * 7}.5,text number {i},2024-01-02\n" for i in range(600_000))
    return path


def test_conversion_killed_in_the_middle_is_unavailable_and_the_next_try_succeeds(
    objects: S3ObjectStore, tmp_path: Path, big_csv: Path
) -> None:
    desk = IngestDesk(objects, tmp_path)
    failures: list[LakehouseError] = []

    def load() -> None:
        try:
            desk.load_file(big_csv)
        except LakehouseError as error:
            failures.append(error)

    others = conversions(os.getpid())  # of tests that ran before in this process
    thread = threading.Thread(target=load)
    thread.start()
    wait_until(lambda: list((tmp_path / "work").glob("*/out.parquet")))
    [own] = [child for child in conversions(os.getpid()) if child not in others]
    own.kill()
    thread.join()
    assert isinstance(failures[0], Unavailable)
    assert keys(objects) == []
    assert list((tmp_path / "work").iterdir()) == []
    assert desk.load_file(big_csv).manifest.row_count == 600_000
    desk.converter.close()


def test_conversion_killed_while_it_waits_is_replaced(objects: S3ObjectStore, tmp_path: Path) -> None:
    desk = IngestDesk(objects, tmp_path)
    others = conversions(os.getpid())
    desk.converter.prepare()
    [waiting] = [child for child in conversions(os.getpid()) if child not in others]
    waiting.kill()
    waiting.wait(60)
    assert desk.load(OLD).manifest.row_count == 1
    desk.converter.close()


def begin_ingest(api: ApiProcess, part: bytes) -> Any:
    connection = api.connection()
    connection.putrequest("POST", "/v1/ingest?name=d")
    connection.putheader("Authorization", f"Bearer {TOKEN}")
    connection.putheader("Content-Type", "multipart/form-data; boundary=b")
    connection.putheader("Content-Length", str(len(part) + 100))
    connection.endheaders(part)
    return connection


def post(api: ApiProcess, path: Path | str) -> Any:
    body = path.read_bytes() if isinstance(path, Path) else path.encode()
    with api.client() as client:
        return client.post("/v1/ingest", params={"name": "d"}, files={"file": ("d.csv", body)})


def test_api_killed_in_the_middle_of_an_upload_keeps_the_old_state(objects: S3ObjectStore, tmp_path: Path) -> None:
    work = tmp_path / "api" / "data" / "tmp"
    with api_process(objects, tmp_path / "api") as api:
        post(api, OLD).raise_for_status()
        before = set(keys(objects, "datasets/")) | set(keys(objects, "catalog/"))
        head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="w.csv"\r\n\r\na,b\n' + b"1,x\n" * 600_000
        upload = begin_ingest(api, head)
        wait_until(lambda: [f for f in work.glob("*/upload-*") if f.stat().st_size > 1 << 20])
        assert api.process is not None
        children = conversions(api.process.pid)
        api.stop(how=signal.SIGKILL)
        upload.close()
        psutil.wait_procs(children, timeout=60)
        assert not any(child.is_running() for child in children)
        assert set(keys(objects, "datasets/")) | set(keys(objects, "catalog/")) == before
        api.start()
        assert [f.name for f in work.glob("api-*")] == [f"api-{api.process.pid}"]
        assert post(api, NEW).json()["version"] == 2


def test_api_killed_in_the_middle_of_a_conversion_leaves_no_process_and_the_old_state(
    objects: S3ObjectStore, tmp_path: Path, big_csv: Path
) -> None:
    work = tmp_path / "api" / "data" / "tmp"
    with api_process(objects, tmp_path / "api") as api:
        post(api, "id,a,b,c\n1,1.5,x,2024-01-02\n").raise_for_status()

        def send() -> None:
            with pytest.raises(Exception, match=r"disconnected|reset|closed"):
                post(api, big_csv)

        thread = threading.Thread(target=send)
        thread.start()
        wait_until(lambda: list(work.glob("*/ingest-*/out.parquet")))
        assert api.process is not None
        children = conversions(api.process.pid)
        assert children
        api.stop(how=signal.SIGKILL)
        thread.join()
        _, alive = psutil.wait_procs(children, timeout=60)
        assert alive == []
        assert Catalog(objects).get("d").row_count == 1
        api.start()
        assert [f.name for f in work.glob("api-*")] == [f"api-{api.process.pid}"]
        assert post(api, big_csv).json()["row_count"] == 600_000
    leftovers = set(keys(objects, "datasets/")) - referenced(objects)
    assert {g.key for g in collect(objects, hours=25).collected} == leftovers


def test_conversion_killed_under_the_api_is_503_with_retry_after(
    objects: S3ObjectStore, tmp_path: Path, big_csv: Path
) -> None:
    work = tmp_path / "api" / "data" / "tmp"
    with api_process(objects, tmp_path / "api") as api:
        answers: list[Any] = []
        thread = threading.Thread(target=lambda: answers.append(post(api, big_csv)))
        thread.start()
        wait_until(lambda: list(work.glob("*/ingest-*/out.parquet")))
        assert api.process is not None
        conversions(api.process.pid)[0].kill()
        thread.join()
        assert (answers[0].status_code, answers[0].headers["retry-after"].isdecimal()) == (503, True)
        assert keys(objects, "catalog/") == []
        assert post(api, big_csv).status_code == 201
