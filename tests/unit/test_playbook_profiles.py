"""Profiles: an answer with the queries it was endorsed for, made when needed, faded by time, bounded per source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from lakehouse.errors import NotFound
from lakehouse.retrieval.playbook_profiles import (
    COVERAGE_SHARE,
    AnswerProfiles,
    AskedAnswers,
    AskedQuery,
    ProfileEntry,
)
from tests.fakes.corpus_views import corpus_of

NOW = datetime(2025, 6, 1, tzinfo=UTC)
X, Y, Z = np.eye(3, dtype=np.float32)
WEIGHTS = {"nurs": 2.0, "night": 1.0, "unheard": 1.0}


class Entries:
    """Entries by answer, and a count of how often those of an answer were read."""

    def __init__(self, *, name: str = "jobs") -> None:
        self.rows: dict[str, list[ProfileEntry]] = {}
        self.vectors: list[NDArray[np.float32]] = []
        self.read: list[str] = []
        self.first = 0
        self.corpus = corpus_of(name, ["a", "b"], ["ward", "ward"], np.stack([Z, Z]))
        self.profiles = AnswerProfiles(self.of, self, half_life_days=30)

    def of(self, corpus: str, answer_ids: Sequence[str], now: datetime) -> Mapping[str, Sequence[ProfileEntry]]:
        self.read += answer_ids
        return {one: self.rows.get(one, []) for one in answer_ids} if corpus == "jobs" else {}

    def vectors_at(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        if rows.min() < self.first:
            raise NotFound("a row is gone")
        return np.stack([self.vectors[row - self.first] for row in rows.tolist()])

    def products_at(self, rows: NDArray[np.int64], vector: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(self.vectors_at(rows) @ vector, np.float32)

    def move(self) -> None:
        """All vectors go to other rows."""
        self.first += len(self.vectors)
        for answer, entries in self.rows.items():
            moved = [ProfileEntry(e.query, e.worth, e.source, e.row + len(self.vectors)) for e in entries]
            self.rows[answer] = moved

    def add(self, answer: str, query: str, vector: NDArray[np.float32], worth: float = 1.0, source: str = "x") -> None:
        entry = ProfileEntry(query, worth, source, self.first + len(self.vectors))
        self.vectors.append(vector)
        self.rows.setdefault(answer, []).append(entry)
        self.profiles.touch([answer])

    def ask(
        self, ids: str, *, now: datetime = NOW, vector: NDArray[np.float32] = X, weights: dict[str, float] = WEIGHTS
    ) -> tuple[list[float], list[float]]:
        """Likeness and confidence of each answer, NaN and 0 for one without entries."""
        rows = self.corpus.index.rows_of(list(ids))
        got = self.profiles.likeness(
            AskedQuery(vector, weights),
            AskedAnswers(self.corpus, rows, self.corpus.vectors_of(rows) @ vector),
            now=now,
        )
        likeness, confidence = np.full(len(ids), np.nan), np.zeros(len(ids))
        likeness[got.places], confidence[got.places] = got.likeness, got.confidence
        return likeness.tolist(), confidence.tolist()


def test_answer_without_entries_has_no_likeness() -> None:
    entries = Entries()
    entries.add("a", "nurse", X)
    assert np.isnan(entries.ask("ba")[0]).tolist() == [True, False]
    elsewhere = Entries(name="other")
    elsewhere.add("a", "nurse", X)
    assert np.isnan(elsewhere.ask("a")[0]).all()


def test_likeness_is_cosine_to_the_mean_and_coverage_of_words() -> None:
    entries = Entries()
    entries.add("a", "nurses", X)
    # The answer's own vector weighs as two entries; of the weight 4 of the query's words "nurs" has 2.
    cosine = 1 / np.sqrt(5)
    assert entries.ask("a")[0] == pytest.approx([(1 - COVERAGE_SHARE) * cosine + COVERAGE_SHARE * 0.5])
    entries.add("a", "by night", X)
    cosine = 2 / np.sqrt(8)
    assert entries.ask("a")[0] == pytest.approx([(1 - COVERAGE_SHARE) * cosine + COVERAGE_SHARE * 0.75])


def test_profiles_side_by_side_are_each_as_if_alone() -> None:
    entries = Entries()
    entries.add("a", "nurses", X)
    entries.add("a", "by night", Y)
    entries.add("b", "the", X, worth=0.5)
    alone = [entries.ask(one) for one in "ab"]
    together = entries.ask("ba")
    assert together[0] == pytest.approx([alone[1][0][0], alone[0][0][0]])
    assert together[1] == pytest.approx([alone[1][1][0], alone[0][1][0]])


def test_answer_is_as_like_as_its_own_vector_where_that_is_nearer() -> None:
    entries = Entries()
    entries.add("a", "nurse", X)
    assert entries.ask("a", vector=Z, weights={})[0] == pytest.approx([1])


@pytest.mark.parametrize("unheard", [0, 10, 150, 1500])
def test_coverage_of_a_long_query_is_the_share_of_what_its_words_weigh(unheard: int) -> None:
    entries = Entries()
    entries.add("a", "nurses by night", X)
    entries.add("b", "welder", X)
    weights = {"nurs": 3.0, "night": 2.0, **{f"word{n}": 1.0 for n in range(unheard)}}
    without, _ = entries.ask("ab", weights={})
    likeness, _ = entries.ask("ab", weights=weights)
    covered = 5 / (5 + unheard)
    assert likeness == pytest.approx(
        [(1 - COVERAGE_SHARE) * without[0] + COVERAGE_SHARE * covered, (1 - COVERAGE_SHARE) * without[1]]
    )


def test_profile_is_made_once_until_an_entry_or_the_answer_changes_or_a_day_has_passed() -> None:
    entries = Entries()
    entries.add("a", "nurse", X)
    for _ in range(3):
        entries.ask("a")
    assert entries.read == ["a"]
    entries.add("a", "night", X)
    entries.ask("a")
    assert entries.read == ["a", "a"]
    entries.corpus = corpus_of("jobs", ["b", "a"], ["ward", "nurse by night"], np.stack([Z, X]))
    assert entries.ask("a")[0] == pytest.approx([(1 - COVERAGE_SHARE) + COVERAGE_SHARE * 0.75])
    assert entries.read == ["a", "a", "a"]
    entries.ask("a", now=NOW + timedelta(days=2))
    assert entries.read == ["a", "a", "a", "a"]


def test_answer_whose_entries_are_gone_is_unknown_again() -> None:
    entries = Entries()
    entries.add("a", "nurse", X)
    assert not np.isnan(entries.ask("a")[0][0])
    entries.rows.clear()
    entries.profiles.touch(["a"])
    assert np.isnan(entries.ask("a")[0][0])


def test_answer_that_was_unknown_is_known_with_its_first_entry() -> None:
    entries = Entries()
    assert np.isnan(entries.ask("a")[0][0])
    entries.add("a", "nurse", X)
    assert not np.isnan(entries.ask("a")[0][0])


def test_vectors_that_have_moved_are_looked_up_anew() -> None:
    entries = Entries()
    entries.add("a", "nurse", X)
    before = entries.ask("a")
    entries.move()
    assert entries.ask("a") == before


def test_many_changes_leave_every_profile_as_if_it_were_made_first() -> None:
    entries, many = Entries(), 5000
    for n in range(many):
        entries.rows["a"] = []
        entries.add("a", f"nurse {n}", X)
        if n % 50 == 0:
            assert not np.isnan(entries.ask("ab")[0][0])
    entries.profiles.touch([str(n) for n in range(many)])
    fresh = Entries()
    fresh.add("a", f"nurse {many - 1}", X)
    assert entries.ask("a") == fresh.ask("a")


def test_entry_that_comes_or_goes_leaves_a_profile_as_if_it_were_made_first() -> None:
    entries = Entries()
    for query in ("nurse", "unheard", "night welder"):
        entries.add("a", query, X)
        fresh = Entries()
        for entry in entries.rows["a"]:
            fresh.add("a", entry.query, X)
        assert entries.ask("a") == fresh.ask("a")
    while entries.rows["a"].pop(0) and entries.rows["a"]:
        entries.profiles.touch("a")
        fresh = Entries()
        for entry in entries.rows["a"]:
            fresh.add("a", entry.query, X)
        assert entries.ask("a") == fresh.ask("a")


def test_confidence_is_the_worth_of_all_entries_up_to_one() -> None:
    entries = Entries()
    entries.add("a", "nurse", X, worth=0.5)
    assert entries.ask("a")[1] == pytest.approx([0.5])
    assert entries.ask("a", now=NOW + timedelta(hours=12))[1] == pytest.approx([0.5 * 0.5 ** (0.5 / 30)])
    for _ in range(5):
        entries.add("a", "nurse", X)
    assert entries.ask("a")[1] == [1]


def test_burst_of_one_source_does_not_bend_a_profile_beyond_its_cap() -> None:
    entries = Entries()
    for source in "abcdefgh":
        entries.add("a", "nurse", X, source=source)
    honest = entries.ask("a")[0][0]
    for _ in range(1000):
        entries.add("a", "spam", Y, source="spam")
    assert entries.ask("a")[0][0] > 0.7 * honest


def test_text_that_was_not_asked_for_leaves_the_vector_alone() -> None:
    entries = Entries()
    entries.add("a", "nurse", X)
    assert entries.ask("a", weights={})[0] == pytest.approx([1 / np.sqrt(5)])
