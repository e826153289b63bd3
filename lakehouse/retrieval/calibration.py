"""How a corpus is calibrated from itself, without labels, when that is due, and what cannot be judged at all.

A few words are taken out of a row and used as a query: the rest of that row is relevant to it, and rows picked at
random are not. Of a few random rows the best one counts, as a search would show the best. Vectors alone cannot
be calibrated like this, because a row and its nearest neighbour are far more alike than a query and its answer; an
index of vectors without texts uses its embedder's calibration.

Source: Lee, Chang & Toutanova 2019, Latent retrieval (inverse cloze pairs).

Belongs here: pairs out of texts, when they are asked for, why there is no judgement. Not here: the model (see
relevance.py), who calibrates (see lakehouse/adapters/corpus_build.py, calibrator.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lakehouse.retrieval.corpus_view import CorpusView
from lakehouse.retrieval.embedding import Embedder
from lakehouse.retrieval.relevance import RelevanceModel
from lakehouse.retrieval.search_config import Mode
from lakehouse.retrieval.text_index import TextIndex

Floats = NDArray[np.float32]
Pairs = tuple[Floats, Floats]
LEAST_TEXTS = 20
"""How many different texts of more than a few words a calibration needs."""
GROWTH = 2
"""An index is calibrated again when its number of rows has grown or shrunk by this factor."""
_SEED = 11
_QUERY_WORDS = (4, 12)
# In a row so many times longer than the query, the vector of the whole row is used for that of the rest.
_LONG = 6
# The least difference between the mean probabilities of relevant and of random rows. Below it, a threshold would drop
# rows by chance.
_LEAST_TOLD_APART = 0.02
# Random rows of which the best counts as an irrelevant one, and how often they are drawn for each query: once costs as
# much as sixteen times, which halves what is left to chance.
_RANDOM_ROWS = 4
_DRAWS = 16
FEW_TEXTS = f"fewer than {LEAST_TEXTS} different items have texts of more than {_QUERY_WORDS[0]} words"
_LATER = f"an index is, some seconds after its last write, when it has {LEAST_TEXTS} texts"
_ALIKE = "its texts are too much alike, or too short, to tell what is relevant to a part of one of them"


@dataclass(frozen=True, slots=True)
class Cloze:
    """Inverse cloze pairs: (n, n) cosines and text shares of each query (down) with the rest of each row (across).

    `others` are for each query several draws of some rows picked at random, (n, draws, few), never its own.
    """

    likeness: Floats
    shares: Floats
    others: NDArray[np.int64]

    def pairs(self, *, counts_text: bool) -> tuple[Pairs, Pairs]:
        """Cosines and text shares of each query with its own row, and with the best of each draw of others.

        Args:
            counts_text: False: text shares are as 0.
        """
        shares = self.shares if counts_text else np.zeros_like(self.shares)
        own = np.arange(len(shares))
        of_query = own[:, None, None]
        at = (self.likeness + shares)[of_query, self.others].argmax(axis=2)
        best = np.take_along_axis(self.others, at[..., None], 2)
        irrelevant = (self.likeness[of_query, best].ravel(), shares[of_query, best].ravel())
        return (self.likeness[own, own], shares[own, own]), irrelevant


def is_due(info: Mapping[str, Any], rows: int) -> bool:
    """Whether an index that was made over HTTP is to be calibrated; declared corpora are when they are built.

    Args:
        info: What its table says of itself.
        rows: How many it has.
    """
    if info.get("kind") != "index" or info.get("distance", "cosine") != "cosine" or rows < LEAST_TEXTS:
        return False
    stored = info.get("calibration")
    if not stored:
        return True
    before = int(stored.get("rows", 0))
    return rows >= GROWTH * before or rows * GROWTH <= before


def has_texts_enough(texts: Sequence[str]) -> bool:
    """Whether some rows of a corpus can calibrate it."""
    return len(_usable(texts)) >= LEAST_TEXTS


def calibrate(vectors: Floats, texts: Sequence[str], embedder: Embedder, *, counts_text: bool = True) -> dict[str, Any]:
    """Calibrate a corpus from some of its rows; all that are given count.

    What is judged spreads with the root of their number: a probability of 0.29 has a standard deviation of 0.03 from
    300 rows, of 0.01 from 1,000 or 2,000 (docs/decisions/0022-relevance-is-calibrated-without-labels.md).

    Args:
        vectors: (n, dimension) embeddings of the rows, of unit length.
        texts: (n,) their texts.
        embedder: What made the vectors.
        counts_text: False: by cosines alone, for a corpus in which many rows have no text.

    Returns:
        The stored form of a `RelevanceModel`; or `reason`, when too few rows have words enough, or the sample does not
        tell relevant rows from others: rows that are much alike are relevant to one another.
    """
    taken = take_apart(vectors, texts, embedder)
    if taken is None:
        return {"reason": FEW_TEXTS}
    model, alone = _told_apart(taken, counts_text=counts_text), _told_apart(taken, counts_text=False)
    if model is None:
        return {"reason": _ALIKE}
    return replace(model, alone=None if alone is None else (alone.similarity, alone.intercept)).to_json()


def take_apart(vectors: Floats, texts: Sequence[str], embedder: Embedder) -> Cloze | None:
    """Take queries out of rows and compare each with what is left; None when too few texts are long enough.

    Args:
        vectors: (n, dimension) embeddings of the rows, of unit length.
        texts: (n,) their texts.
        embedder: What made the vectors.
    """
    chance = np.random.default_rng(_SEED)
    chosen = _usable(texts)
    if len(chosen) < LEAST_TEXTS:
        return None
    pairs = [_cloze(texts[n], chance) for n in chosen]
    queries = embedder.embed([query for query, _ in pairs])
    rests = np.array(vectors[chosen], np.float32)
    short = [at for at, (query, rest) in enumerate(pairs) if len(rest.split()) < _LONG * len(query.split())]
    if short:
        rests[short] = embedder.embed([pairs[at][1] for at in short])
    own = np.arange(len(chosen))
    others = (own[:, None, None] + chance.integers(1, len(own), (len(own), _DRAWS, _RANDOM_ROWS))) % len(own)
    return Cloze(queries @ rests.T, _text_shares(pairs), others)


def unjudged(view: CorpusView, mode: Mode) -> str | None:
    """Why a relevance threshold drops nothing of a corpus in searches of a mode; None when it does its work."""
    if mode == "text":
        return "a search by text alone compares no vectors; use the mode hybrid or vector"
    if view.distance != "cosine":
        return f"its distance is {view.distance}, and only cosines have a probability"
    if view.calibration is None:
        return f"{_why_not(view.info)}, and nothing is known of its embedder {view.embedder!r} in general"
    if view.calibration.alone is None and (mode == "vector" or not view.has_text):
        return "its cosines alone do not tell what is relevant; use the mode hybrid"
    return None


def _why_not(info: Mapping[str, Any]) -> str:
    reason = (info.get("calibration") or {}).get("reason")
    if reason:
        return str(reason)
    is_index = info.get("kind") == "index"
    return f"it is not calibrated ({_LATER if is_index else 'build it again'})"


def _usable(texts: Sequence[str]) -> list[int]:
    """Positions of the texts with enough words, of equal texts the first."""
    different = dict(zip(reversed(texts), range(len(texts) - 1, -1, -1), strict=True))
    return sorted(n for text, n in different.items() if len(text.split()) > _QUERY_WORDS[0])


def _told_apart(taken: Cloze, *, counts_text: bool) -> RelevanceModel | None:
    relevant, irrelevant = taken.pairs(counts_text=counts_text)
    model = RelevanceModel.fit(relevant, irrelevant)
    apart = float(model.probability(*relevant).mean() - model.probability(*irrelevant).mean())
    return model if apart >= _LEAST_TOLD_APART else None


def _cloze(text: str, chance: np.random.Generator) -> tuple[str, str]:
    """Some consecutive words of a text, at most half of it, and the words that are left."""
    words = text.split()
    length = min(int(chance.integers(*_QUERY_WORDS, endpoint=True)), len(words) // 2)
    start = int(chance.integers(len(words) - length + 1))
    return " ".join(words[start : start + length]), " ".join(words[:start] + words[start + length :])


def _text_shares(pairs: Sequence[tuple[str, str]]) -> Floats:
    """The text share of each query (down) with each rest (across)."""
    index = TextIndex()
    index.append([rest for _, rest in pairs])
    return np.stack([_text_share(index, query) for query, _ in pairs])


def _text_share(index: TextIndex, query: str) -> Floats:
    weight = sum(index.term_weights(query).values())
    return index.scores(query) / np.float32(max(weight, 1e-6))
