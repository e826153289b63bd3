"""The acceptance: questions whose answers are known, asked before and after outcomes of others were recorded.

Occupations of the staffing sample are the answers; what people call them in their own words are the questions. Outcomes
of some names are recorded. Then the same names are asked for in other words, which must find the occupation better than
before, and names that were never recorded, which must not be found worse.

Belongs here: the questions, the split, what is a pass. Not here: searching (see
lakehouse/adapters/audit_full_acceptance.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
import yaml

from lakehouse.retrieval.evaluation import Interval, ndcg, paired_bootstrap

_RECORDED = 4
"""So many names of each occupation are recorded; the others never are."""
_ASKED = (
    "two of {} needed by Monday",
    "experienced {}, second shift",
    "who do we have as {}?",
    "{} to start this week",
)
_SEED = 7
_K = 10


@dataclass(frozen=True, slots=True)
class Question:
    """A question and the occupation that answers it."""

    text: str
    answer: str


@dataclass(frozen=True, slots=True)
class Questions:
    """All of them.

    Attributes:
        recorded: Outcomes of these are recorded.
        asked_again: The same names in other words.
        never_seen: Names that are not recorded.
    """

    recorded: tuple[Question, ...]
    asked_again: tuple[Question, ...]
    never_seen: tuple[Question, ...]


@dataclass(frozen=True, slots=True)
class Gain:
    """nDCG@10 before and after, and the paired difference with its 95 % interval."""

    questions: int
    before: float
    after: float
    interval: Interval


@cache
def questions() -> Questions:
    """The questions, always the same."""
    text = files("lakehouse.audit").joinpath("acceptance.yaml").read_text(encoding="utf-8")
    names: Mapping[str, Sequence[str]] = yaml.safe_load(text)
    recorded = [Question(name, title) for title, known in names.items() for name in known[:_RECORDED]]
    again = [Question(_ASKED[n % len(_ASKED)].format(one.text), one.answer) for n, one in enumerate(recorded)]
    never = [Question(name, title) for title, known in names.items() for name in known[_RECORDED:]]
    return Questions(tuple(recorded), tuple(again), tuple(never))


def gain_of(asked: Sequence[Question], before: Sequence[Sequence[str]], after: Sequence[Sequence[str]]) -> Gain:
    """How much better rankings became.

    Args:
        asked: The questions.
        before: The ids that came back for each, best first, before anything was recorded.
        after: The same afterwards.
    """
    was, now = (
        np.array([ndcg(ranked, {one.answer: 1.0}, k=_K) for one, ranked in zip(asked, rankings, strict=True)])
        for rankings in (before, after)
    )
    return Gain(len(asked), float(was.mean()), float(now.mean()), paired_bootstrap(now, was, seed=_SEED))
