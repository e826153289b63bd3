"""Entries of the memory log whose vectors are of another embedder, or none: known at once, found once embedded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lakehouse.errors import Unavailable
from lakehouse.memory.entry import Entry, Order
from lakehouse.retrieval.playbook import DELETE, RECORD, PlaybookBook
from lakehouse.retrieval.playbook_codec import encode_vector
from tests.fakes.entry_index import FlatIndex

WRITER = "0198f0c2-7c1e-7f43-9a51-0f6a3a1d2b3c"
NOW = datetime(2026, 3, 1, tzinfo=UTC)
EAST, NORTH = np.array([1, 0], np.float32), np.array([0, 1], np.float32)


class Embedder:
    """Everything lies north; it can be away."""

    def __init__(self) -> None:
        self.is_away = False
        self.embedded: list[str] = []

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if self.is_away:
            raise Unavailable("the embedder does not answer")
        self.embedded += texts
        return np.stack([NORTH for _ in texts])


def made() -> tuple[PlaybookBook, Embedder]:
    embedder = Embedder()
    return PlaybookBook(FlatIndex(), embedder="own", embed=embedder), embedder


def record(n: int, *, embedder: str = "own", vector: str | None = None) -> Entry:
    payload: dict[str, Any] = {
        "playbook_id": f"p{n}", "query": f"query {n}", "answer_id": f"a{n}", "answer_corpus": None, "tags": [],
        "score": 1.0, "embedder": embedder, "vector": encode_vector(EAST) if vector is None else vector,
    }  # fmt: skip
    return entry(n, RECORD, payload)


def entry(n: int, op: str, payload: dict[str, Any]) -> Entry:
    return Entry(f"op-{n}-{op}", Order(n, WRITER, n, 0), op, payload, NOW, "ann")


def near(book: PlaybookBook, vector: NDArray[np.float32]) -> list[str]:
    return sorted(book.nearest(vector, k=9, max_distance=0.1).ids)


def test_entries_of_another_embedder_are_embedded_anew() -> None:
    book, embedder = made()
    book.apply([record(1), record(2, embedder="other")])
    assert embedder.embedded == ["query 2"]
    assert (near(book, EAST), near(book, NORTH), book.unplaced) == (["p1"], ["p2"], 0)


def test_entries_that_cannot_be_embedded_are_known_counted_and_found_later() -> None:
    book, embedder = made()
    heard: list[set[str]] = []

    def listen(answers: Iterable[str]) -> None:
        heard.append(set(answers))

    book.subscribe(listen)
    embedder.is_away = True
    book.apply([record(1), record(2, embedder="other")])
    assert (len(book), book.unplaced) == (2, 1)
    assert [one.playbook_id for one in book.entries_for("c", "a2")] == ["p2"]
    assert (near(book, EAST), near(book, NORTH)) == (["p1"], [])
    book.catch_up()
    assert book.unplaced == 1
    before, heard[:] = book.revision, []
    embedder.is_away = False
    book.catch_up()
    assert (near(book, NORTH), book.unplaced, heard) == (["p2"], 0, [{"a2"}])
    assert book.revision > before
    book.catch_up()
    assert embedder.embedded == ["query 2"]


@pytest.mark.parametrize("vector", ["no base64!", encode_vector(np.ones(3, np.float32)), "AAA"])
def test_a_damaged_vector_costs_no_other_entry_its_own(vector: str) -> None:
    book, embedder = made()
    book.apply([record(1), record(2, vector=vector), record(3)])
    assert near(book, EAST) == ["p1", "p3"]
    assert (near(book, NORTH), embedder.embedded) == (["p2"], ["query 2"])


def test_an_entry_that_is_deleted_while_it_waits_is_not_placed() -> None:
    book, embedder = made()
    embedder.is_away = True
    book.apply([record(1, embedder="other"), record(2, embedder="other")])
    book.apply([entry(3, DELETE, {"playbook_id": "p1"})])
    assert book.unplaced == 1
    embedder.is_away = False
    book.catch_up()
    assert (near(book, NORTH), embedder.embedded) == (["p2"], ["query 2"])
