"""Numbered versions on the real store and the fake: written once, pointed to afterwards, races lose nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from lakehouse.errors import Unavailable
from lakehouse.storage.objects import ObjectStore
from lakehouse.storage.versions import NumberedVersions
from tests.fakes.objects import MemoryObjects


@pytest.fixture(params=["seaweedfs", "memory"])
def versions(request: pytest.FixtureRequest) -> NumberedVersions:
    store: ObjectStore = MemoryObjects() if request.param == "memory" else request.getfixturevalue("objects")
    return NumberedVersions(store, "things/", "things/live.json", "the things")


def test_version_is_numbered_from_1_and_the_pointer_stays(versions: NumberedVersions) -> None:
    assert versions.add(lambda number: b"first %d" % number) == 1
    assert versions.add(lambda number: b"then %d" % number) == 2
    assert versions.numbers() == [2, 1]
    assert versions.store.get("things/2.json").body == b"then 2"
    assert versions.store.head("things/live.json") is None


def test_objects_that_are_no_versions_are_passed_over(versions: NumberedVersions) -> None:
    versions.move_pointer(b"0")
    versions.store.put("things/7.parquet", b"rows")
    versions.store.put("things/7/8.json", b"deeper")
    assert versions.add(lambda _: b"{}") == 1
    assert versions.numbers() == [1]


def test_pointer_moves_unless_what_it_holds_is_kept(versions: NumberedVersions) -> None:
    versions.move_pointer(b"2", is_kept=lambda _: True)
    versions.move_pointer(b"1", is_kept=lambda body: body > b"1")
    assert versions.store.get("things/live.json").body == b"2"
    versions.move_pointer(b"1")
    assert versions.store.get("things/live.json").body == b"1"


def test_racing_writers_get_numbers_of_their_own(versions: NumberedVersions) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: versions.add(lambda number: b"%d" % number), range(8)))
    assert sorted(made) == list(range(1, 9))


def test_writer_that_always_loses_gives_up_and_names_the_document() -> None:
    store = MemoryObjects()
    versions = NumberedVersions(store, "things/", "things/live.json", "the things")

    def let_another_win(number: int) -> bytes:
        store.put(versions.key(number), b"another's")
        return b"mine"

    def move_meanwhile(body: bytes) -> bool:
        store.put(versions.pointer_key, body + b"+")
        return False

    with pytest.raises(Unavailable, match="other writers of the things kept winning; try again"):
        versions.add(let_another_win)
    store.put(versions.pointer_key, b"1")
    with pytest.raises(Unavailable, match="other writers of the things kept winning; try again"):
        versions.move_pointer(b"2", is_kept=move_meanwhile)
