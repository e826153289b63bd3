"""A landing folder whose files change while it is read: what is taken in is what was read, whole, and is told so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lakehouse.adapters.conversion import ConversionProcess
from lakehouse.adapters.objects import S3Location, S3ObjectStore
from lakehouse.errors import Conflict, NotFound, Unavailable, Unprocessable
from lakehouse.ingest.landing import is_synced
from lakehouse.storage.objects import ObjectInfo, list_all
from tests.ingesting import IngestDesk

Taken = list[tuple[str, str]]


class ChangingStore(S3ObjectStore):
    """The real store; whoever opens an object is told of it before, by a number that counts from 1."""

    def __init__(self, location: S3Location) -> None:
        super().__init__(location)
        self.before_open: Callable[[str, int], object] = lambda key, number: None
        self._opened = 0

    def open(self, key: str, **options: Any) -> Any:
        self._opened += 1
        self.before_open(key, self._opened)
        return super().open(key, **options)


@pytest.fixture
def store(objects: S3ObjectStore) -> ChangingStore:
    return ChangingStore(objects.location)


@pytest.fixture
def desk(store: ChangingStore, converter: ConversionProcess, tmp_path: Path) -> IngestDesk:
    return IngestDesk(store, tmp_path, converter=converter)


def put(desk: IngestDesk, name: str, body: str) -> None:
    desk.store.put(f"landing/d/{name}", body.encode())


def sync(desk: IngestDesk) -> Taken:
    """Bring the dataset up to date; gives the keys and ETags that were taken in."""
    taken: Taken = []

    def take(files: list[ObjectInfo]) -> None:
        taken[:] = sorted((file.key, file.etag) for file in files)

    desk.ingester.sync_landing("d", actor="sensor", taken=take)
    return taken


def lying(desk: IngestDesk) -> Taken:
    return sorted((info.key, info.etag) for info in list_all(desk.store, "landing/d/"))


def test_file_that_is_gone_when_it_is_read_takes_nothing_else_along(desk: IngestDesk, store: ChangingStore) -> None:
    put(desk, "a.csv", "id,t\n1,a\n")
    put(desk, "b.csv", "id,t\n2,b\n")
    store.before_open = lambda key, number: key.endswith("a.csv") and store.delete(key)
    assert sync(desk) == lying(desk)
    assert desk.rows() == [(2, "b")]
    assert is_synced(store, desk.catalog, "d")


def test_changed_file_that_is_gone_when_it_is_read_takes_its_old_rows_along(
    desk: IngestDesk, store: ChangingStore
) -> None:
    put(desk, "a.csv", "id,t\n1,a\n")
    put(desk, "b.csv", "id,t\n2,b\n")
    sync(desk)
    put(desk, "a.csv", "id,t\n10,changed\n")
    store.before_open = lambda key, number: store.delete(key)
    assert sync(desk) == lying(desk)
    assert desk.rows() == [(2, "b")]


def test_only_file_that_is_gone_when_it_is_read_is_as_none(desk: IngestDesk, store: ChangingStore) -> None:
    put(desk, "a.csv", "id,t\n1,a\n")
    store.before_open = lambda key, number: store.delete(key)
    with pytest.raises(NotFound, match="no data file under landing/d/"):
        sync(desk)


def test_what_was_read_is_told_not_what_was_listed(desk: IngestDesk, store: ChangingStore) -> None:
    put(desk, "a.csv", "id,t\n1,a\n")
    put(desk, "_options.json", '{"on_error": "quarantine"}')
    first = lying(desk)
    store.before_open = lambda key, number: put(desk, "a.csv", "id,t\n2,b\n")
    taken = sync(desk)
    assert taken == lying(desk) != first
    assert desk.rows() == [(2, "b")]


def test_what_was_refused_is_told_as_taken_in(desk: IngestDesk, store: ChangingStore) -> None:
    put(desk, "a.csv", "id,t\n1,a\n")
    taken: list[ObjectInfo] = []
    store.before_open = lambda key, number: put(desk, "a.csv", "id,t\n1\n")
    with pytest.raises(Unprocessable):
        desk.ingester.sync_landing("d", actor="sensor", taken=taken.extend)
    assert [(info.key, info.etag) for info in taken] == lying(desk)


def test_file_that_is_replaced_between_its_two_readings_is_read_from_the_start(
    desk: IngestDesk, store: ChangingStore
) -> None:
    put(desk, "a.csv", "id,n\n1,5\n")
    put(desk, "b.csv", "id,n\nx,1\n")  # so `a.csv` is read again, its ids as text
    store.before_open = lambda key, number: number == 3 and put(desk, "a.csv", "id,n\n7,text\n")
    assert sync(desk) == lying(desk)
    assert desk.types() == {"id": "VARCHAR", "n": "VARCHAR"}
    assert desk.rows() == [("7", "text"), ("x", "1")]


@pytest.mark.parametrize(
    ("body", "refused"), [("id,u\n7,8\n", "b.csv: its columns are not"), ("id,n\n7\n", "a.csv: .*line 2")]
)
def test_file_that_is_replaced_by_a_misfit_between_its_two_readings_is_judged_as_it_lies(
    desk: IngestDesk, store: ChangingStore, body: str, refused: str
) -> None:
    put(desk, "a.csv", "id,n\n1,5\n")
    put(desk, "b.csv", "id,n\nx,1\n")
    store.before_open = lambda key, number: number == 3 and put(desk, "a.csv", body)
    with pytest.raises((Conflict, Unprocessable), match=refused):
        sync(desk)
    assert len(desk.rows()) == 1


def test_file_that_is_replaced_at_every_second_reading_is_left_for_later(
    desk: IngestDesk, store: ChangingStore
) -> None:
    put(desk, "a.csv", "id,n\n1,5\n")
    put(desk, "b.csv", "id,n\nx,1\n")
    store.before_open = lambda key, number: key.endswith("a.csv") and put(desk, "a.csv", f"id,n\n{number},5\n")
    with pytest.raises(Unavailable, match="try again"):
        sync(desk)
    assert desk.catalog.find("d") is None
