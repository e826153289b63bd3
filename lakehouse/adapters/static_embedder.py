"""WordLlama's static vectors: a text is the sum of its words, a word the sum of its tokens' rows.

Belongs here: the table of rows, the words met so far. Not here: where the files come from (see package_files.py).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from lakehouse.adapters.package_files import package_file
from lakehouse.errors import Unavailable
from lakehouse.retrieval.embedding import Vectors, sums_by_owner, unit_rows

WEIGHTS_FILE = ("wordllama", "weights", "l2_supercat_256.safetensors")
TOKENIZER_FILE = ("wordllama", "tokenizers", "l2_supercat_tokenizer_config.json")
# Rows that fit into a core's cache while they are summed.
_ROWS_AT_A_TIME = 1024
_CHUNK_TEXTS = 1024
_KNOWN_WORDS = 1 << 14
_KNOWN_TOKENS = 1 << 12
_LONGEST_KNOWN = 48
# For a few words, handing them to the tokenizer's threads takes longer than tokenizing them.
_FEW = 32
# How this vocabulary marks the beginning of a word, and how its special tokens begin.
_WORD_BEGINS = "▁"
_SPECIAL = "<"
_Item = TypeVar("_Item")


class StaticEmbedder:
    """The mean of a text's token rows, 256 numbers: no network to run, so tens of thousands of texts a second.

    No token of this vocabulary reaches over the border of two words, so that a text's tokens are those of its words;
    the sums of words met before are kept, which spares most of the work. White space of any kind and length is one
    border between words.

    Args:
        weights: The safetensors file with one row for each token; by default the installed package's.
        tokenizer: Its tokenizer; likewise.

    Raises:
        Unavailable: A file is missing or damaged.

    Source: WordLlama, https://github.com/dleemiller/WordLlama.
    """

    name = "static"
    dimension = 256
    # Texts of so many characters in all take less time than a switch to a thread and back.
    inline_characters = 1024

    def __init__(self, *, weights: Path | None = None, tokenizer: Path | None = None) -> None:
        rows = _read_rows(weights or package_file(*WEIGHTS_FILE), self.dimension)
        self._words = _Words(rows, _open_tokenizer(tokenizer or package_file(*TOKENIZER_FILE)))

    def embed(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder`."""
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        for start in range(0, len(texts), _CHUNK_TEXTS):
            words = [text.split() for text in texts[start : start + _CHUNK_TEXTS]]
            sums = sums_by_owner(words, self._words.rows, dimension=self.dimension, most=_ROWS_AT_A_TIME)
            vectors[start : start + len(words)] = unit_rows(sums)  # the unit vector of a sum is that of the mean
        return vectors

    def count_tokens(self, texts: Sequence[str]) -> int:
        """How many tokens these texts have."""
        return sum(len(ids) for ids in self._words.tokens([" ".join(text.split()) for text in texts]))


class _Words:
    """Sums of words' token rows, which are kept as floats, too: most of a new word's tokens are in others."""

    def __init__(self, token_rows: Vectors, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

        def floats_of(ids: list[int]) -> Vectors:
            rows: Vectors = token_rows.take(ids, axis=0).astype(np.float32)
            return rows

        dimension = token_rows.shape[1]
        self._token_rows = _KeptRows(floats_of, dimension, most=_KNOWN_TOKENS)
        self._word_rows = _KeptRows(self._sums, dimension, most=_KNOWN_WORDS, is_kept=_is_short)

    def rows(self, words: list[str]) -> Vectors:
        """One row for each word, shape (len(words), dimension)."""
        return self._word_rows.rows(words)

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of texts, none added before or after."""
        if len(texts) <= _FEW:
            return [self._tokens_of(text) for text in texts]
        encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def _tokens_of(self, text: str) -> list[int]:
        if _SPECIAL in text or " " in text:
            ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
            return ids
        # Only the steps that matter for a single word: those for whole texts would take as long again.
        return [token.id for token in self._tokenizer.model.tokenize(_WORD_BEGINS + text)]

    def _sums(self, words: list[str]) -> Vectors:
        rows_of, dimension = self._token_rows.rows, self._token_rows.dimension
        return sums_by_owner(self.tokens(words), rows_of, dimension=dimension, most=_ROWS_AT_A_TIME)


class _KeptRows(Generic[_Item]):
    """Rows of items that are asked for again and again, made once; when there are too many, it starts anew.

    Args:
        make: Gives shape (items, dimension) for some items, no item twice.
        dimension: Length of a row.
        most: Rows that are kept.
        is_kept: Items that may be.
    """

    def __init__(
        self,
        make: Callable[[list[_Item]], Vectors],
        dimension: int,
        *,
        most: int,
        is_kept: Callable[[_Item], bool] = lambda _: True,
    ) -> None:
        self.dimension = dimension
        self._make = make
        self._most = most
        self._is_kept = is_kept
        self._keeping = threading.Lock()
        self._known = self._nothing()

    def rows(self, items: list[_Item]) -> Vectors:
        """One row for each item, shape (len(items), dimension)."""
        index, table = self._known  # read once, as another thread may replace it
        places = list(map(index.get, items, repeat(-1)))
        rows: Vectors = table.take(places, axis=0)
        if -1 in places:
            missing = [place for place, known in enumerate(places) if known < 0]
            wanted = [items[place] for place in missing]
            new = list(dict.fromkeys(wanted))
            made = self._make(new)
            self._keep(new, made)
            if len(new) < len(wanted):
                numbers = {item: number for number, item in enumerate(new)}
                made = made[[numbers[item] for item in wanted]]
            rows[missing] = made
        return rows

    def _nothing(self) -> tuple[dict[_Item, int], Vectors]:
        # The table's pages take memory only once they are written.
        return {}, np.empty((self._most, self.dimension), dtype=np.float32)

    def _keep(self, items: list[_Item], rows: Vectors) -> None:
        with self._keeping:
            index, table = self._known
            if len(index) + len(items) > self._most:
                self._known = index, table = self._nothing()
            for item, row in zip(items[: self._most], rows, strict=False):
                if item not in index and self._is_kept(item):
                    table[len(index)] = row  # written before the item can be found
                    index[item] = len(index)


def _is_short(word: str) -> bool:
    return len(word) <= _LONGEST_KNOWN


def _read_rows(path: Path, dimension: int) -> Vectors:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        (rows,) = load_file(path).values()  # which checks the file
        # Mapped in their stored width, so that rows of unused words take no memory. The data are at the end of the
        # file.
        stored = np.memmap(path, rows.dtype, mode="r", offset=path.stat().st_size - rows.nbytes, shape=rows.shape)
        return np.asarray(stored).reshape(-1, dimension)
    except (OSError, ValueError, SafetensorError) as error:
        raise _unreadable(path) from error


def _open_tokenizer(path: Path) -> Any:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare `Exception`
        raise _unreadable(path) from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _unreadable(path: Path) -> Unavailable:
    return Unavailable(
        f"the embedder 'static' cannot read its file {path.name}, which is missing or damaged;"
        " install the locked packages anew (`make setup`)"
    )
