"""What entries do to results: nothing far away, bounded by one entry each, never at the cost of the unknown."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lakehouse.retrieval.playbook_scoring import (
    ENDORSEMENT_LIFT,
    LIKENESS_LIFT,
    SAME_QUERY,
    Judgement,
    NearEntry,
    Verdict,
    boosts_of,
    choose_near,
    verdicts_of,
    worth_of,
)
from lakehouse.retrieval.search_config import PlaybookConfig

CONFIG = PlaybookConfig()
UNIT = st.floats(0, 1, width=32)
SIGNED = st.floats(-1, 1, width=32)
ENTRIES = st.builds(
    NearEntry,
    playbook_id=st.uuids().map(str),
    answer=st.tuples(st.sampled_from(["onet", None]), st.sampled_from("abcdef")),
    distance=UNIT,
    worth=SIGNED,
    query=st.sampled_from(["nurse", "welder"]),
    sources=st.sampled_from([frozenset("x"), frozenset("y"), frozenset("xy")]),
)


def entry(answer: str = "a", distance: float = 0.1, **more: object) -> NearEntry:
    values: dict[str, object] = {"worth": 1.0, "query": "nurse", "sources": frozenset("x")}
    return NearEntry(f"{answer}@{distance}", ("onet", answer), distance, **values | more)  # type: ignore[arg-type]


def boosts(
    scores: list[float],
    verdicts: list[Verdict | None],
    *,
    likeness: NDArray[np.float32] | None = None,
    confidence: NDArray[np.float32] | None = None,
    config: PlaybookConfig = CONFIG,
) -> list[float]:
    """What the candidates gain; the likeness of one without entries is NaN."""
    likeness = np.full(len(scores), np.nan, np.float32) if likeness is None else likeness
    confidence = np.ones(len(scores), np.float32) if confidence is None else confidence
    known = np.flatnonzero(~np.isnan(likeness))
    return boosts_of(
        np.array(scores, np.float32),
        {place: verdict for place, verdict in enumerate(verdicts) if verdict is not None},
        known=known,
        likeness=likeness[known],
        confidence=confidence[known],
        config=config,
    ).tolist()


def test_fresh_word_of_one_source_counts_as_it_is_however_often_it_is_said() -> None:
    assert worth_of([Judgement("x", 0.6, 0)], half_life_days=30) == pytest.approx(0.6)
    assert worth_of([Judgement("x", 0.6, 0)] * 1000, half_life_days=30) == pytest.approx(0.6)
    burst = [Judgement("x", 1.0, 0)] * 1000
    assert worth_of([*burst, Judgement("y", -1.0, 0)], half_life_days=30) == pytest.approx(0)
    assert worth_of([], half_life_days=30) == 0


def test_word_is_halved_by_each_half_life_and_lasts_longer_from_several() -> None:
    assert worth_of([Judgement("x", 1, 60)], half_life_days=30) == pytest.approx(0.25)
    several = [Judgement(name, 1, 60) for name in "abcdef"]
    assert worth_of(several, half_life_days=30) == pytest.approx(1)


@given(st.lists(st.builds(Judgement, st.sampled_from("abc"), SIGNED, st.floats(0, 1e4)), max_size=20))
def test_worth_stays_within_bounds(judgements: list[Judgement]) -> None:
    assert -1.000001 <= worth_of(judgements, half_life_days=30) <= 1.000001


@given(st.lists(ENTRIES, max_size=40), st.integers(1, 10), UNIT)
def test_chosen_entries_are_near_few_and_in_order(found: list[NearEntry], top_k: int, max_distance: float) -> None:
    found.sort(key=lambda e: e.distance)
    config = PlaybookConfig(top_k=top_k, max_distance=max_distance)
    chosen = choose_near(found, config=config)
    near = [e for e in found if e.distance <= max_distance and e.worth != 0]
    assert len(chosen) == min(top_k, len(near))
    assert all(e in near for e in chosen)
    assert [e.distance for e in chosen] == sorted(e.distance for e in chosen)


def test_burst_of_one_source_does_not_crowd_out_another() -> None:
    burst = [entry(f"bad{n}", 0.01, sources=frozenset(["spam"])) for n in range(30)]
    chosen = choose_near([*burst, entry("good", 0.02)], config=CONFIG)
    assert [e.answer[1] for e in chosen].count("good") == 1
    assert len(chosen) == CONFIG.top_k


def test_burst_for_one_answer_moves_it_no_further_than_one_entry() -> None:
    one = verdicts_of([entry()], config=CONFIG)
    many = verdicts_of([entry() for _ in range(500)], config=CONFIG)
    assert many["onet", "a"].endorsed == one["onet", "a"].endorsed
    assert many["onet", "a"].same == one["onet", "a"].same


def test_source_that_names_a_hundred_answers_for_one_query_is_split_among_them() -> None:
    config = PlaybookConfig(top_k=200)
    verdicts = verdicts_of([entry(f"bad{n}", 0.0) for n in range(100)], config=config)
    assert max(v.same for v in verdicts.values()) == pytest.approx(0.05)


@given(st.lists(ENTRIES, max_size=30))
def test_verdicts_stay_within_bounds(found: list[NearEntry]) -> None:
    for verdict in verdicts_of(found, config=CONFIG).values():
        assert 0 <= verdict.endorsed <= 1
        assert 0 <= verdict.rejected <= 1
        assert -1 <= verdict.same <= 1


CANDIDATES = st.lists(st.tuples(UNIT, UNIT | st.just(float("nan")), UNIT), min_size=1, max_size=30)


@given(CANDIDATES)
def test_query_that_no_entry_is_near_is_left_as_it_was(candidates: list[tuple[float, float, float]]) -> None:
    scores, likeness, confidence = (np.array(column, np.float32) for column in zip(*candidates, strict=True))
    got = boosts(scores.tolist(), [None] * len(scores), likeness=likeness, confidence=confidence)
    assert got == [0] * len(scores)


@given(CANDIDATES, st.integers(0, 29), st.integers(1, 9))
def test_unknown_answer_keeps_its_score_and_is_passed_only_by_a_lift(
    candidates: list[tuple[float, float, float]], endorsed: int, boost: int
) -> None:
    scores, likeness, confidence = (np.array(column, np.float32) for column in zip(*candidates, strict=True))
    is_known = ~np.isnan(likeness)
    verdicts: list[Verdict | None] = [None] * len(scores)
    verdicts[endorsed % len(scores)] = Verdict(0.5, 0, 0, ("p",))
    got = np.array(
        boosts(scores.tolist(), verdicts, likeness=likeness, confidence=confidence, config=PlaybookConfig(boost=boost))
    )
    untouched = [n for n in range(len(scores)) if not is_known[n] and verdicts[n] is None]
    assert (got[untouched] == 0).all()
    # The known hold the places they held, but for what lifts them.
    most = boost * (LIKENESS_LIFT + ENDORSEMENT_LIFT) + 1e-4
    after, before = np.sort((scores + got)[is_known]), np.sort(scores[is_known])
    assert (after >= before - 1e-4).all()
    assert (after <= before + most).all()


def test_known_answers_take_the_order_of_their_likeness() -> None:
    scores = [1.0, 0.9, 0.8, 0.7]
    likeness = np.array([0.3, np.nan, 0.6, 0.5], np.float32)
    got = np.array(scores) + boosts(scores, [Verdict(0, 0, 0, ("p",)), None, None, None], likeness=likeness)
    assert got.tolist() == pytest.approx([0.7, 0.9, 1.0, 0.8])


def test_endorsed_answer_of_the_very_same_query_comes_first_and_a_rejected_one_last() -> None:
    near = [entry("a", SAME_QUERY), entry("c", SAME_QUERY / 2, worth=-1.0)]
    verdicts = verdicts_of(near, config=CONFIG)
    scores = np.array([0.05, 1.0, 1.0, 0.3])
    after = scores + boosts(scores.tolist(), [verdicts.get(("onet", i)) for i in "abcd"])
    assert np.argsort(-after).tolist() == [0, 1, 3, 2]


def test_farther_entries_lift_less_and_no_boost_changes_nothing() -> None:
    lifts = [
        boosts([0.5], [verdicts_of([entry("a", distance)], config=CONFIG)["onet", "a"]])[0]
        for distance in (0.05, 0.1, 0.2, 0.34, 0.35)
    ]
    assert lifts == sorted(lifts, reverse=True)
    assert lifts[-1] == 0
    verdict = Verdict(1, 0, 1, ("p",))
    assert boosts([0.5], [verdict], config=PlaybookConfig(boost=0)) == [0]
    assert boosts([0.5], [verdict], config=PlaybookConfig(boost=2))[0] == 2 * boosts([0.5], [verdict])[0]
