"""A word on a finding is in the run log, or changes nothing; one that was cut off is finished by saying it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from lakehouse.adapters.review_run import Reviews
from lakehouse.adapters.review_store import ReviewStore
from lakehouse.errors import BadInput, Unavailable
from tests.fakes.objects import MemoryObjects
from tests.unit.test_review import BLOCK, NOW, made


class Log:
    """A run log that can be full before it is asked, or only when a line comes."""

    def __init__(self) -> None:
        self.lines: list[Mapping[str, Any]] = []
        self.has_room = self.takes_lines = True

    def require_room(self) -> None:
        if not self.has_room:
            raise Unavailable("the run-log spool is full")

    def append_sync(self, _stream: str, line: Mapping[str, Any]) -> str:
        if not self.takes_lines:
            raise Unavailable("the run-log spool is full")
        self.lines.append(line)
        return str(line["run_id"])


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def store() -> ReviewStore:
    return ReviewStore(MemoryObjects())


@pytest.fixture
def reviews(store: ReviewStore, log: Log) -> Reviews:
    return Reviews(store, log, clock=lambda: NOW)  # type: ignore[arg-type]


@pytest.fixture
def review_id(store: ReviewStore) -> str:
    review = made(("gpt-4o", BLOCK))
    store.keep(review, {})
    return review.review_id


def test_word_that_cannot_be_logged_changes_nothing(
    reviews: Reviews, store: ReviewStore, log: Log, review_id: str
) -> None:
    log.has_room = False
    with pytest.raises(Unavailable):
        reviews.change(review_id, 1, "dismissed", by="dana", why="checked before")
    assert (store.findings(review_id).of(1).state, log.lines) == ("open", [])


def test_word_that_was_cut_off_is_logged_when_it_is_said_again(
    reviews: Reviews, store: ReviewStore, log: Log, review_id: str
) -> None:
    log.takes_lines = False
    with pytest.raises(Unavailable):
        reviews.change(review_id, 1, "dismissed", by="dana", why="checked before")
    log.takes_lines = True
    after = reviews.change(review_id, 1, "dismissed", by="dana", why="as I said")
    assert after == store.findings(review_id)
    assert [change.why for change in after.of(1).history] == ["checked before"]
    [line] = log.lines
    assert line["run_id"] == f"review/{review_id}/finding/1/1"
    assert (line["verdict"], line["notes"]) == ("reject", ["dismissed: checked before"])


def test_same_word_of_somebody_else_is_refused(reviews: Reviews, log: Log, review_id: str) -> None:
    reviews.change(review_id, 1, "deferred", by="dana", why="next week")
    with pytest.raises(BadInput, match="deferred already"):
        reviews.change(review_id, 1, "deferred", by="lee", why="next week")
    assert len(log.lines) == 1
