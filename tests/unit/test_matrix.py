"""Matrix search over corpora in memory: one scale, what is dropped is counted, playbooks come in, ties are stable."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from lakehouse.adapters.corpus_reader import CorpusReader
from lakehouse.retrieval.matrix import Ask, Found, find, merge
from lakehouse.retrieval.relevance import RelevanceModel
from tests.fakes.corpus_views import corpus_of

QUERY = np.array([1, 0], np.float32)
HYBRID = Ask("night nurse", 3, 50, "hybrid", {"a": 0.3, "b": 0.3})
VECTOR = Ask("night nurse", 3, 50, "vector", {})


def corpus(
    name: str, *angles: float, texts: Sequence[str] | None = None, calibration: RelevanceModel | None = None,
    distance: str = "cosine",
) -> CorpusReader:  # fmt: skip
    vectors = np.array([[np.cos(a), np.sin(a)] for a in angles], np.float32)
    ids = [f"{name}{n}" for n in range(len(angles))]
    return corpus_of(name, ids, texts or ["words"] * len(ids), vectors, calibration=calibration, distance=distance)


def found_in(view: CorpusReader, ask: Ask) -> Found:
    return find(view, ask, None if ask.mode == "text" else QUERY, view.select())


def ids(merged: object) -> list[str]:
    return [c.id for c in merged.results]  # type: ignore[attr-defined]


def test_one_corpus_keeps_its_scores() -> None:
    merged = merge([found_in(corpus("a", 0.1, 0.5), VECTOR)], VECTOR)
    assert ids(merged) == ["a0", "a1"]
    assert [c.score for c in merged.results] == pytest.approx([np.cos(0.1), np.cos(0.5)], abs=1e-5)
    assert (merged.counts["a"].hits, merged.counts["a"].kept, merged.counts["a"].dropped) == (2, 2, 0)


def test_text_lifts_what_has_the_words() -> None:
    view = corpus("a", 0.3, 0.35, texts=["day cook", "night nurse"])
    assert ids(merge([found_in(view, VECTOR)], VECTOR)) == ["a0", "a1"]
    assert ids(merge([found_in(view, HYBRID)], HYBRID)) == ["a1", "a0"]


def test_corpus_that_has_little_to_say_comes_after_one_that_has_much() -> None:
    near, far = corpus("a", 0.1, 0.2), corpus("b", 1.2, 1.3, texts=["night nurse", "night nurse"])
    merged = merge([found_in(far, HYBRID), found_in(near, HYBRID)], HYBRID)
    assert ids(merged) == ["a0", "a1", "b0"]


def test_corpora_keep_their_own_order_when_they_are_merged() -> None:
    view = corpus("a", 0.3, 0.35, texts=["day cook", "night nurse"])
    merged = merge([found_in(view, HYBRID), found_in(corpus("b", 1.5), HYBRID)], HYBRID)
    assert [i for i in ids(merged) if i.startswith("a")] == ["a1", "a0"]


def test_without_cosines_corpora_are_merged_by_rank() -> None:
    merged = merge([found_in(corpus("a", 0.1, 0.2, distance="l2"), VECTOR), found_in(corpus("b", 1.5), VECTOR)], VECTOR)
    assert ids(merged) == ["a0", "b0", "a1"]


def test_text_shares_of_several_corpora_compare_as_they_are() -> None:
    ask = Ask("night nurse", 3, 50, "text", {})
    half, whole = corpus("a", 0.1, texts=["night cook"]), corpus("b", 0.1, texts=["night nurse"])
    assert ids(merge([found_in(half, ask), found_in(whole, ask)], ask))[0] == "b0"


def test_what_is_probably_irrelevant_is_dropped_and_counted() -> None:
    view = corpus("a", 0.1, 1.4, calibration=RelevanceModel(10.0, 0.0, -5.0))
    ask = Ask("night nurse", 3, 50, "hybrid", {"a": 0.3}, threshold=0.3)
    merged = merge([found_in(view, ask)], ask)
    assert ids(merged) == ["a0"]
    assert (merged.counts["a"].hits, merged.counts["a"].kept, merged.counts["a"].dropped) == (2, 1, 1)


def test_strong_model_is_spared_weak_results() -> None:
    ask = Ask("q", 3, 50, "vector", {}, model_class="strong", strong_min_score=0.6)
    merged = merge([found_in(corpus("a", 0.1, 1.4), ask)], ask)
    assert (ids(merged), merged.is_downgraded, merged.counts["a"].dropped) == (["a0"], True, 1)


def test_nothing_held_back_is_no_downgrade() -> None:
    ask = Ask("q", 3, 50, "vector", {}, model_class="strong", strong_min_score=0.1)
    assert not merge([found_in(corpus("a", 0.1), ask)], ask).is_downgraded


def test_k_counts_over_all_corpora_and_ties_go_by_name() -> None:
    ask = Ask("q", 2, 50, "vector", {})
    merged = merge([found_in(corpus("b", 0.2, 0.2, 0.2), ask), found_in(corpus("a", 0.2), ask)], ask)
    assert ids(merged) == ["a0", "b0"]
    assert (merged.counts["a"].kept, merged.counts["b"].kept) == (1, 1)


def test_empty_corpus_changes_nothing() -> None:
    merged = merge(
        [
            found_in(corpus("a", 0.1), VECTOR),
            find(corpus("b", 0.1), VECTOR, QUERY, corpus("b", 0.1).select(only_ids=())),
        ],
        VECTOR,
    )
    assert ids(merged) == ["a0"]


def test_text_search_leaves_a_vector_alone_that_others_asked_for() -> None:
    ask = Ask("nothing of it", 3, 50, "text", {})
    view = corpus("a", 0.1)
    assert merge([find(view, ask, QUERY, view.select())], ask).results == []


def test_hybrid_search_of_squared_distances_goes_by_them() -> None:
    view = corpus("a", 0.9, 0.1, 0.5, texts=["x", "y", "z"], distance="l2")
    ask = Ask("words", 3, 50, "hybrid", {"a": 0.3})
    assert ids(merge([found_in(view, ask)], ask)) == ["a1", "a2", "a0"]


def test_gate_looks_at_how_near_a_row_is_and_not_at_its_rank() -> None:
    ask = Ask("off topic", 3, 50, "hybrid", {"a": 0.3}, model_class="strong", strong_min_score=0.6)
    merged = merge([found_in(corpus("a", 1.4, 1.45), ask)], ask)
    assert (ids(merged), merged.is_downgraded) == ([], True)
