"""Merging of corpora: one scale, what is dropped is counted, ties are broken the same way everywhere."""

from __future__ import annotations

from lakehouse.retrieval.matrix import RRF_K, Ask, Candidate, Lift, merge

ASK = Ask("q", 3, 50, "hybrid", {})


def candidate(corpus: str, id_: str, score: float, **more: object) -> Candidate:
    return Candidate(corpus, 0, id_, score, None, **more)  # type: ignore[arg-type]


def ids(merged: object) -> list[str]:
    return [c.id for c in merged.results]  # type: ignore[attr-defined]


def test_one_corpus_keeps_its_scores() -> None:
    merged = merge({"a": [candidate("a", "x", 0.9), candidate("a", "y", 0.5)]}, ASK)
    assert [(c.id, c.score) for c in merged.results] == [("x", 0.9), ("y", 0.5)]
    assert (merged.counts["a"].hits, merged.counts["a"].kept, merged.counts["a"].dropped) == (2, 2, 0)


def test_corpora_without_calibration_are_merged_by_rank() -> None:
    merged = merge({"a": [candidate("a", "x", 99.0), candidate("a", "y", 98.0)], "b": [candidate("b", "z", 0.1)]}, ASK)
    assert ids(merged) == ["x", "z", "y"]
    assert merged.results[2].score == (RRF_K + 1) / (RRF_K + 2)


def test_corpora_with_calibration_are_merged_by_probability() -> None:
    found = {
        "a": [candidate("a", "x", 99.0, relevance=0.4)],
        "b": [candidate("b", "y", 0.2, relevance=0.9), candidate("b", "z", 0.1, relevance=0.1)],
    }
    assert ids(merge(found, ASK)) == ["y", "x", "z"]


def test_what_is_probably_irrelevant_is_dropped_and_counted_unless_people_lifted_it() -> None:
    found = {
        "a": [
            candidate("a", "x", 0.9, relevance=0.8),
            candidate("a", "y", 0.5, relevance=0.2),
            candidate("a", "z", 0.4, relevance=0.1, lift=Lift(1.0, ("p",))),
        ]
    }
    merged = merge(found, Ask("q", 3, 50, "hybrid", {}, threshold=0.3))
    assert ids(merged) == ["z", "x"]
    assert (merged.counts["a"].hits, merged.counts["a"].kept, merged.counts["a"].dropped) == (3, 2, 1)


def test_strong_model_is_spared_weak_results() -> None:
    found = {"a": [candidate("a", "x", 0.9), candidate("a", "y", 0.5)]}
    merged = merge(found, Ask("q", 3, 50, "hybrid", {}, model_class="strong", strong_min_score=0.6))
    assert (ids(merged), merged.is_downgraded, merged.counts["a"].dropped) == (["x"], True, 1)


def test_nothing_held_back_is_no_downgrade() -> None:
    merged = merge({"a": [candidate("a", "x", 0.9)]}, Ask("q", 3, 50, "hybrid", {}, model_class="strong"))
    assert not merged.is_downgraded


def test_k_counts_over_all_corpora_and_ties_go_by_name() -> None:
    found = {"b": [candidate("b", str(n), 1.0) for n in range(3)], "a": [candidate("a", "9", 1.0)]}
    merged = merge(found, Ask("q", 2, 50, "hybrid", {}))
    assert [(c.corpus, c.id) for c in merged.results] == [("a", "9"), ("b", "0")]
    assert (merged.counts["a"].kept, merged.counts["b"].kept) == (1, 1)
