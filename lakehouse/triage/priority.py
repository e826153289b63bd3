"""How urgent an item is: points by kind and by what else is known, each with its reason.

Belongs here: the points. Not here: what an item is about (see item.py), the order of the queue (see `Item.order`).
"""

from __future__ import annotations

from collections.abc import Sequence

from lakehouse.triage.item import Kind

_OF_KIND: dict[Kind, tuple[int, str]] = {
    "suspected_pii": (80, "personal data may leave with a corpus"),
    "validator_conflict": (60, "rules and a model contradict each other: one of them is wrong, and will be again"),
    "drift": (60, "what models or rules do has changed, which concerns every run since"),
    "reviewer_disagreement": (40, "reviewers contradict each other"),
    "needs_review": (20, "the rules could not decide"),
}
_INJECTION, _INJECTION_WHY = 15, "its input bears signs of orders to a model"
# Thousands of imported outcomes would else stand level with runs that can be judged, and fill the queue before them.
_SILENT, _SILENT_WHY = -10, "its record holds no message of its agent"
_MANY, _LEAST_MANY = 10, 3
_REJECTED, _REJECTED_WHY = 5, "it counts as rejected meanwhile"


def prioritize(
    kind: Kind, *, reasons: Sequence[str] = (), testimony: int = 0, is_rejected: bool = False
) -> tuple[int, tuple[str, ...]]:
    """The priority of an item, and what it is made of.

    Args:
        kind: Why a person is needed.
        reasons: Of the score of the run.
        testimony: How many words of others about it there are.
        is_rejected: Whether its score is `rejected` until somebody decides.
    """
    points, why = _OF_KIND[kind]
    made = [(points, why)]
    if any(_INJECTION_WHY in reason for reason in reasons):
        made.append((_INJECTION, _INJECTION_WHY))
    if any(_SILENT_WHY in reason for reason in reasons):
        made.append((_SILENT, _SILENT_WHY))
    if testimony >= _LEAST_MANY:
        made.append((_MANY, f"{testimony} words of others speak of it"))
    if is_rejected:
        made.append((_REJECTED, _REJECTED_WHY))
    return sum(points for points, _ in made), tuple(f"{points}: {why}" for points, why in made)
