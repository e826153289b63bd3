"""Matrix search: several corpora searched together, merged by comparable scores, lifted by playbooks, gated.

The order of things: filters choose the rows (before retrieval), each corpus gives its candidates, playbooks lift, sink
or inject answers, the relevance filter and the downgrade gate drop, the best k stay.

Scores. One corpus: the candidate's own score (hybrid: the fused score; vector: −distance plus a constant; text: BM25).
Several: scores of different embedders do not compare, so each corpus's are calibrated (log-odds of relevance, see
relevance.py); where a corpus has no calibration all are merged by reciprocal rank (Cormack et al. 2009).

Belongs here: candidates and their merging, over Protocols. Not here: embedding and SQL (see search_service.py), fusion
(see fusion.py), what playbooks are worth (see playbook_scoring.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lakehouse.retrieval.corpus_view import CorpusView, Hit
from lakehouse.retrieval.downgrade import ModelClass
from lakehouse.retrieval.fusion import fuse
from lakehouse.retrieval.search_config import Mode
from lakehouse.retrieval.selection import Selection

RRF_K = 60


@dataclass(frozen=True, slots=True)
class Lift:
    """What playbooks say of one answer: how much it is lifted (negative: sunk), by which entries."""

    boost: float
    playbook_ids: tuple[str, ...]


# Answers by (corpus, id); corpus None stands for any.
Lifts = Mapping[tuple[str | None, str], Lift]


@dataclass(frozen=True, slots=True)
class Ask:
    """One search, checked. `text_weight` is the share of text in a hybrid score, by corpus."""

    query: str
    k: int
    per_corpus_k: int
    mode: Mode
    text_weight: Mapping[str, float]
    threshold: float = 0.0
    model_class: ModelClass = "small"
    strong_min_score: float = 0.0


@dataclass(slots=True)
class Candidate:
    """A row that may be a result. `relevance` is a probability, None without a calibration."""

    corpus: str
    row: int
    id: str
    score: float
    distance: float | None
    relevance: float | None = None
    lift: Lift | None = None


@dataclass(slots=True)
class Counts:
    """Of one corpus: candidates, results, and what the relevance filter and the gate dropped."""

    hits: int = 0
    kept: int = 0
    dropped: int = 0


@dataclass(slots=True)
class Merged:
    """The results, best first, with the counts of each corpus."""

    results: list[Candidate]
    counts: dict[str, Counts]
    is_downgraded: bool = False


def candidates_of(
    corpus: CorpusView, ask: Ask, vector: NDArray[np.float32] | None, selection: Selection, lifts: Lifts
) -> list[Candidate]:
    """The best rows of one corpus for a query, best first, and those that playbooks inject.

    Args:
        corpus: The corpus.
        ask: The search.
        vector: The query by the corpus's embedder; None for text search.
        selection: The rows that may come back.
        lifts: What playbooks say; an answer that the selection forbids is not injected.
    """
    by_vector = {} if vector is None else _values(corpus.search_vector(vector, ask.per_corpus_k, selection))
    wants_text = corpus.has_text and ask.mode != "vector"
    by_text = _values(corpus.search_text(ask.query, ask.per_corpus_k, selection)) if wants_text else {}
    rows = list(dict.fromkeys([*by_vector, *by_text, *_lifted_rows(corpus, lifts, selection)]))
    if not rows:
        return []
    numbers = np.array(rows, np.int64)
    distances = None if vector is None else _filled(rows, by_vector, lambda some: corpus.distances(vector, some))
    texts = _filled(rows, by_text, lambda some: corpus.text_scores(ask.query, some)) if wants_text else None
    scores = _scores(corpus, ask, distances, texts)
    relevance = corpus.relevance(scores) if ask.mode == "hybrid" else None
    ids = corpus.ids_of(numbers)
    order = np.argsort(-scores, kind="stable").tolist()
    return [
        Candidate(
            corpus.name,
            rows[n],
            ids[n],
            float(scores[n]),
            None if distances is None else float(distances[n]),
            None if relevance is None else float(relevance[n]),
            lifts.get((corpus.name, ids[n])) or lifts.get((None, ids[n])),
        )
        for n in order
    ]


def merge(found: Mapping[str, Sequence[Candidate]], ask: Ask) -> Merged:
    """Put the candidates of all corpora into one order, drop what is not relevant or not worth a strong model's time.

    Args:
        found: Candidates by corpus, best first.
        ask: The search.
    """
    if len(found) > 1:
        _make_comparable(found)
    counts = {name: Counts(hits=len(candidates)) for name, candidates in found.items()}
    kept: list[Candidate] = []
    is_downgraded = False
    for name, candidates in found.items():
        for candidate in candidates:
            if candidate.lift is not None:
                candidate.score += candidate.lift.boost
            if _is_irrelevant(candidate, ask):
                counts[name].dropped += 1
            elif ask.model_class == "strong" and candidate.score < ask.strong_min_score:
                counts[name].dropped += 1
                is_downgraded = True
            else:
                kept.append(candidate)
    kept.sort(key=lambda candidate: (-candidate.score, candidate.corpus, candidate.id))
    results = kept[: ask.k]
    for candidate in results:
        counts[candidate.corpus].kept += 1
    return Merged(results, counts, is_downgraded)


def _values(hits: Sequence[Hit]) -> dict[int, float]:
    return {hit.row: hit.value for hit in hits}


def _filled(
    rows: list[int], known: Mapping[int, float], compute: Callable[[NDArray[np.int64]], NDArray[np.float32]]
) -> NDArray[np.float32]:
    """A value for each row: the one that a search gave, or computed."""
    missing = [row for row in rows if row not in known]
    values = dict(known)
    if missing:
        values |= zip(missing, compute(np.array(missing, np.int64)).tolist(), strict=True)
    return np.array([values[row] for row in rows], np.float32)


def _scores(
    corpus: CorpusView, ask: Ask, distances: NDArray[np.float32] | None, texts: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    """What candidates are sorted by within their corpus."""
    if distances is None:
        assert texts is not None
        return texts / np.float32(max(corpus.text_bound(ask.query), 1e-6))
    similarity = corpus.similarity(distances)
    if texts is None:
        return similarity
    return fuse(similarity, texts, weight=ask.text_weight[corpus.name])


def _lifted_rows(corpus: CorpusView, lifts: Lifts, selection: Selection) -> list[int]:
    """Rows of answers that playbooks lift: they may come back even if retrieval missed them."""
    rows = []
    for (name, answer_id), lift in lifts.items():
        if name in (None, corpus.name) and lift.boost > 0:
            row = corpus.row_of(answer_id)
            if row is not None and selection.has(row):
                rows.append(row)
    return rows


def _make_comparable(found: Mapping[str, Sequence[Candidate]]) -> None:
    """Put the scores of several corpora on one scale."""
    is_calibrated = all(c.relevance is not None for candidates in found.values() for c in candidates)
    for candidates in found.values():
        for rank, candidate in enumerate(candidates):
            if is_calibrated and candidate.relevance is not None:
                candidate.score = candidate.relevance
            else:
                candidate.score = (RRF_K + 1) / (RRF_K + 1 + rank)


def _is_irrelevant(candidate: Candidate, ask: Ask) -> bool:
    # What playbooks lift has been judged by people: a model's doubt does not outweigh that.
    is_lifted = candidate.lift is not None and candidate.lift.boost > 0
    return not is_lifted and candidate.relevance is not None and candidate.relevance < ask.threshold
