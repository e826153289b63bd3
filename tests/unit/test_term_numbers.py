"""Terms as numbers: those of a text, and what share of a query's a text has, however many there are."""

from __future__ import annotations

import random

import numpy as np
import pytest

from lakehouse.retrieval.term_numbers import NO_TERM, coverage, number_of, numbers_of
from lakehouse.retrieval.tokens import terms_of


def test_numbers_of_a_text_are_those_of_its_terms() -> None:
    for text in ("", "the of and", "The Nurses, the nurse; night-shifts", "résumé of José", "word " * 3 + "Word"):
        assert numbers_of(text) == {number_of(term) for term in terms_of(text)}


def test_more_words_than_are_remembered_have_their_numbers() -> None:
    words = [f"word{n}" for n in range(20_000)]
    for _ in range(2):
        assert numbers_of(" ".join(words)) == {number_of(term) for term in terms_of(" ".join(words))}


@pytest.mark.parametrize("count", [1, 20, 200, 3000])
def test_coverage_is_the_share_of_the_weights(count: int) -> None:
    draw = random.Random(count)
    weights = {f"w{n}": draw.uniform(0.1, 9) for n in range(count)}
    texts = [[f"w{draw.randrange(4 * count)}" for _ in range(draw.randint(0, 300))] for _ in range(50)]
    numbers = [[NO_TERM, *{number_of(term) for term in text}] for text in texts]
    firsts = np.cumsum([0, *map(len, numbers)])[:-1]
    got = coverage(np.array([n for some in numbers for n in some], np.int32), firsts, weights)
    total = sum(weights.values())
    expected = [sum(weights.get(term, 0) for term in set(text)) / total for text in texts]
    assert got == pytest.approx(expected, rel=1e-5)
