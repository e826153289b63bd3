"""Search with playbooks in one process, through the platform's own index, fusion and scoring.

What the search service does over HTTP, without HTTP: the steps are the same, and so is every rule.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lakehouse.adapters.hot_index import HotIndex
from lakehouse.retrieval.fusion import fuse
from lakehouse.retrieval.playbook_profiles import (
    AnswerProfiles,
    AskedAnswers,
    AskedQuery,
    Description,
    ProfileEntry,
)
from lakehouse.retrieval.playbook_scoring import NearEntry, boosts_of, choose_near, verdict_for, verdicts_of
from lakehouse.retrieval.search_config import PlaybookConfig
from lakehouse.retrieval.text_index import TextIndex
from lakehouse.tables.corpus import corpus_schema

NOW = datetime(2025, 1, 1, tzinfo=UTC)
PER_CORPUS_K = 50
Vector = NDArray[np.float32]


def hot_index(ids: Sequence[str], texts: Sequence[str], vectors: Vector) -> HotIndex:
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
    return index


@dataclass(frozen=True)
class Recorded:
    """A playbook entry as the bench keeps it."""

    number: int
    query: str
    vector: Vector
    answer: str
    worth: float
    source: str


class Playbook:
    """Entries for the answers of one corpus, all judged now."""

    def __init__(self, corpus: str, dimension: int) -> None:
        self._corpus = corpus
        self._entries: list[Recorded] = []
        self._by_answer: dict[str, list[Recorded]] = defaultdict(list)
        self._index = HotIndex(dimension=dimension, has_text=False)
        self.profiles = AnswerProfiles(self._endorsed, half_life_days=30)

    def record(self, rows: Sequence[tuple[str, Vector, str]], *, worth: float = 1.0, source: str = "bench") -> None:
        """Record (query, its vector, answer)."""
        first = len(self._entries)
        new = [Recorded(first + n, q, v, answer, worth, source) for n, (q, v, answer) in enumerate(rows)]
        if not new:
            return
        self._entries += new
        for entry in new:
            self._by_answer[entry.answer].append(entry)
        vectors = np.stack([entry.vector for entry in new])
        schema = corpus_schema(vectors.shape[1])
        names = pa.array([str(entry.number) for entry in new])
        columns = [
            names, names, pa.nulls(len(new), pa.string()),
            pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1]),
            pa.array(["{}"] * len(new)), pa.nulls(len(new), pa.string()),
        ]  # fmt: skip
        self._index.upsert(pa.record_batch(columns, schema=schema))
        self.profiles.touch({entry.answer for entry in new})

    def near(self, vector: Vector, config: PlaybookConfig) -> list[NearEntry]:
        hits = self._index.search_vector(vector, max(32, 4 * config.top_k), self._index.select())
        found = [(hit.value, self._entries[int(hit.id)]) for hit in hits]
        return choose_near(
            [
                NearEntry(str(e.number), (self._corpus, e.answer), d, e.worth, e.query, frozenset([e.source]))
                for d, e in found
            ],
            config=config,
        )

    def _endorsed(self, corpus: str, answer_id: str, now: datetime) -> list[ProfileEntry]:
        if corpus != self._corpus:
            return []
        entries = self._by_answer.get(answer_id, [])
        return [ProfileEntry(e.query, e.vector, e.worth, e.source) for e in entries if e.worth > 0]


@dataclass(frozen=True)
class Candidates:
    """What a corpus found for a query, with exact values of both kinds for each."""

    query: str
    vector: Vector
    rows: NDArray[np.int64]
    ids: list[str]
    similarity: NDArray[np.float32]
    text: NDArray[np.float32]


class Searcher:
    """One corpus in a hot index."""

    def __init__(self, name: str, ids: Sequence[str], texts: Sequence[str], vectors: Vector) -> None:
        self.name = name
        self.index = hot_index(ids, texts, vectors)
        # As the index has it inside; what it says of terms is all that is asked of it.
        self._terms = TextIndex()
        self._terms.append(list(texts))

    def find(self, query: str, vector: Vector, more: Sequence[str] = ()) -> Candidates:
        """The nearest rows, those with the best texts, and `more` ids that are wanted too."""
        everything = self.index.select()
        hits = self.index.search_vector(vector, PER_CORPUS_K, everything)
        hits += self.index.search_text(query, PER_CORPUS_K, everything)
        wanted = [hit.row for hit in hits] + [row for i in more if (row := self.index.row_of(i)) is not None]
        rows = np.array(list(dict.fromkeys(wanted)), np.int64)
        similarity = 1 - self.index.distances(vector, rows)
        return Candidates(query, vector, rows, self.index.ids_of(rows), similarity, self.index.text_scores(query, rows))

    def rank(self, found: Candidates, *, weight: float) -> list[str]:
        """Ids, best first, without playbooks; weight 0 is the vector alone, 1 the text alone."""
        scores = fuse(found.similarity, found.text, weight=weight)
        return [found.ids[n] for n in np.argsort(-scores, kind="stable")]

    def rank_with(
        self, query: str, vector: Vector, playbook: Playbook, *, weight: float, config: PlaybookConfig
    ) -> list[str]:
        """Ids, best first, with playbooks."""
        verdicts = verdicts_of(playbook.near(vector, config), config=config)
        endorsed = [i for (corpus, i), v in verdicts.items() if corpus == self.name and v.endorsed > 0]
        found = self.find(query, vector, endorsed)
        scores = fuse(found.similarity, found.text, weight=weight)
        likeness, confidence = playbook.profiles.likeness(
            AskedQuery(vector, self._terms.term_weights(query)),
            AskedAnswers(self.name, found.ids, found.rows.tolist()),
            describe=lambda positions: self._describe(found.rows[positions]),
            now=NOW,
        )
        scores = scores + boosts_of(
            scores,
            [verdict_for(verdicts, self.name, i) for i in found.ids],
            likeness=likeness,
            confidence=confidence,
            config=config,
        )
        return [found.ids[n] for n in np.argsort(-scores, kind="stable")]

    def _describe(self, rows: NDArray[np.int64]) -> list[Description]:
        texts, vectors = self.index.texts_of(rows), self.index.vectors_of(rows)
        return [Description(text, vector) for text, vector in zip(texts, vectors, strict=True)]
