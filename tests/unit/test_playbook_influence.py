"""What playbooks do to a search: nearer counts more, age fades it, one source is held down, rejection sinks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from lakehouse.adapters.corpus_reader import CorpusReader
from lakehouse.memory.entry import Entry, Order
from lakehouse.retrieval.matrix import Ask, Candidate, find, merge
from lakehouse.retrieval.playbook import DELETE, FEEDBACK, RECORD, PlaybookBook
from lakehouse.retrieval.playbook_codec import encode_vector
from lakehouse.retrieval.playbook_influence import Playbooks
from lakehouse.retrieval.playbook_scoring import Judgement, choose_near, worth_of
from lakehouse.retrieval.relevance import RelevanceModel
from lakehouse.retrieval.search_config import PlaybookConfig
from tests.fakes.corpus_views import corpus_of
from tests.fakes.entry_index import FlatIndex

NOW = datetime(2026, 6, 1, tzinfo=UTC)
WRITER = "0198f0c2-7c1e-7f43-9a51-0f6a3a1d2b3c"
DEFAULTS = PlaybookConfig()


def unit(angle: float) -> NDArray[np.float32]:
    return np.array([np.cos(angle), np.sin(angle)], np.float32)


def corpus(calibration: RelevanceModel | None = None) -> CorpusReader:
    """Answers `a` … `j`, further and further away from the query."""
    vectors = np.stack([unit(0.5 + 0.05 * n) for n in range(10)])
    return corpus_of("c", list("abcdefghij"), ["words"] * 10, vectors, embedder="fake", calibration=calibration)


class Told:
    """Playbooks that are told of records."""

    def __init__(self) -> None:
        self.book = PlaybookBook(FlatIndex(), embedder="fake", embed=lambda texts: np.stack([unit(0) for _ in texts]))
        self.playbooks = Playbooks(self.book, embedder="fake")
        self._count = 0

    def record(
        self, answer: str, *, angle: float = 0.0, score: float = 1.0, actor: str = "ann", days_ago: float = 0.0,
        corpus: str | None = "c",
    ) -> str:  # fmt: skip
        playbook_id = f"p{self._count:04d}"
        payload = {
            "query": f"query {self._count}", "answer_id": answer, "answer_corpus": corpus, "tags": [],
            "score": score, "embedder": "fake", "vector": encode_vector(unit(angle)),
        }  # fmt: skip
        self.log(RECORD, playbook_id, actor=actor, days_ago=days_ago, **payload)
        return playbook_id

    def log(self, op: str, playbook_id: str, *, actor: str = "ann", days_ago: float = 0.0, **payload: object) -> None:
        n = self._count = self._count + 1
        at = NOW - timedelta(days=days_ago)
        self.book.apply(
            [Entry(f"op-{n}", Order(n, WRITER, n, 0), op, {"playbook_id": playbook_id, **payload}, at, actor)]
        )

    def search(
        self, config: PlaybookConfig = DEFAULTS, *, k: int = 10, per_corpus_k: int = 10, threshold: float = 0.0,
        view: CorpusReader | None = None,
    ) -> list[Candidate]:  # fmt: skip
        view = view or corpus()
        ask = Ask("words", k, per_corpus_k, "vector", {}, threshold=threshold)
        influence = self.playbooks.influence("words", unit(0.0), corpora=["c"], config=config, now=NOW)
        return merge([find(view, ask, unit(0.0), view.select(), influence)], ask, influence).results

    def boost(self, answer: str, config: PlaybookConfig = DEFAULTS) -> float:
        [lift] = [c.lift for c in self.search(config) if c.id == answer]
        return 0.0 if lift is None else lift.boost


def ids(results: list[Candidate]) -> str:
    return "".join(c.id for c in results)


def test_without_near_entries_the_search_is_as_it_was() -> None:
    told = Told()
    assert ids(told.search()) == "abcdefghij"
    told.record("j", angle=2.0)
    assert ids(told.search()) == "abcdefghij"
    assert all(c.lift is None for c in told.search())


def test_answer_of_the_same_query_comes_first_with_the_entry_that_says_so() -> None:
    told = Told()
    playbook_id = told.record("e")
    first = told.search()[0]
    assert first.id == "e"
    assert first.lift is not None
    assert first.lift.playbook_ids == (playbook_id,)


def test_nearer_query_lifts_more() -> None:
    near, far = Told(), Told()
    near.record("e", angle=0.3)
    far.record("e", angle=0.7)
    assert near.boost("e") > far.boost("e") > 0


def test_rejected_answer_comes_last() -> None:
    told = Told()
    told.record("a", score=-1.0)
    assert ids(told.search()) == "bcdefghija"


def test_feedback_against_takes_the_lift_back() -> None:
    told = Told()
    playbook_id = told.record("e")
    told.log(FEEDBACK, playbook_id, actor="ben", score=-1.0)
    assert ids(told.search()) == "abcdefghij"


def test_deleted_entry_has_no_say() -> None:
    told = Told()
    playbook_id = told.record("e")
    assert ids(told.search())[0] == "e"
    told.log(DELETE, playbook_id)
    assert ids(told.search()) == "abcdefghij"


def test_lift_fades_with_its_half_life() -> None:
    fresh, old = Told(), Told()
    fresh.record("e")
    old.record("e", days_ago=30)
    assert old.boost("e") < fresh.boost("e")
    assert old.boost("e", PlaybookConfig(half_life_days=15)) < old.boost("e")


def test_half_lives_of_requests_do_not_pile_up() -> None:
    told = Told()
    told.record("e")
    for days in range(1, 40):
        assert told.boost("e", PlaybookConfig(half_life_days=days)) > 0
    told.record("f", angle=0.01)
    assert told.boost("f", PlaybookConfig(half_life_days=39)) > 0


def test_burst_of_one_source_moves_an_answer_hardly_further_than_one_entry() -> None:
    one, many = Told(), Told()
    one.record("e", angle=0.2)
    for n in range(50):
        many.record("e", angle=0.2 + 0.001 * n, actor="mallory")
    config = PlaybookConfig(top_k=50)
    assert many.boost("e", config) <= 1.1 * one.boost("e", config)


def test_answer_that_retrieval_missed_is_brought_in() -> None:
    told = Told()
    assert "j" not in ids(told.search(per_corpus_k=3, k=3))
    told.record("j")
    assert ids(told.search(per_corpus_k=3, k=3)) == "jab"


def test_entry_without_corpus_speaks_of_the_id_in_any() -> None:
    told = Told()
    told.record("e", corpus=None)
    assert ids(told.search())[0] == "e"


def test_verdict_on_an_id_in_any_corpus_holds_where_none_is_on_the_corpus() -> None:
    told = Told()
    anywhere = [told.record(answer, corpus=None, angle=0.1) for answer in "ae"]
    here = told.record("a", angle=0.2)
    lifts = {c.id: c.lift for c in told.search()}
    assert {answer: lift.playbook_ids for answer, lift in lifts.items() if lift} == {
        "a": (here,),
        "e": (anywhere[1],),
    }


def test_entry_of_another_corpus_has_no_say() -> None:
    told = Told()
    told.record("e", corpus="other")
    assert ids(told.search()) == "abcdefghij"


def test_what_people_endorsed_passes_the_relevance_filter() -> None:
    told = Told()
    told.record("j")
    strict = corpus(calibration=RelevanceModel(0.0, 0.0, -5.0, alone=(0.0, -5.0)))
    assert ids(told.search(threshold=0.5, view=strict)) == "j"


def test_boost_scales_and_none_is_none() -> None:
    told = Told()
    told.record("e", angle=0.3)
    assert told.boost("e", PlaybookConfig(boost=2.0)) > told.boost("e")
    assert ids(told.search(PlaybookConfig(boost=0.0))) == "abcdefghij"


def test_answer_that_thousands_of_entries_speak_of_is_looked_at_in_part() -> None:
    told = Told()
    for n in range(600):
        told.record("e", angle=0.001 * (n % 50), actor=f"a{n}")
    assert len(told.book.entries_for("c", "e")) == 256
    assert len(told.playbooks) == 600
    assert ids(told.search())[0] == "e"


def test_entries_for_other_corpora_are_not_in_the_way() -> None:
    told = Told()
    for n in range(200):
        told.record(f"x{n}", corpus="elsewhere", actor="mallory")
    told.record("e", angle=0.01)
    assert ids(told.search())[0] == "e"


def test_one_source_does_not_crowd_out_what_another_found() -> None:
    told = Told()
    for n in range(200):
        told.record(f"x{n}", actor="mallory")
    told.record("e", angle=0.01, actor="ann")
    lifts = {c.id: c.lift for c in told.search()}
    assert lifts["e"] is not None
    assert lifts["e"].playbook_ids


def test_endorsing_an_answer_for_other_queries_does_not_take_it_from_its_own() -> None:
    told = Told()
    for n in range(10):
        told.record("a", angle=2.0 + 0.01 * n, actor="mallory")
    told.record("e", angle=0.3, actor="ann")
    results = {c.id: n for n, c in enumerate(told.search())}
    assert results["a"] <= 1


def test_entries_of_one_source_are_judged_as_far_as_they_have_a_say_and_all_say_the_same() -> None:
    told = Told()
    for n in range(40):
        told.record("abcdefghij"[n % 10], angle=0.01 * n, days_ago=n, score=0.0 if n < 3 else 1.0)
    found = list(told.book.live_of(told.book.nearest(unit(0.0), k=32, max_distance=DEFAULTS.max_distance)))
    judged = told.playbooks._judged(found, config=DEFAULTS, now=NOW)
    assert len(judged) == DEFAULTS.top_k + 3
    everyone = [told.playbooks._near(distance, entry, config=DEFAULTS, now=NOW) for distance, entry in found]
    assert choose_near(judged, config=DEFAULTS) == choose_near(everyone, config=DEFAULTS)
    for one, (_, entry) in zip(everyone, found, strict=True):
        said = [Judgement("ann", e.score, (NOW - e.at).days) for e in entry.evidence]
        assert one.worth == worth_of(said, half_life_days=DEFAULTS.half_life_days)
    told.record("a", actor="bob")
    found = list(told.book.live_of(told.book.nearest(unit(0.0), k=32, max_distance=DEFAULTS.max_distance)))
    assert len(told.playbooks._judged(found, config=DEFAULTS, now=NOW)) == 32


def test_results_are_the_same_whether_all_candidates_are_made_or_the_best_alone() -> None:
    told = Told()
    for n, answer in enumerate("jcf"):
        told.record(answer, angle=0.02 * n)
    every = told.search(k=10)
    for k in range(1, 10):
        assert [(c.id, c.score) for c in told.search(k=k)] == [(c.id, c.score) for c in every[:k]]
