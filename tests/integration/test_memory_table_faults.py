"""Memory tables in Lance that are dropped, damaged or lose their pointer: the log goes on, and a rebuild mends them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from lakehouse.adapters.lance_tables import LanceTables
from lakehouse.adapters.memory_log import MemoryLog
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.errors import LakehouseError
from lakehouse.memory.keys import parse_object_key
from lakehouse.retrieval.live_table import live_key
from lakehouse.storage.objects import list_all
from tests.fakes.memory import Collected
from tests.memory_logs import wait_until
from tests.memory_worker import TABLE, open_log


class Watched(S3ObjectStore):
    """Tells of each change of the table's pointer."""

    def __init__(self, objects: S3ObjectStore, tell: Callable[[], object]) -> None:
        super().__init__(objects.location)
        self._tell = tell

    def put(self, key: str, *args: Any, **options: Any) -> Any:
        done = super().put(key, *args, **options)
        if key == live_key(TABLE):
            self._tell()
        return done

    def delete(self, key: str) -> None:
        super().delete(key)
        if key == live_key(TABLE):
            self._tell()


@contextmanager
def running(objects: S3ObjectStore) -> Iterator[tuple[MemoryLog, Collected]]:
    state = Collected()
    log = open_log(objects, state, poll_s=0.05, gap_s=0.2)
    log.start()
    try:
        yield log, state
    finally:
        log.stop()


def write(log: MemoryLog, *numbers: int) -> None:
    for number in numbers:
        log.append_sync("record", {"n": number, "subject": f"s{number}"}, actor="ann")


def numbers(state: Collected) -> list[object]:
    return [payload["n"] for payload in state.payloads()]


def rows(objects: S3ObjectStore) -> list[int]:
    table = LanceTables(objects.location, objects).open(TABLE)
    assert table is not None
    return sorted(entry["subject_id"] for batch in table.scan(["subject_id"]) for entry in batch.to_pylist())


def keys(objects: S3ObjectStore, prefix: str) -> list[str]:
    return [info.key for info in list_all(objects, prefix)]


def purge_log(objects: S3ObjectStore) -> None:
    for key in keys(objects, f"log/{TABLE}/"):
        if parse_object_key(key) is not None:
            objects.delete(key)


def fill(objects: S3ObjectStore) -> None:
    """Two folds, two data files, and one entry that is not folded; of what is folded the log has nothing."""
    with running(objects) as (log, _):
        write(log, 0, 1)
        log.fold()
        write(log, 2, 3)
        log.fold()
        purge_log(objects)
        write(log, 4)


def test_dropped_table_begins_afresh_with_the_next_fold(objects: S3ObjectStore) -> None:
    fill(objects)
    LanceTables(objects.location, objects).drop(TABLE)
    with running(objects) as (log, state):
        assert numbers(state) == [4]
        write(log, 5)
        # What retention has taken out of the log is missing there, until its time is over.
        wait_until(lambda: not log.stats()["missing_objects"])
        assert log.fold() == 2
    assert rows(objects) == ["s4", "s5"]
    with running(objects) as (_, state):
        assert numbers(state) == [4, 5]


def test_table_dropped_under_a_running_log_is_folded_again_from_the_log(objects: S3ObjectStore) -> None:
    with running(objects) as (log, state):
        write(log, 0, 1)
        assert log.fold() == 2
        LanceTables(objects.location, objects).drop(TABLE)
        write(log, 2)
        assert log.fold() == 3
        assert numbers(state) == [0, 1, 2]
    assert rows(objects) == ["s0", "s1", "s2"]


def damage_pointer(objects: S3ObjectStore) -> None:
    objects.put(f"lance/{TABLE}/live.json", b'{"uri":')


def damage_newest_manifest(objects: S3ObjectStore) -> None:
    manifests = sorted(keys(objects, f"lance/{TABLE}.lance/_versions/"))
    objects.put(manifests[0], b"damage")


def damage_manifests(objects: S3ObjectStore) -> None:
    for key in keys(objects, f"lance/{TABLE}.lance/_versions/"):
        objects.put(key, b"damage")


def lose_a_data_file(objects: S3ObjectStore) -> None:
    objects.delete(sorted(keys(objects, f"lance/{TABLE}.lance/data/"))[0])


def damage_a_data_file(objects: S3ObjectStore) -> None:
    objects.put(sorted(keys(objects, f"lance/{TABLE}.lance/data/"))[-1], b"damage" * 50)


def lose_all_files(objects: S3ObjectStore) -> None:
    for key in keys(objects, f"lance/{TABLE}.lance/"):
        objects.delete(key)


@pytest.mark.parametrize(
    ("damage", "kept"),
    [
        (damage_pointer, 4), (damage_newest_manifest, 2), (damage_manifests, 0), (lose_a_data_file, 2),
        (damage_a_data_file, 2), (lose_all_files, 0),
    ],
)  # fmt: skip
def test_damaged_table_is_told_does_not_stop_the_log_and_is_mended(
    objects: S3ObjectStore, damage: Callable[[S3ObjectStore], None], kept: int
) -> None:
    fill(objects)
    damage(objects)
    with running(objects) as (log, state):
        assert log.stats()["last_error"]
        write(log, 5)
        assert numbers(state)[-2:] == [4, 5]
        with pytest.raises(LakehouseError):
            log.fold()
        write(log, 6)
        report = log.rebuild()
        assert (report["from_table"], report["from_log"]) == (kept, 3)
        assert log.stats()["last_error"] is None
        assert len(numbers(state)) == kept + 3
        write(log, 7)
        assert log.fold() == 1
    assert len(rows(objects)) == kept + 4
    with running(objects) as (log, state):
        assert len(numbers(state)) == kept + 4
        assert log.stats()["last_error"] is None


def test_another_process_takes_in_what_a_rebuild_has_brought_back(objects: S3ObjectStore) -> None:
    fill(objects)
    damage_pointer(objects)
    with running(objects) as (one, _), running(objects) as (two, state):
        assert numbers(state) == [4]
        one.rebuild()
        two.fold()
        assert numbers(state) == [0, 1, 2, 3, 4]
        assert two.stats()["last_error"] is None


def test_damaged_pointer_stays_until_all_rows_are_there(objects: S3ObjectStore) -> None:
    fill(objects)
    damage_pointer(objects)
    seen: list[Any] = []
    with running(Watched(objects, lambda: seen.append(rows(objects)))) as (log, _):
        log.rebuild()
    assert seen == [["s0", "s1", "s2", "s3", "s4"]]
