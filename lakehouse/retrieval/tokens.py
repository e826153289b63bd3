"""From text to terms: Unicode words in lower case, without English stop words, stemmed.

Belongs here: the one analysis that documents and queries share. Not here: counting terms (see text_index.py), the word
pieces of an embedding model (see lakehouse/adapters/embedders.py).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

# Lucene's English stop words (EnglishAnalyzer.ENGLISH_STOP_WORDS_SET), and what a split apostrophe leaves behind.
_STOP_WORDS = """
a an and are as at be but by for if in into is it no not of on or such that the their then there these they this to was
will with s t
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
MAX_TERM_CHARS = 64
# For fewer texts a loop in Python is quicker than the vectorised code.
_FEW_TEXTS = 32
# Texts split at a time, so that memory stays flat; most words repeat within a slice.
_SLICE_TEXTS = 16_384
# By bytes of UTF-8: ASCII in lower case and a space for what is no letter or digit; other bytes stay as they are.
_ASCII = bytes(code if code > 127 else ord(chr(code).lower()) if chr(code).isalnum() else 32 for code in range(256))
_ACCENTS = re.compile("[\u0300-\u036f]+")


@dataclass(frozen=True, slots=True)
class Tokens:
    """The terms of some texts, in the order of the texts.

    `counts` (int64) says how many each text has, `terms` (int32) which they are: positions in `vocabulary`.
    """

    counts: NDArray[np.int64]
    terms: NDArray[np.int32]
    vocabulary: list[str]


def terms_of(text: str) -> list[str]:
    """The terms of one text, repeated as often as they stand in it.

    A word is a run of letters, marks and digits. Case, compatibility forms and the accents of Latin, Greek and Cyrillic
    letters make no difference; a script without spaces gives one word a run. A term is at most `MAX_TERM_CHARS` long.

    Source: Snowball's English stemmer (Porter2), https://snowballstem.org/algorithms/english/stemmer.html
    """
    return list(filter(None, map(term_of, words_of(text))))


def tokenize(texts: Sequence[str | None] | pa.Array | pa.ChunkedArray) -> Tokens:
    """The terms of many texts, as `terms_of` gives them; only distinct words are looked at one by one.

    Args:
        texts: Strings; null has no terms.
    """
    if len(texts) <= _FEW_TEXTS:
        values = texts.to_pylist() if isinstance(texts, pa.Array | pa.ChunkedArray) else texts
        return _number([terms_of(text or "") for text in values])
    array = pa.chunked_array([texts]) if isinstance(texts, pa.Array) else texts
    if not isinstance(array, pa.ChunkedArray):
        array = pa.chunked_array([pa.array(texts, pa.string())])
    slices = (array.slice(start, _SLICE_TEXTS) for start in range(0, len(array), _SLICE_TEXTS))
    return _join([_tokenize_slice(texts) for texts in slices])


def _tokenize_slice(texts: pa.ChunkedArray) -> Tokens:
    words = pc.ascii_split_whitespace(_spaced(texts))
    per_text = np.diff(words.offsets.to_numpy())
    encoded = words.flatten().dictionary_encode()
    of_word = _number([terms_of(word) for word in encoded.dictionary.to_pylist()])
    codes = encoded.indices.to_numpy()
    # Nearly every word gives one term; a stop word gives none, "naïve—text" (one run of bytes above ASCII) gives two.
    firsts = np.concatenate([[0], np.cumsum(of_word.counts)])
    repeats = of_word.counts[codes]
    terms = of_word.terms[_ranges(firsts[codes], repeats)]
    ends = np.concatenate([[0], np.cumsum(repeats)])
    bounds = np.concatenate([[0], np.cumsum(per_text)])
    return Tokens(np.diff(ends[bounds]), terms, of_word.vocabulary)


def _spaced(texts: pa.ChunkedArray) -> pa.Array:
    """The texts with ASCII in lower case and a space for what is no letter or digit; other bytes stay as they are."""
    plain = pc.fill_null(texts.cast(pa.large_string()), "")
    # A copy, as the buffers of a slice are those of the whole array.
    plain = pa.concat_arrays([*plain.chunks, pa.array([], pa.large_string())])
    _, offsets, data = plain.buffers()
    translated = np.frombuffer(_ASCII, np.uint8)[np.frombuffer(data, np.uint8)]
    return pa.Array.from_buffers(pa.large_string(), len(plain), [None, offsets, pa.py_buffer(translated)])


def _ranges(firsts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each first number and those that follow it, `lengths` of them, all in one array."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.repeat(firsts - (ends - lengths), lengths) + np.arange(total)


def _number(texts: Sequence[Sequence[str]]) -> Tokens:
    numbers: dict[str, int] = {}
    terms = [numbers.setdefault(term, len(numbers)) for term in chain.from_iterable(texts)]
    return Tokens(np.array([len(t) for t in texts], np.int64), np.array(terms, np.int32), list(numbers))


def _join(parts: Sequence[Tokens]) -> Tokens:
    if len(parts) == 1:
        return parts[0]
    numbers: dict[str, int] = {}
    terms: list[NDArray[np.int32]] = [np.empty(0, np.int32)]
    for part in parts:
        mapped = np.array([numbers.setdefault(term, len(numbers)) for term in part.vocabulary], np.int32)
        terms.append(mapped[part.terms])
    counts = [np.empty(0, np.int64), *(part.counts for part in parts)]
    return Tokens(np.concatenate(counts), np.concatenate(terms), list(numbers))


def words_of(text: str) -> list[str]:
    """The words of a text, stop words too, in the order in which they stand there; see `terms_of`."""
    if text.isascii():
        return text.encode().translate(_ASCII).decode().split()
    # Folding after decomposition; what the folding composes or decomposes again is then in one form.
    text = _ACCENTS.sub("", unicodedata.normalize("NFKD", text).casefold())
    return unicodedata.normalize("NFKC", text).lower().translate(_SPACES).split()


class _Spaces(dict[int, int]):
    """For `str.translate`: a space for every character that is no letter, mark or digit."""

    def __missing__(self, code: int) -> int:
        kept = code if unicodedata.category(chr(code))[0] in "LMN" else ord(" ")
        self[code] = kept
        return kept


_SPACES = _Spaces()


@lru_cache(maxsize=1 << 15)
def term_of(word: str) -> str:
    """The stem of a word, or nothing for a stop word."""
    return "" if word in STOP_WORDS else str(_stemmer().stemWord(word[:MAX_TERM_CHARS]))


def _stemmer() -> Any:
    # One for each call, as a stemmer must not be shared by threads; making one takes a microsecond.
    import Stemmer

    return Stemmer.Stemmer("english", 0)
