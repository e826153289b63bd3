"""Ranking the best candidates of a corpus again by a better embedder than the one that found them.

The corpus is searched by a quick embedder, and only its few best candidates are scored again by a better one. These
stay before the others, and the best score keeps its value, so that scores stay comparable for other corpora, playbooks
and the downgrade gate.

Belongs here: which candidates, their new scores, the order of the steps. Not here: the vectors of texts (see
lakehouse/adapters/text_vectors.py), the first scores (see matrix.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lakehouse.retrieval.matrix import Ask, Found

Floats = NDArray[np.float32]
_TINY = 1e-6


class TextVectors(Protocol):
    """The vectors of texts, none of them blank, by an embedder's name: (n, dimension), unit rows."""

    async def of(self, embedder: str, texts: Sequence[str]) -> Floats: ...


class Reranker:
    """Ranks what was found again, for the corpora that name a `rerank_embedder`.

    Args:
        embed: Embeds a query by a named embedder; says whether it came from memory.
        texts: The vectors of texts.
    """

    def __init__(self, embed: Callable[[str, str], Awaitable[tuple[Floats, bool]]], texts: TextVectors) -> None:
        self._embed = embed
        self._texts = texts

    async def rerank(self, found: Sequence[Found], ask: Ask, *, top: int, weight: float) -> None:
        """Change the scores of the best candidates of each corpus; a search by words is left as it is.

        Args:
            found: Candidates by corpus, before they are merged.
            ask: The search.
            top: Most candidates of a corpus that are looked at; 0: none.
            weight: Share of the better embedder, 0 to 1; the first score has the rest.

        Raises:
            Unavailable: The re-rank embedder does not answer.
        """
        if top < 1 or weight <= 0 or ask.mode == "text":
            return
        wanted = [(one, str(one.corpus.info.get("rerank_embedder") or "")) for one in found if len(one.rows) > 1]
        await asyncio.gather(*(self._rerank(one, name, ask.query, top, weight) for one, name in wanted if name))

    async def _rerank(self, one: Found, embedder: str, query: str, top: int, weight: float) -> None:
        best = best_of(one.scores, top)
        rows = one.rows[best]
        if one.corpus.is_in_memory:
            texts = one.corpus.texts_of(rows)
        else:
            texts = await asyncio.to_thread(one.corpus.texts_of, rows)
        written = [n for n, text in enumerate(texts) if text.strip()]
        if not written:
            return
        (vector, _), matrix = await asyncio.gather(
            self._embed(embedder, query), self._texts.of(embedder, [texts[n] for n in written])
        )
        similarity = np.zeros(len(best), np.float32)
        similarity[written] = matrix @ vector
        one.scores = rerank_scores(one.scores, best, similarity, weight=weight)


def best_of(scores: Floats, top: int) -> NDArray[np.int64]:
    """The places of the `top` best scores, best first; equal ones in their order."""
    return np.argsort(-scores, kind="stable")[:top].astype(np.int64)


def rerank_scores(scores: Floats, best: NDArray[np.int64], similarity: Floats, *, weight: float) -> Floats:
    """New scores: those of the best candidates, spread anew between the best score and the best of all others.

    Args:
        scores: (n,) of all candidates, higher is better; below 0 where they are distances turned round.
        best: (m,) places of the candidates that were looked at: no other has a higher score.
        similarity: (m,) cosines of query and text by the better embedder; below 0 counts as 0.
        weight: Share of `similarity` in the new order.

    Returns:
        (n,) scores; those that were not looked at keep theirs.
    """
    first = scores[best]
    highest, lowest = float(first.max()), min(0.0, float(scores.min()))
    blended = (1 - weight) * _share(first - lowest) + weight * _share(np.maximum(similarity, 0))
    others = np.delete(scores, best)
    base = float(others.max(initial=lowest))
    if highest - base < _TINY:  # all first scores are equal, so the candidates cannot be kept before the others
        base = lowest
    new = scores.copy()
    new[best] = base + (highest - base) * _share(blended)
    return new


def _share(values: Floats) -> Floats:
    return np.asarray(values / max(float(values.max(initial=0)), _TINY), np.float32)
