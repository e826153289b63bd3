"""The judge harness: which of two answers is better, where nobody knows the right one.

The judge sees two answers as A and B and is not told which arm gave which; it is asked twice, in both orders. Only what
it says in both counts: a judge that likes the first answer better, whichever that is, says nothing. Where the right
answer is known, its agreement with it is told; what a judge says promotes nothing by itself.

Belongs here: pairs, questions, reading what the judge says, the counts. Not here: asking it (see
lakehouse/adapters/replay_judge.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import orjson

from lakehouse.errors import BadInput

Choice: TypeAlias = Literal["a", "b", "tie"]
Preference: TypeAlias = Literal["candidate", "baseline", "tie", "unsteady", "unreadable"]
PREFERENCES: tuple[Preference, ...] = ("candidate", "baseline", "tie", "unsteady", "unreadable")
_MOST_CHARACTERS = 4000
SYSTEM = (
    "You compare two answers to a question. Say which answers the question better: A, B, or tie. Do not favour an"
    " answer for its place or its length."
)
FORM: Mapping[str, Any] = {
    "type": "json_schema",
    "json_schema": {
        "name": "choice",
        "schema": {
            "type": "object",
            "properties": {"better": {"type": "string", "enum": ["A", "B", "tie"]}},
            "required": ["better"],
            "additionalProperties": False,
        },
    },
}


@dataclass(frozen=True, slots=True)
class Pair:
    """Two answers to one question.

    Attributes:
        known: Which is the better one by ground truth; None: nobody knows, or they are equal.
    """

    task_id: str
    question: str
    candidate: str
    baseline: str
    known: Literal["candidate", "baseline"] | None = None


@dataclass(frozen=True, slots=True)
class JudgeReport:
    """What a judge said of all pairs.

    Attributes:
        counts: By preference, how many pairs.
        decided: Pairs with the same preference in both orders, ties aside.
        share: Share of those that it decided for the candidate; None: it decided none.
        known: Decided pairs whose better answer is known.
        agreement: Share of those in which the judge agrees; None: there is none.
        first_share: How often it said A, of all readable choices but ties: about a half for one that looks.
    """

    counts: Mapping[str, int]
    decided: int
    share: float | None
    known: int
    agreement: float | None
    first_share: float | None

    def facts(self) -> dict[str, float | None]:
        """As rules of promotion ask for them."""
        return {"judged_tasks": self.decided, "judge_share": self.share, "judge_agreement": self.agreement}


def pairs_of(rows: Iterable[Mapping[str, Any]], *, candidate: str, baseline: str, measure: str = "exact") -> list[Pair]:
    """The pairs of a batch: tasks that both arms answered, in other words.

    Args:
        rows: Of the batch.
        candidate: An arm.
        baseline: Another.
        measure: By what the better of two known ones is told: `exact` or `score`.

    Raises:
        BadInput: It is the same arm.
    """
    if candidate == baseline:
        raise BadInput(f"a judge compares two arms, and {candidate!r} is one")
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        if row["arm"] in {candidate, baseline} and row.get("answer"):
            found.setdefault(row["task_id"], {})[row["arm"]] = row
    pairs = []
    for task_id, both in found.items():
        if len(both) < 2:
            continue
        mine, other = both[candidate], both[baseline]
        if mine["answer"].split() == other["answer"].split():
            continue
        pairs.append(Pair(task_id, mine["question"], mine["answer"], other["answer"], _known(mine, other, measure)))
    return pairs


def messages(pair: Pair, *, is_swapped: bool) -> list[dict[str, str]]:
    """What the judge is asked; in one of the two orders."""
    first, second = (pair.baseline, pair.candidate) if is_swapped else (pair.candidate, pair.baseline)
    said = f"Question: {_cut(pair.question)}\n\nAnswer A: {_cut(first)}\n\nAnswer B: {_cut(second)}\n\nWhich is better?"
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": said}]


def read_choice(text: str) -> Choice | None:
    """What a judge said; None when it is no choice."""
    try:
        said = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    better = said.get("better") if isinstance(said, dict) else None
    choices: dict[object, Choice] = {"A": "a", "B": "b", "tie": "tie"}
    return choices.get(better) if isinstance(better, str) else None


def preference_of(straight: Choice | None, swapped: Choice | None) -> Preference:
    """What both orders say together; the candidate is A in the straight one."""
    if straight is None or swapped is None:
        return "unreadable"
    if straight == swapped == "tie":
        return "tie"
    if (straight, swapped) == ("a", "b"):
        return "candidate"
    return "baseline" if (straight, swapped) == ("b", "a") else "unsteady"


def judge_report(said: Sequence[tuple[Pair, Choice | None, Choice | None]]) -> JudgeReport:
    """The counts over all pairs: each with its choice in the straight order and in the swapped one."""
    preferences = [(pair, preference_of(straight, swapped)) for pair, straight, swapped in said]
    decided = [(pair, one) for pair, one in preferences if one in {"candidate", "baseline"}]
    known = [(pair, one) for pair, one in decided if pair.known is not None]
    choices = [choice for _, *both in said for choice in both if choice in {"a", "b"}]
    return JudgeReport(
        counts={name: sum(one == name for _, one in preferences) for name in PREFERENCES},
        decided=len(decided),
        share=_share([one == "candidate" for _, one in decided]),
        known=len(known),
        agreement=_share([one == pair.known for pair, one in known]),
        first_share=_share([choice == "a" for choice in choices]),
    )


def _known(mine: Mapping[str, Any], other: Mapping[str, Any], measure: str) -> Literal["candidate", "baseline"] | None:
    if mine.get("match") is None or other.get("match") is None:
        return None
    first, second = float(mine["match"][measure]), float(other["match"][measure])
    if first == second:
        return None
    return "candidate" if first > second else "baseline"


def _share(holds: Sequence[bool]) -> float | None:
    return sum(holds) / len(holds) if holds else None


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]} …"
