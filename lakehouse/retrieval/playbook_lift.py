"""What playbooks say of a query: its nearest recorded queries, and what became of their answers.

An entry counts by how near its query is (1 at no distance, 0 at `max_distance`) and by the mean of its evidence,
weights halving every `half_life_days`; what one source says of one entry counts once. Several entries for one answer
add up with diminishing returns, so that a burst of near copies from one source does not outweigh everything else.

Belongs here: from entries to lifts. Not here: entries (see playbook.py), what a lift does (see matrix.py).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from lakehouse.retrieval.matrix import Lift, Lifts
from lakehouse.retrieval.playbook import Evidence, PlaybookBook
from lakehouse.retrieval.search_config import PlaybookConfig

_DAY_S = 86_400.0
# What one source can move an answer by, over all of its entries near one query.
SOURCE_CAP = 1.0
# Scores of one corpus reach 1: what was endorsed for the very same query comes before whatever retrieval finds.
WORTH = 1.25


def lifts_of(book: PlaybookBook, vector: NDArray[np.float32], *, config: PlaybookConfig, now: datetime) -> Lifts:
    """The lift of every answer that entries near a query speak of.

    Args:
        book: The entries.
        vector: The query's embedding by the book's embedder.
        config: `top_k` entries at most `max_distance` away; `boost` scales what they say.
        now: The time now, aware.
    """
    said: dict[tuple[str | None, str], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    entries: dict[tuple[str | None, str], list[str]] = defaultdict(list)
    for distance, entry in book.nearest(vector, k=config.top_k, max_distance=config.max_distance):
        nearness = 1 - max(distance, 0.0) / config.max_distance if config.max_distance else 1.0
        answer = (entry.answer_corpus, entry.answer_id)
        entries[answer].append(entry.playbook_id)
        for source, score in judgements(book.evidence_of(entry), half_life_days=config.half_life_days, now=now).items():
            said[answer][source] += nearness * score
    return {
        answer: Lift(WORTH * config.boost * _total(by_source.values()), tuple(entries[answer]))
        for answer, by_source in said.items()
    }


def judgements(evidence: Iterable[Evidence], *, half_life_days: float, now: datetime) -> dict[str, float]:
    """What each source says, −1 to 1: the mean of its evidence, decayed by age."""
    sums: dict[str, list[float]] = defaultdict(list)
    for one in evidence:
        age_days = max(0.0, (now - one.at).total_seconds()) / _DAY_S
        sums[one.source].append(one.score * math.pow(0.5, age_days / half_life_days))
    return {source: sum(scores) / len(scores) for source, scores in sums.items()}


def _total(by_source: Iterable[float]) -> float:
    """Sources capped each and added; from 1 on by the logarithm, so that many do not drown what retrieval says."""
    total = sum(min(SOURCE_CAP, max(-SOURCE_CAP, value)) for value in by_source)
    return total if abs(total) <= 1 else math.copysign(1 + math.log(abs(total)), total)
