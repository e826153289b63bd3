"""What playbooks say of a query: nearer counts more, age fades it, one source is held down, rejection sinks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from lakehouse.memory.entry import Entry, Order
from lakehouse.retrieval.matrix import Lifts
from lakehouse.retrieval.playbook import RECORD, PlaybookBook, encode_vector
from lakehouse.retrieval.playbook_lift import SOURCE_CAP, WORTH, judgements, lifts_of
from lakehouse.retrieval.search_config import PlaybookConfig
from tests.fakes.entry_index import FlatIndex

NOW = datetime(2026, 6, 1, tzinfo=UTC)
WRITER = "0198f0c2-7c1e-7f43-9a51-0f6a3a1d2b3c"
DEFAULTS = PlaybookConfig()


def unit(angle: float) -> np.ndarray:  # type: ignore[type-arg]
    return np.array([np.cos(angle), np.sin(angle)], np.float32)


class Book:
    """A book that is told of records."""

    def __init__(self) -> None:
        self.book = PlaybookBook(FlatIndex(), embedder="fake", embed=lambda texts: np.stack([unit(0) for _ in texts]))
        self._count = 0

    def record(
        self, answer: str, *, angle: float = 0.0, score: float = 1.0, actor: str = "ann", days_ago: float = 0.0
    ) -> None:
        self._count += 1
        n = self._count
        payload = {
            "playbook_id": f"p{n:04d}", "query": f"query {n}", "answer_id": answer, "answer_corpus": "c", "tags": [],
            "score": score, "embedder": "fake", "vector": encode_vector(unit(angle)),
        }  # fmt: skip
        at = NOW - timedelta(days=days_ago)
        self.book.apply([Entry(f"op-{n}", Order(n, WRITER, n, 0), RECORD, payload, at, actor)])

    def lifts(self, config: PlaybookConfig = DEFAULTS) -> dict[str, float]:
        found: Lifts = lifts_of(self.book, unit(0.0), config=config, now=NOW)
        return {answer: lift.boost for (_, answer), lift in found.items()}


def test_same_query_is_worth_all_and_a_far_one_nothing() -> None:
    book = Book()
    book.record("same")
    book.record("near", angle=0.5)
    book.record("far", angle=2.0)
    lifts = book.lifts()
    assert lifts["same"] == pytest.approx(WORTH, abs=1e-3)
    assert 0 < lifts["near"] < lifts["same"]
    assert "far" not in lifts


def test_rejected_answer_sinks_as_far_as_an_endorsed_one_rises() -> None:
    book = Book()
    book.record("good")
    book.record("bad", score=-1.0)
    lifts = book.lifts()
    assert lifts["bad"] == pytest.approx(-lifts["good"])


def test_evidence_halves_with_its_half_life() -> None:
    book = Book()
    book.record("old", days_ago=30)
    assert book.lifts()["old"] == pytest.approx(WORTH / 2, abs=1e-3)
    assert book.lifts(PlaybookConfig(half_life_days=15))["old"] == pytest.approx(WORTH / 4, abs=1e-3)


def test_burst_of_one_source_moves_an_answer_no_further_than_its_cap() -> None:
    book = Book()
    for _ in range(50):
        book.record("pushed", actor="mallory")
    assert book.lifts(PlaybookConfig(top_k=50))["pushed"] <= SOURCE_CAP * WORTH + 1e-3


def test_several_sources_count_more_than_one_and_not_without_end() -> None:
    one, many = Book(), Book()
    one.record("a")
    for n in range(40):
        many.record("a", actor=f"judge-{n}")
    config = PlaybookConfig(top_k=50)
    assert one.lifts(config)["a"] < many.lifts(config)["a"] < 6 * one.lifts(config)["a"]


def test_boost_scales_and_top_k_limits() -> None:
    book = Book()
    book.record("a")
    book.record("b", angle=0.1)
    assert book.lifts(PlaybookConfig(boost=2.0))["a"] == pytest.approx(2 * WORTH, abs=1e-3)
    assert set(book.lifts(PlaybookConfig(top_k=1))) == {"a"}


def test_judgements_are_means_by_source() -> None:
    book = Book()
    book.record("a")
    [entry] = book.book.entries()
    assert judgements(book.book.evidence_of(entry), half_life_days=30, now=NOW) == {"ann": 1.0}
