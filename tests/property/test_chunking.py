"""Chunking: for any text and limits, every word is kept, chunks are bounded, overlap as asked, and it ends."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from lakehouse.retrieval.chunking import Chunking, split_text, word_lengths

WORDS = st.lists(
    st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"]), min_size=1, max_size=12), max_size=80
)
BLANKS = st.sampled_from([" ", "  ", "\n", "\n\n", "\t"])


def letters(words: Sequence[str]) -> list[int]:
    """A unit in which words differ, as tokens do."""
    return [len(word) for word in words]


@st.composite
def texts(draw: st.DrawFn) -> str:
    parts = []
    for word in draw(WORDS):
        ending = draw(st.sampled_from(["", "", "", ".", "!", '?"']))
        parts.append(f"{word}{ending}{draw(BLANKS)}")
    return "".join(parts)


@st.composite
def limits(draw: st.DrawFn) -> Chunking:
    most = draw(st.integers(1, 40))
    return Chunking(most, draw(st.integers(0, most // 2)))


@given(texts(), limits(), st.sampled_from([word_lengths, letters]))
def test_any_text_is_cut_as_promised(text: str, chunking: Chunking, lengths: object) -> None:
    chunks = split_text(text, chunking, lengths)  # type: ignore[arg-type]
    words = text.split()
    assert (chunks == []) is (words == [])
    covered = 0
    for chunk in chunks:
        own = chunk.split()
        sizes = lengths(own)  # type: ignore[operator]
        assert sum(sizes) <= chunking.most or len(own) == 1
        assert chunk in text
        # Each begins at or before the end of the one before and goes on past it, so that nothing is lost or idle.
        begin = next(b for b in range(covered, -1, -1) if words[b : b + len(own)] == own and b + len(own) > covered)
        assert sum(lengths(words[begin:covered])) <= chunking.overlap  # type: ignore[operator]
        covered = begin + len(own)
    assert covered == len(words)


@given(texts())
def test_text_that_fits_is_one_chunk(text: str) -> None:
    chunks = split_text(text, Chunking(1000), word_lengths)
    assert chunks == ([text.strip()] if text.split() else [])
