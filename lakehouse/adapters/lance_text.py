"""Text search of a corpus that is not in memory: Lance's inverted index finds rows, and our own BM25 scores them.

The scores are those of the index in memory (see lakehouse/retrieval/text_index.py), so that what was calibrated with it
stays true. The rarity of terms and the length of texts are estimated from a sample, which is all of a small corpus.

Belongs here: making Lance's index of texts, the sample, scores, searching. Not here: vectors (see lance_nearest.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lakehouse.adapters.hot_index import Hit
from lakehouse.adapters.lance_engine import translated
from lakehouse.adapters.lance_files import committed_of
from lakehouse.adapters.lance_nearest import nearest_hits
from lakehouse.adapters.lance_rows import LanceRows
from lakehouse.errors import Unavailable
from lakehouse.retrieval.selection import Selection
from lakehouse.retrieval.text_index import K1, MAX_QUERY_TERMS, B, TextIndex
from lakehouse.retrieval.text_segment import Saturation, weights_of
from lakehouse.retrieval.tokens import MAX_TERM_CHARS, terms_of, tokenize

if TYPE_CHECKING:
    from lakehouse.adapters.lance_table import LanceTable

Rows = NDArray[np.int64]
Scores = NDArray[np.float32]
INDEX = "text_terms"
FEW_ROWS = 5_000
SAMPLE_ROWS = 20_000
_STRETCHES = 40
_MOVED = 0.1
_ASKED_SHARE = 4
_SPARE = 64
MOST_ASKED = 20_000
_MORE = 4


def build_text_index(table: LanceTable) -> None:
    """Make Lance's index of the texts, or make it anew.

    Its terms are no finer than ours: whatever has a term of a query is found, and then scored by our own rule.

    Raises:
        Unavailable: A build is writing to the table; what it has written is not to be seen yet.
    """
    table.refresh()
    live, files = table.live, table.files
    with files.exclusive() as head:
        if head.version != live.version:
            raise Unavailable(f"a build is writing to table {table.name!r}; index it afterwards", retry_after_s=60)
        head.create_scalar_index(
            "text", "INVERTED", name=INDEX, replace=True, with_position=False, base_tokenizer="simple",
            language="English", stem=True, remove_stop_words=False, ascii_folding=True, lower_case=True,
            max_token_length=MAX_TERM_CHARS,
        )  # fmt: skip
        done = committed_of(head)
    table.publish(files, done)


class TextSample:
    """What a sample of a corpus's texts says of all of them.

    Args:
        rows: Of the version that is sampled.
    """

    def __init__(self, rows: LanceRows) -> None:
        self.of_rows = len(rows)
        self.is_whole = len(rows) <= SAMPLE_ROWS
        self._of = (rows.uri, rows.dataset.version)
        self._index = TextIndex()
        for texts in _sampled(rows, self.is_whole):
            self._index.append(texts)
        self._saturation = Saturation(K1, B, max(1e-9, float(self._index.stats()["average_length"])))

    def fits(self, rows: LanceRows) -> bool:
        """Whether it is good for another version, too."""
        if self.is_whole or len(rows) <= SAMPLE_ROWS:
            return self._of == (rows.uri, rows.dataset.version)
        return abs(len(rows) - self.of_rows) <= _MOVED * self.of_rows

    @property
    def bytes(self) -> int:
        """Memory of the sample."""
        return int(self._index.stats()["bytes"])

    def term_weights(self, query: str) -> dict[str, float]:
        """See `TextIndex.term_weights`."""
        return self._index.term_weights(query)

    def scores(self, query: str, texts: pa.Array | pa.ChunkedArray) -> Scores:
        """The BM25 scores of some texts, 0 without a term of the query."""
        factors = self._factors(query)
        found = tokenize(texts)
        column = np.full(len(found.vocabulary), -1)
        places = {term: place for place, term in enumerate(factors)}
        for number, term in enumerate(found.vocabulary):
            column[number] = places.get(term, -1)
        columns = column[found.terms]
        text_of = np.repeat(np.arange(len(found.counts)), found.counts)
        is_wanted = columns >= 0
        cells = np.zeros((len(found.counts), len(factors)), np.uint16)
        np.add.at(cells, (text_of[is_wanted], columns[is_wanted]), 1)
        weights = weights_of(cells, self._saturation.norms(found.counts[:, None].astype(np.uint32)))
        scores: Scores = weights @ np.array(list(factors.values()), np.float32)
        return scores

    def _factors(self, query: str) -> dict[str, float]:
        """The factor of each term's weight; of a very long query only for its rarest terms."""
        times = Counter(terms_of(query))
        factors = {term: times[term] * weight for term, weight in self.term_weights(query).items()}
        best = sorted(factors, key=lambda term: -factors[term])[:MAX_QUERY_TERMS]
        return {term: factors[term] for term in best}


def search_texts(rows: LanceRows, query: str, k: int, selection: Selection, *, sample: TextSample) -> list[Hit]:
    """The selected rows with the best scores, best first; those without a term of the query never come.

    Args:
        rows: Of the version.
        query: Any text.
        k: How many at most.
        selection: From `rows.select`.
        sample: Of the corpus.
    """
    k = min(k, len(selection))
    words = " ".join(word for word in query.split() if terms_of(word))
    if k < 1 or not words:
        return []
    if len(selection) <= FEW_ROWS or INDEX not in rows.indexes:
        return _through(rows, query, k, selection, sample)
    asked = int(_ASKED_SHARE * k * selection.end / len(selection)) + _SPARE
    while asked <= MOST_ASKED:
        with translated(rows.uri):
            found = rows.dataset.scanner(
                columns=["id", "text", "_score"], full_text_query=words, limit=asked, with_row_id=True
            ).to_table()
        numbers = rows.numbers_of(found.column("_rowid").to_numpy())
        kept = np.flatnonzero(selection.mask()[numbers])
        if len(kept) >= k or found.num_rows < asked:
            few = found.take(pa.array(kept))
            return _best(iter([(numbers[kept], few)]), query, k, sample)
        asked *= _MORE
    return _through(rows, query, k, selection, sample)


def _through(rows: LanceRows, query: str, k: int, selection: Selection, sample: TextSample) -> list[Hit]:
    mask = None if selection.is_all else selection.mask()
    return _best(rows.scan(["id", "text"], mask), query, k, sample)


def _best(batches: Iterator[tuple[Rows, Any]], query: str, k: int, sample: TextSample) -> list[Hit]:
    def scored() -> Iterator[tuple[Rows, Any, Scores]]:
        for numbers, batch in batches:
            scores = sample.scores(query, batch.column("text"))
            hit = np.flatnonzero(scores > 0)
            yield numbers[hit], batch.column("id").take(pa.array(hit)), -scores[hit]

    return [Hit(hit.row, hit.id, -hit.value) for hit in nearest_hits(scored(), k)]


def _sampled(rows: LanceRows, is_whole: bool) -> Iterator[Any]:
    """Texts of all rows, or of evenly spaced stretches, as neighbouring rows are read together."""
    if is_whole:
        for _, batch in rows.scan(["text"]):
            yield batch.column("text")
        return
    living = np.arange(rows.end) if rows.living is None else np.flatnonzero(rows.living)
    width = SAMPLE_ROWS // _STRETCHES
    for start in np.linspace(0, len(living) - width, _STRETCHES).astype(np.int64):
        yield rows.take(living[start : start + width], ["text"]).column("text")
