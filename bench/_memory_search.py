"""Search with playbooks in one process: the platform's corpora, matrix search and playbooks, without HTTP and log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lakehouse.adapters.corpus_reader import CorpusReader
from lakehouse.adapters.entry_index import HotEntryIndex
from lakehouse.adapters.hot_index import HotIndex
from lakehouse.memory.entry import Entry, Order
from lakehouse.retrieval.matrix import Ask, Found, find, merge
from lakehouse.retrieval.playbook import RECORD, PlaybookBook
from lakehouse.retrieval.playbook_codec import encode_vector
from lakehouse.retrieval.playbook_influence import Influence, Playbooks
from lakehouse.retrieval.search_config import PlaybookConfig
from lakehouse.tables.corpus import corpus_schema

NOW = datetime(2025, 1, 1, tzinfo=UTC)
EMBEDDER = "minilm"
PER_CORPUS_K = 50
_WRITER = "0198f0c2-7c1e-7f43-9a51-0f6a3a1d2b3c"
Vector = NDArray[np.float32]


def corpus_of(name: str, ids: Sequence[str], texts: Sequence[str], vectors: Vector) -> CorpusReader:
    """A corpus in a hot index."""
    index = HotIndex(dimension=vectors.shape[1])
    schema = corpus_schema(vectors.shape[1])
    columns = [
        pa.array(ids),
        pa.array(ids),
        pa.array(texts),
        pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1]),
        pa.array(["{}"] * len(ids)),
        pa.nulls(len(ids), pa.string()),
    ]
    index.upsert(pa.record_batch(columns, schema=schema))
    return CorpusReader(name, {"embedder": EMBEDDER, "dimension": vectors.shape[1]}, index, "1")


@dataclass(frozen=True)
class Outcome:
    """A query, its vector, and the answer that an outcome named for it."""

    query: str
    vector: Vector
    answer: str


def playbooks_of(corpus: str, outcomes: Sequence[Outcome], *, source: str = "bench") -> Playbooks:
    """Playbooks that were told of outcomes, all just now."""
    book = PlaybookBook(HotEntryIndex(lambda: len(outcomes[0].vector)), embedder=EMBEDDER, embed=_nothing_to_embed)
    entries = []
    for n, outcome in enumerate(outcomes):
        payload = {
            "playbook_id": f"p{n:06d}", "query": outcome.query, "answer_id": outcome.answer, "answer_corpus": corpus,
            "tags": [], "score": 1.0, "embedder": EMBEDDER, "vector": encode_vector(outcome.vector),
        }  # fmt: skip
        entries.append(Entry(f"op-{n}", Order(n, _WRITER, n, 0), RECORD, payload, NOW, source))
    book.apply(entries)
    return Playbooks(book, embedder=EMBEDDER)


def found_in(
    corpus: CorpusReader, query: str, vector: Vector, *, weight: float, influence: Influence | None = None
) -> Found:
    """The candidates of one corpus; text weight 0 is the vector alone, 1 the text alone."""
    return find(corpus, _ask(corpus.name, query, weight=weight), vector, corpus.select(), influence)


def rank(
    corpora: Sequence[CorpusReader],
    query: str,
    vector: Vector,
    *,
    weight: float,
    playbooks: Playbooks | None = None,
    config: PlaybookConfig | None = None,
) -> list[tuple[str, str]]:
    """(corpus, id), best first, of one or several corpora."""
    influence = None
    if playbooks is not None:
        names = [corpus.name for corpus in corpora]
        influence = playbooks.influence(query, vector, corpora=names, config=config or PlaybookConfig(), now=NOW)
    found = [found_in(corpus, query, vector, weight=weight, influence=influence) for corpus in corpora]
    merged = merge(found, _ask("", query, weight=weight), influence)
    return [(candidate.corpus, candidate.id) for candidate in merged.results]


def _ask(corpus: str, query: str, *, weight: float) -> Ask:
    return Ask(query, 10, PER_CORPUS_K, "hybrid", {corpus: weight})


def _nothing_to_embed(texts: Sequence[str]) -> Vector:
    raise AssertionError(f"every outcome has its vector, so {len(texts)} texts need none")
