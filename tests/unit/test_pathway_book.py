"""Entries that are not what they should be: each is refused by itself, and what came with it is taken whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

from lakehouse.errors import Unavailable
from lakehouse.memory.entry import Entry
from lakehouse.pathway.book import PathwayBook
from lakehouse.pathway.trace import ADD, LINK, RETIRE, UPDATE
from tests.fakes.trace_index import KeptTraces
from tests.property.test_pathway_book import UNIT, make


class Embedder:
    """Counts what it embeds; `is_away` fails."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.is_away = False

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if self.is_away:
            raise Unavailable("the embedder does not answer", retry_after_s=1)
        self.texts += texts
        return np.stack([UNIT for _ in texts])


def added(n: int, uid: str, **payload: Any) -> Entry:
    entry = make(n, (ADD, uid, f'"content {n}"', [], None))
    return replace(entry, payload={**entry.payload, **payload})


def book_with(embed: Embedder) -> tuple[PathwayBook, KeptTraces]:
    index = KeptTraces()
    return PathwayBook(index, embedder="fake", embed=embed), index


WRONG: list[tuple[str, Mapping[str, Any]]] = [
    (ADD, {}),
    (ADD, {"uid": None, "content": '"x"'}),
    (ADD, {"uid": "b"}),
    (ADD, {"uid": "b", "content": {"a": 1}}),
    (ADD, {"uid": "b", "content": "no json"}),
    (ADD, {"uid": "b", "content": "{}"}),
    (ADD, {"uid": "b", "content": '"x"', "tags": 7}),
    (ADD, {"uid": "b", "content": '"x"', "tags": [1]}),
    (ADD, {"uid": "b", "content": '"x"', "predecessor_uid": 1}),
    (UPDATE, {"uid": "a", "content": None}),
    (ADD, {"uid": "b", "content": '"x"', "tags": False}),
    (LINK, {"uid": "a", "tags": ["x"]}),
    (LINK, {"uid": "a", "kind": "near", "content": {"a": 1}}),
    (LINK, {"uid": "a", "kind": "near", "content": "nope{"}),
    (RETIRE, {"uid": "a"}),
    ("melt", {"uid": "a"}),
]


@pytest.mark.parametrize(("op", "payload"), WRONG)
def test_wrong_entry_changes_nothing_and_its_group_is_taken_one_by_one(op: str, payload: Mapping[str, Any]) -> None:
    book, index = book_with(Embedder())
    wrong = replace(added(2, "b"), op=op, payload=payload)
    group = [added(1, "a"), wrong, added(3, "c")]
    with pytest.raises((ValueError, Exception)):
        book.apply(group)
    assert (len(book), index.rows) == (0, {})
    for entry in (group[0], group[2]):
        book.apply([entry])
    assert [trace.uid for trace in book.traces()] == sorted(index.rows) == ["a", "c"]
    assert not book.traces()[0].is_retired


@pytest.mark.parametrize("vector", [None, 7, "", "AAAA", "not base64!", "fH8AfA==", "AAAAAA=="])
def test_vector_that_is_none_is_made_anew(vector: object) -> None:
    embed = Embedder()
    book, index = book_with(embed)
    book.apply([added(1, "a", vector=vector)])
    assert embed.texts == ["content 1"]
    assert index.rows["a"].vector is not None


def test_content_that_cannot_be_embedded_now_is_known_and_searched_later() -> None:
    embed = Embedder()
    book, index = book_with(embed)
    embed.is_away = True
    book.apply([added(1, "a", embedder="another"), added(2, "b")])
    assert [trace.uid for trace in book.traces()] == ["a", "b"]
    assert set(index.rows) == {"b"}
    embed.is_away = False
    book.apply([added(3, "c")])
    assert set(index.rows) == {"a", "b", "c"}
    assert embed.texts == ["content 1"]


def test_embedder_that_fails_in_its_own_way_loses_nothing() -> None:
    embed, index = Embedder(), KeptTraces()
    failing = PathwayBook(index, embedder="fake", embed=fail)
    failing.apply([added(n, f"u{n}", embedder="another") for n in range(1, 4)])
    assert (len(failing), failing.has_unstored, index.rows) == (3, True, {})
    failing._embed = embed
    failing.catch_up()
    assert (sorted(index.rows), failing.has_unstored) == (["u1", "u2", "u3"], False)


def fail(_: Sequence[str]) -> NDArray[np.float32]:
    raise RuntimeError("a fault in the model")
