"""What a word is, and that the vectorised way gives what the plain one gives."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.retrieval.tokens import MAX_TERM_CHARS, STOP_WORDS, Tokens, terms_of, tokenize, words_of

# Enough texts that the vectorised way is taken, whatever else is among them.
PADDING = [f"filler number{n}" for n in range(40)]


def as_lists(tokens: Tokens) -> list[list[str]]:
    words = iter(tokens.terms.tolist())
    return [[tokens.vocabulary[next(words)] for _ in range(count)] for count in tokens.counts.tolist()]


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", []),
        ("Forklift operators operated FORKLIFTS", ["forklift", "oper", "oper", "forklift"]),
        ("the worker's OSHA-30 card", ["worker", "osha", "30", "card"]),
        ("résumé of José; Straße", ["resum", "jose", "strass"]),
        ("re\u0301sume\u0301", ["resum"]),
        ("ﬁnance x² №5", ["financ", "x2", "no5"]),
        ("naïve—text “quoted”", ["naiv", "text", "quot"]),
        ("ИНЖЕНЕР по качеству", ["инженер", "по", "качеству"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("snake_case a\tb\nc", ["snake", "case", "b", "c"]),
    ],
)
def test_text_gives_these_terms(text: str, terms: list[str]) -> None:
    assert terms_of(text) == terms


def test_stop_words_give_nothing() -> None:
    assert terms_of(" ".join(STOP_WORDS)) == []


def test_long_word_is_cut() -> None:
    assert terms_of("q" * 10_000) == ["q" * MAX_TERM_CHARS]


def test_ascii_is_cut_into_words_as_every_other_text_is() -> None:
    every = " ".join(f"q{chr(code)}Z" for code in range(128))
    assert words_of(every) == words_of(every + " é")[:-1]


def test_null_and_empty_texts_have_no_terms() -> None:
    tokens = tokenize(pa.array([None, "", "  ,;  ", "one"] + [None] * 50))
    assert tokens.counts.tolist() == [0, 0, 0, 1] + [0] * 50
    assert tokens.vocabulary == ["one"]


def test_nothing_but_null_is_taken() -> None:
    assert tokenize(pa.array([None] * 50, pa.string())).counts.tolist() == [0] * 50
    assert tokenize([]).counts.tolist() == []


@given(st.lists(st.text(max_size=30) | st.none(), max_size=20))
def test_many_texts_give_the_terms_of_each(texts: list[str | None]) -> None:
    texts = [t.encode("utf-8", "ignore").decode() if t else t for t in texts]
    expected = [terms_of(t or "") for t in texts]
    assert as_lists(tokenize(texts)) == expected
    assert as_lists(tokenize(PADDING + texts)) == [terms_of(t) for t in PADDING] + expected


@given(st.lists(st.text("aé -—ß\u0301\u0338<²", max_size=12), max_size=40), st.integers(0, 40), st.integers(1, 7))
def test_slices_and_chunks_of_arrays_are_read_where_they_are(texts: list[str], start: int, size: int) -> None:
    whole = PADDING + texts
    array = pa.array(whole).slice(start)
    chunks = pa.chunked_array([array.slice(at, size) for at in range(0, len(array), size)], pa.string())
    expected = [terms_of(t) for t in whole[start:]]
    assert as_lists(tokenize(array)) == expected
    assert as_lists(tokenize(chunks)) == expected
    assert as_lists(tokenize(array.cast(pa.large_string()))) == expected
