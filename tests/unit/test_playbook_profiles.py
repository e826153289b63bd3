"""Profiles: an answer with the queries it was endorsed for, made when needed, faded by time, bounded per source."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from lakehouse.retrieval.playbook_profiles import (
    COVERAGE_SHARE,
    AnswerProfiles,
    AskedAnswers,
    AskedQuery,
    Description,
    ProfileEntry,
)

NOW = datetime(2025, 6, 1, tzinfo=UTC)
X, Y, Z = np.eye(3, dtype=np.float32)
WEIGHTS = {"nurs": 2.0, "night": 1.0, "unheard": 1.0}


class Entries:
    """Entries by answer, and a count of how often profiles were made."""

    def __init__(self) -> None:
        self.rows: dict[str, list[ProfileEntry]] = {}
        self.described = 0
        self.profiles = AnswerProfiles(self.of, half_life_days=30)

    def of(self, corpus: str, answer_id: str, now: datetime) -> Sequence[ProfileEntry]:
        return self.rows.get(answer_id, []) if corpus == "jobs" else []

    def add(self, answer: str, query: str, vector: NDArray[np.float32], worth: float = 1.0, source: str = "x") -> None:
        self.rows.setdefault(answer, []).append(ProfileEntry(query, vector, worth, source))
        self.profiles.touch([answer])

    def describe(self, positions: list[int]) -> list[Description]:
        self.described += len(positions)
        return [Description("ward", Z) for _ in positions]

    def ask(
        self, ids: str, *, corpus: str = "jobs", row: int = 0, now: datetime = NOW, vector: NDArray[np.float32] = X
    ) -> tuple[list[float], list[float]]:
        likeness, confidence = self.profiles.likeness(
            AskedQuery(vector, WEIGHTS),
            AskedAnswers(corpus, list(ids), [row] * len(ids)),
            describe=self.describe,
            now=now,
        )
        return likeness.tolist(), confidence.tolist()


def test_answer_without_entries_has_no_likeness() -> None:
    entries = Entries()
    entries.add("a", "nurse", X)
    assert np.isnan(entries.ask("b")[0]).all()
    assert np.isnan(entries.ask("a", corpus="other")[0]).all()


def test_likeness_is_cosine_to_the_mean_and_coverage_of_words() -> None:
    entries = Entries()
    entries.add("a", "nurses", X)
    # The answer's own vector weighs as two entries; of the weight 4 of the query's words "nurs" has 2.
    cosine = 1 / np.sqrt(5)
    assert entries.ask("a")[0] == pytest.approx([(1 - COVERAGE_SHARE) * cosine + COVERAGE_SHARE * 0.5])
    entries.add("a", "by night", X)
    cosine = 2 / np.sqrt(8)
    assert entries.ask("a")[0] == pytest.approx([(1 - COVERAGE_SHARE) * cosine + COVERAGE_SHARE * 0.75])


def test_profile_is_made_once_until_an_entry_or_the_answer_changes_or_a_day_has_passed() -> None:
    entries = Entries()
    entries.add("a", "nurse", X)
    for _ in range(3):
        entries.ask("a")
    assert entries.described == 1
    entries.add("a", "night", X)
    entries.ask("a")
    assert entries.described == 2
    entries.ask("a", row=7)
    assert entries.described == 3
    entries.ask("a", row=7, now=NOW + timedelta(days=2))
    assert entries.described == 4


def test_answer_whose_entries_are_gone_is_unknown_again() -> None:
    entries = Entries()
    entries.add("a", "nurse", X)
    assert not np.isnan(entries.ask("a")[0][0])
    entries.rows.clear()
    entries.profiles.touch(["a"])
    assert np.isnan(entries.ask("a")[0][0])


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
    likeness, _ = entries.profiles.likeness(
        AskedQuery(X, {}), AskedAnswers("jobs", ["a"], [0]), describe=lambda at: [Description() for _ in at], now=NOW
    )
    assert likeness.tolist() == pytest.approx([1])
