"""Matrix search: several corpora searched together, merged by comparable scores, lifted by playbooks, gated.

The order of things: filters choose the rows (before retrieval), each corpus gives its candidates, playbooks bring
answers in, lift and sink, the relevance filter and the downgrade gate drop, the best k stay.

Scores. Within a corpus: hybrid the fused score, vector the cosine, text the share of what the query weighs.
Across corpora, the best cosine says how relevant a corpus is: its scores are multiplied by the square of that
(docs/decisions/0020-hybrid-scores-are-a-sum.md). Text shares compare as they are. Where vectors are not compared by
cosine, corpora are merged by reciprocal rank.

Belongs here: candidates and their merging, over Protocols. Not here: embedding and SQL (see search_service.py), fusion
(see fusion.py), what playbooks say (see playbook_influence.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from lakehouse.retrieval.corpus_view import CorpusView, Hit
from lakehouse.retrieval.downgrade import ModelClass
from lakehouse.retrieval.fusion import RRF_K, across_corpora, fuse, fuse_ranks
from lakehouse.retrieval.playbook_influence import Influence, Lift
from lakehouse.retrieval.search_config import Mode
from lakehouse.retrieval.selection import Selection

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
Near = tuple[Rows, Floats]
_NOTHING: Near = (np.empty(0, np.int64), np.empty(0, np.float32))


class Ask(msgspec.Struct, frozen=True):
    """One search, checked. `text_weight` is the share of text in a hybrid score, by corpus."""

    query: str
    k: int
    per_corpus_k: int
    mode: Mode
    text_weight: Mapping[str, float]
    threshold: float = 0.0
    model_class: ModelClass = "small"
    strong_min_score: float = 0.0


class Candidate(msgspec.Struct, gc=False):
    """A row that may be a result. `relevance` is a probability, None without a calibration or a threshold."""

    corpus: str
    row: int
    id: str
    score: float
    distance: float | None
    relevance: float | None = None
    strength: float = 0.0
    lift: Lift | None = None


class Found(msgspec.Struct, eq=False):
    """The candidates of one corpus, in no order: (n,) of each.

    `similarity` are cosines, None where there are none. `strength` is what the downgrade gate looks at, which does not
    depend on the other candidates: the probability of relevance where the corpus is calibrated, else how near a row is.
    """

    corpus: CorpusView
    rows: Rows
    scores: Floats
    distances: Floats | None = None
    similarity: Floats | None = None
    relevance: Floats | None = None
    strength: Floats | None = None


class Counts(msgspec.Struct, gc=False):
    """Of one corpus: candidates, results, and what the relevance filter and the gate dropped."""

    hits: int = 0
    kept: int = 0
    dropped: int = 0


class Merged(msgspec.Struct):
    """The results, best first, with the counts of each corpus."""

    results: list[Candidate]
    counts: dict[str, Counts]
    is_downgraded: bool = False


def find(
    corpus: CorpusView,
    ask: Ask,
    vector: Floats | None,
    selection: Selection,
    influence: Influence | None = None,
    *,
    near: Near | None = None,
) -> Found:
    """The best rows of one corpus for a query, and those that playbooks bring in.

    Args:
        corpus: The corpus.
        ask: The search.
        vector: The query by the corpus's embedder; text search ignores it.
        selection: The rows that may come back.
        influence: What playbooks say; an answer that the selection forbids is not brought in.
        near: What `nearest_rows` gave for these; None: it is asked here.
    """
    vector = None if ask.mode == "text" else vector
    if near is None:
        near = _NOTHING if vector is None else corpus.nearest_rows(vector, ask.per_corpus_k, selection)
    wants_text = corpus.has_text and ask.mode != "vector"
    by_text = _values(corpus.search_text(ask.query, ask.per_corpus_k, selection)) if wants_text else {}
    brought = [] if influence is None else _rows_of(corpus, influence.endorsed_ids(corpus.name), selection)
    numbers = _with(near[0], [*by_text, *brought])
    if not len(numbers):
        return Found(corpus, numbers, np.empty(0, np.float32))
    distances = None
    if vector is not None:
        others = numbers[len(near[0]) :]
        distances = near[1] if not len(others) else np.concatenate([near[1], corpus.distances(vector, others)])
    texts = _filled(numbers.tolist(), by_text, lambda some: corpus.text_scores(ask.query, some)) if wants_text else None
    similarity = None if distances is None else corpus.similarity(distances)
    closeness = similarity
    if distances is not None and corpus.distance == "l2":  # text scores combine with a closeness from 0 to 1
        closeness = np.float32(1) / (1 + distances)
    scores = _scores(corpus, ask, similarity if texts is None else closeness, texts)
    found = Found(
        corpus, numbers, scores, distances, similarity if corpus.distance == "cosine" else None,
        strength=scores if closeness is None else closeness,
    )  # fmt: skip
    is_judged = ask.threshold > 0 or ask.model_class == "strong"
    if is_judged and found.similarity is not None:
        share = None if texts is None else _text_share(corpus, ask, texts)
        found.relevance = corpus.relevance(found.similarity, share)
        found.strength = found.strength if found.relevance is None else found.relevance
    return found


def merge(found: Sequence[Found], ask: Ask, influence: Influence | None = None) -> Merged:
    """Put the candidates of all corpora into one order, drop what is not relevant or not worth a strong model's time.

    Args:
        found: Candidates by corpus.
        ask: The search.
        influence: What playbooks say.
    """
    if len(found) > 1:
        _make_comparable(found)
    counts: dict[str, Counts] = {}
    kept: list[Candidate] = []
    is_downgraded = False
    is_judged = ask.threshold > 0 or ask.model_class == "strong"
    for one in found:
        count = counts[one.corpus.name] = Counts(hits=len(one.rows))
        # Without a filter that drops candidates, only those that may become results are made into objects.
        candidates = _candidates(one, influence, None if is_judged else ask.k)
        for candidate in candidates if is_judged else ():
            if _is_irrelevant(candidate, ask):
                count.dropped += 1
            elif ask.model_class == "strong" and _is_weak(candidate, ask):
                count.dropped += 1
                is_downgraded = True
            else:
                kept.append(candidate)
        kept += () if is_judged else candidates
    kept.sort(key=_order)
    results = kept[: ask.k]
    for candidate in results:
        counts[candidate.corpus].kept += 1
    return Merged(results, counts, is_downgraded)


def _order(candidate: Candidate) -> tuple[float, str, str]:
    return (-candidate.score, candidate.corpus, candidate.id)


def _candidates(found: Found, influence: Influence | None, most: int | None) -> list[Candidate]:
    """The candidates of one corpus; with `most` at least so many of the best, and all that are equal to the last."""
    if not len(found.rows):
        return []
    lifts = None
    if influence is not None:
        lifts = influence.lifts(found.corpus, found.rows, found.scores, similarity=found.similarity)
    scores = found.scores.astype(np.float64)
    if lifts is not None:
        scores += lifts.boosts
    places = None
    if most is not None and most < len(scores):
        last = len(scores) - most
        places = (scores >= np.partition(scores, last)[last]).nonzero()[0]

    def chosen(values: NDArray[Any] | None) -> Iterable[Any]:
        if values is None:
            return repeat(None)
        some: list[Any] = (values if places is None else values.take(places)).tolist()
        return some

    rows = found.rows if places is None else found.rows.take(places)
    at = range(len(rows)) if places is None else places.tolist()
    return list(
        map(
            Candidate,
            repeat(found.corpus.name),
            rows.tolist(),
            found.corpus.ids_of(rows),
            chosen(scores),
            chosen(found.distances),
            chosen(found.relevance),
            repeat(0.0) if most is not None else chosen(found.scores if found.strength is None else found.strength),
            repeat(None) if lifts is None else lifts.of(at),
        )
    )


def _make_comparable(found: Sequence[Found]) -> None:
    """Put the scores of several corpora on one scale; the order within each stays."""
    full = [one for one in found if len(one.rows)]
    if all(one.distances is None for one in full):
        return
    has_cosines = all(one.similarity is not None for one in full)
    for one in full:
        if has_cosines and one.similarity is not None:
            one.scores = across_corpora(one.scores, one.similarity)
        else:
            one.scores = (RRF_K + 1) * fuse_ranks(one.scores)


def _with(rows: Rows, more: list[int]) -> Rows:
    """Rows, and after them those of others that are not among them, each once."""
    if not more:
        return rows
    known = set(rows.tolist())
    others = [row for row in dict.fromkeys(more) if row not in known]
    return np.concatenate([rows, np.array(others, np.int64)]) if others else rows


def _values(hits: Sequence[Hit]) -> dict[int, float]:
    return {hit.row: hit.value for hit in hits}


def _filled(rows: list[int], known: Mapping[int, float], compute: Callable[[Rows], Floats]) -> Floats:
    """A value for each row: the one that a search gave, or computed."""
    missing = [row for row in rows if row not in known]
    values = dict(known)
    if missing:
        values |= zip(missing, compute(np.array(missing, np.int64)).tolist(), strict=True)
    return np.array([values[row] for row in rows], np.float32)


def _scores(corpus: CorpusView, ask: Ask, similarity: Floats | None, texts: Floats | None) -> Floats:
    """What candidates are sorted by within their corpus."""
    if similarity is None:
        assert texts is not None
        return _text_share(corpus, ask, texts)
    if texts is None:
        return similarity
    return fuse(similarity, texts, weight=ask.text_weight[corpus.name])


def _text_share(corpus: CorpusView, ask: Ask, texts: Floats) -> Floats:
    """Text scores over what all terms of the query weigh: those that no row has weigh most."""
    return texts / np.float32(max(sum(corpus.term_weights(ask.query).values()), 1e-6))


def _rows_of(corpus: CorpusView, ids: Sequence[str], selection: Selection) -> list[int]:
    rows = [row for answer_id in ids if (row := corpus.row_of(answer_id)) is not None]
    return selection.those_of(rows) if rows else rows


def _is_endorsed(candidate: Candidate) -> bool:
    # Endorsed answers have been judged to work, which outweighs a low estimate of relevance.
    return candidate.lift is not None and candidate.lift.is_endorsed


def _is_irrelevant(candidate: Candidate, ask: Ask) -> bool:
    return not _is_endorsed(candidate) and candidate.relevance is not None and candidate.relevance < ask.threshold


def _is_weak(candidate: Candidate, ask: Ask) -> bool:
    return not _is_endorsed(candidate) and candidate.strength < ask.strong_min_score
