"""Imports into a store: each once, on whatever day and by however many at once; nothing half written."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import orjson
import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.adapters.trajectory_import import Imported, import_job
from lakehouse.adapters.trajectory_writer import known_imports, publish
from lakehouse.errors import InsufficientStorage, StoreUnavailable
from lakehouse.storage.objects import ObjectStore, list_all
from lakehouse.trajectories.formats import format_of, origin_of
from tests.fakes.objects import MemoryObjects
from tests.trajectories import NOW, import_bytes, json_lines, pair, tau_file, tau_run

TAU = "gpt-4o-airline.json"


@pytest.fixture(params=["s3", "memory"])
def store(request: pytest.FixtureRequest) -> Iterator[ObjectStore]:
    objects: S3ObjectStore | MemoryObjects
    objects = request.getfixturevalue("objects") if request.param == "s3" else MemoryObjects()
    return objects


def imported(store: ObjectStore, folder: Path, data: bytes, *, now: datetime = NOW, **told: str) -> Imported:
    (one,) = import_bytes("tau_bench", {TAU: data}, folder, objects=store, now=now, **told)
    return one


def keys(store: ObjectStore) -> list[str]:
    return sorted(info.key for info in list_all(store, ""))


def test_import_is_one_object_of_the_day_with_a_line_for_each_run(store: ObjectStore, tmp_path: Path) -> None:
    one = imported(store, tmp_path, tau_file(tau_run(0), tau_run(1)))
    assert one.is_new
    assert keys(store) == [one.key]
    assert str(one.key).startswith("raw/agent_trajectories/dt=2026-03-04/import-tau_bench-")
    lines = [orjson.loads(line) for line in store.get(str(one.key)).body.splitlines()]
    assert [n["run_id"] for n in lines] == ["taubench/gpt-4o-airline/0/0", "taubench/gpt-4o-airline/1/0"]
    assert list(lines[0])[:7] == [
        "run_id", "task_id", "trace_id", "actor", "config_version", "format_version", "recorded_at",
    ]  # fmt: skip
    assert {(n["recorded_at"], n["licence"], n["source"], n["format_version"]) for n in lines} == {
        ("2026-03-04T09:30:00.000000Z", "MIT", "taubench/gpt-4o-airline", 1)
    }
    assert list(tmp_path.iterdir()) == []


def test_importing_again_adds_nothing_on_the_same_day_or_another(store: ObjectStore, tmp_path: Path) -> None:
    data = tau_file(tau_run(0))
    first = imported(store, tmp_path, data)
    for days in (0, 1, 40):
        again = imported(store, tmp_path, data, now=NOW + timedelta(days=days))
        assert (again.key, again.is_new) == (first.key, False)
    assert keys(store) == [first.key]


def test_other_bytes_or_other_options_are_another_import(store: ObjectStore, tmp_path: Path) -> None:
    data = tau_file(tau_run(0))
    made = [
        imported(store, tmp_path, data),
        imported(store, tmp_path, data + b"\n"),
        imported(store, tmp_path, data, source="lab"),
        imported(store, tmp_path, data, licence="Apache-2.0"),
        imported(store, tmp_path, data, model="gpt-4o-2"),
    ]
    assert len({one.key for one in made}) == len(keys(store)) == 5


def test_of_two_at_once_one_writes(store: ObjectStore, tmp_path: Path) -> None:
    data = tau_file(*(tau_run(n) for n in range(50)))
    done: list[Imported] = []
    start = threading.Barrier(4)

    def work(number: int) -> None:
        folder = tmp_path / str(number)
        folder.mkdir()
        start.wait()
        done.append(imported(store, folder, data, now=NOW + timedelta(seconds=number)))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys(store)) == 1
    assert sum(one.is_new for one in done) == 1
    assert len({one.key for one in done}) == 1


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_two_on_both_sides_of_midnight_that_of_the_earlier_day_stays(
    store: ObjectStore, tmp_path: Path, order: tuple[int, int]
) -> None:
    lines = tmp_path / "lines.jsonl"
    lines.write_bytes(b"{}\n")
    done = {}
    for day in order:  # both have looked before either wrote
        done[day] = publish(store, "import-x", lines, recorded_at=NOW + timedelta(days=day))
    assert keys(store) == ["raw/agent_trajectories/dt=2026-03-04/import-x.jsonl"]
    assert done[0] == (keys(store)[0], True)
    assert known_imports(store) == {"import-x": keys(store)[0]}


def test_what_was_refused_lies_in_quarantine_under_the_same_name(store: ObjectStore, tmp_path: Path) -> None:
    one = imported(store, tmp_path, tau_file(tau_run(0), {**tau_run(1), "traj": []}))
    name = str(one.key).rpartition("/")[2]
    assert one.quarantine_key == f"quarantine/agent_trajectories/dt=2026-03-04/{name}"
    assert keys(store) == [one.quarantine_key, one.key]
    (row,) = [orjson.loads(line) for line in store.get(one.quarantine_key).body.splitlines()]
    assert (row["format_version"], row["source"], row["reason"]) == (1, TAU, "traj is empty")
    assert row["where"].startswith("element 1 (line ")
    assert orjson.loads(row["raw"])["task_id"] == 1


def test_file_that_is_no_such_format_leaves_nothing(store: ObjectStore, tmp_path: Path) -> None:
    assert imported(store, tmp_path, json_lines(pair())).error
    assert keys(store) == []
    assert list(tmp_path.iterdir()) == []


def test_store_that_is_away_leaves_nothing_and_the_next_try_is_whole(tmp_path: Path) -> None:
    class Failing(MemoryObjects):
        def put(self, key: str, *args: object, **options: object) -> object:  # type: ignore[override]
            raise StoreUnavailable(f"the object store did not answer for {key!r}")

    data = tau_file(tau_run(0))
    failing = Failing()
    with pytest.raises(StoreUnavailable):
        imported(failing, tmp_path, data)
    assert keys(failing) == []
    assert list(tmp_path.iterdir()) == []
    store = MemoryObjects()
    assert imported(store, tmp_path, data).is_new


def test_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    def full(_: str) -> BinaryIO:
        raise OSError(errno.ENOSPC, "No space left on device")

    store, of = MemoryObjects(), format_of("tau_bench")
    origin, (job,) = origin_of(of, source=None, licence=None), of.plan([TAU]).jobs
    with pytest.raises(InsufficientStorage, match=r"the disk is full; gpt-4o-airline\.json was not imported"):
        import_job(of, job, origin, full, objects=store, known={}, folder=tmp_path, now=NOW)
    assert keys(store) == []
