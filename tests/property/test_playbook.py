"""The playbook state: any order, partition and repetition of the same entries gives the same state."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lakehouse.memory.entry import Entry, Order
from lakehouse.retrieval.playbook import DELETE, FEEDBACK, MERGE, RECORD, PlaybookBook
from lakehouse.retrieval.playbook_codec import encode_vector
from tests.fakes.entry_index import FlatIndex

WRITER = "0198f0c2-7c1e-7f43-9a51-0f6a3a1d2b3c"
START = datetime(2026, 1, 1, tzinfo=UTC)


def unit(angle: float) -> NDArray[np.float32]:
    return np.array([np.cos(angle), np.sin(angle)], np.float32)


def make_book() -> PlaybookBook:
    return PlaybookBook(FlatIndex(), embedder="fake", embed=lambda texts: np.stack([unit(0.0) for _ in texts]))


def record(
    n: int, book_id: str, *, query: str = "q", angle: float = 0.0, answer: str = "a", score: float = 1.0
) -> Entry:
    payload = {
        "playbook_id": book_id, "query": query, "answer_id": answer, "answer_corpus": "c", "tags": [], "score": score,
        "embedder": "fake", "vector": encode_vector(unit(angle)),
    }  # fmt: skip
    return entry(n, RECORD, payload)


def entry(n: int, op: str, payload: dict[str, Any], actor: str = "ann") -> Entry:
    return Entry(f"op-{n}", Order(n, WRITER, n, 0), op, payload, START + timedelta(seconds=n), actor)


ids = st.sampled_from(["p1", "p2", "p3", "p4"])
scores = st.sampled_from([-1.0, 0.0, 0.5, 1.0])
operations = st.one_of(
    st.tuples(st.just(RECORD), ids, scores),
    st.tuples(st.just(FEEDBACK), ids, scores),
    st.tuples(st.just(DELETE), ids, scores),
    st.tuples(st.just(MERGE), ids, ids),
)


def make(n: int, operation: tuple[str, str, Any]) -> Entry:
    op, book_id, value = operation
    if op == RECORD:
        return record(n, book_id, query=f"q{n % 3}", angle=n / 10, score=value)
    if op == MERGE:
        return entry(n, MERGE, {"playbook_id": book_id, "into": value})
    key = {"key": f"k{n % 2}"} if n % 3 else {}
    return entry(n, op, {"playbook_id": book_id, **({"score": value} if op == FEEDBACK else {}), **key})


def shape(book: PlaybookBook) -> Any:
    live = [
        (e.playbook_id, e.query, e.answer_id, e.created_at, sorted(map(repr, book.evidence_of(e))))
        for e in book.entries()
    ]
    index: FlatIndex = book._index  # type: ignore[assignment]
    vectors = {i: tuple(np.round(v, 3).tolist()) for i, v in index.vectors.items()}
    keys = {e.key for e in book._entries.values()}
    answers = {e.answer_id for e in book._entries.values()}
    said = {answer: {e.playbook_id for e in book.entries_for("c", answer)} for answer in answers}
    return live, len(book), vectors, {key: book.find(key) for key in keys}, said


@settings(max_examples=300, deadline=None)
@given(st.lists(operations, max_size=12), st.randoms(use_true_random=False))
def test_any_order_partition_and_repetition_give_one_state(given_ops: list[Any], rng: random.Random) -> None:
    entries = [make(n, operation) for n, operation in enumerate(given_ops, 1)]
    in_order = make_book()
    in_order.apply(entries)
    shuffled = entries + rng.sample(entries, k=len(entries) // 2)
    rng.shuffle(shuffled)
    piecewise = make_book()
    while shuffled:
        size = rng.randint(1, len(shuffled))
        piecewise.apply(shuffled[:size])
        shuffled = shuffled[size:]
    assert shape(piecewise) == shape(in_order)


def test_feedback_waits_for_its_entry() -> None:
    book = make_book()
    book.apply([entry(5, FEEDBACK, {"playbook_id": "p1", "score": -1.0})])
    assert book.get("p1") is None
    book.apply([record(2, "p1")])
    found = book.get("p1")
    assert found is not None
    assert sorted(e.score for e in book.evidence_of(found)) == [-1.0, 1.0]


def test_later_word_of_a_judge_replaces_the_earlier() -> None:
    book = make_book()
    book.apply([record(1, "p1"), entry(3, FEEDBACK, {"playbook_id": "p1", "score": 1.0, "key": "t|a|bob"})])
    book.apply([entry(2, FEEDBACK, {"playbook_id": "p1", "score": -1.0, "key": "t|a|bob"})])
    found = book.get("p1")
    assert found is not None
    assert sorted(e.score for e in book.evidence_of(found)) == [1.0, 1.0]


def test_twin_is_planned_into_the_older_entry_and_brings_its_evidence() -> None:
    book = make_book()
    book.apply([record(1, "p1", query="welder"), record(2, "p2", query="a welder", angle=0.01)])
    book.apply([record(3, "p3", query="nurse", angle=1.5), record(4, "p4", query="Welder", answer="b")])
    assert book.plan_merges(["p1", "p2", "p3", "p4"]) == [("p2", "p1")]
    book.apply([entry(5, MERGE, {"playbook_id": "p2", "into": "p1"})])
    heir = book.get("p2")
    assert heir is not None
    assert (heir.playbook_id, len(book.evidence_of(heir))) == ("p1", 2)
    assert [e.playbook_id for e in book.entries()] == ["p1", "p3", "p4"]


def test_who_merges_or_deletes_is_no_source() -> None:
    book = make_book()
    book.apply([record(1, "p1"), record(2, "p2", angle=0.01), record(3, "p3", angle=1.0)])
    book.apply([entry(4, MERGE, {"playbook_id": "p2", "into": "p1"}, actor="lakehouse")])
    book.apply([entry(5, DELETE, {"playbook_id": "p3"}, actor="eve")])
    assert book.sources == {"ann"}
    book.apply([entry(6, FEEDBACK, {"playbook_id": "p1", "score": 1.0, "key": "t|a|bob"}, actor="bob")])
    assert book.sources == {"ann", "bob"}


def test_entry_of_another_embedder_is_embedded_again() -> None:
    book = make_book()
    other = record(1, "p1", angle=1.0)
    book.apply([Entry(other.op_id, other.order, RECORD, {**other.payload, "embedder": "old"}, START, "ann")])
    [(distance, found)] = book.live_of(book.nearest(unit(0.0), k=1, max_distance=0.1))
    assert (round(distance, 3), found.playbook_id) == (0.0, "p1")


def test_revision_changes_after_those_who_listen_have_heard() -> None:
    book = make_book()
    heard: list[tuple[int, set[str]]] = []
    book.subscribe(lambda answers: heard.append((book.revision, set(answers))))
    book.apply([record(1, "p1", answer="a")])
    book.apply([record(2, "p2", answer="b"), entry(3, DELETE, {"playbook_id": "p1"})])
    assert book.revision == 2
    assert [(revision, answers - {""}) for revision, answers in heard] == [(0, {"a"}), (1, {"a", "b"})]
