"""The panel: every reviewer is asked about every bundle, and what came of it is kept in one order.

Belongs here: the Protocol of what asks a model, the order, how many at a time. Not here: the prompt (see prompt.py),
judging answers (see answers.py), providers (see lakehouse/adapters/review_chat.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from lakehouse.errors import LakehouseError
from lakehouse.review.answers import Heard, hear, not_heard
from lakehouse.review.bundles import Bundle
from lakehouse.review.findings import Dropped
from lakehouse.review.matching import is_same_place
from lakehouse.review.prompt import ask_for_review


@dataclass(frozen=True, slots=True)
class Said:
    """What a model said, and what it took."""

    content: str
    finish_reason: str
    model: str
    provider: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = None
    latency_ms: float = 0.0


class Asker(Protocol):
    """Asks models."""

    async def ask(self, model: str, messages: Sequence[Mapping[str, Any]], *, max_tokens: int) -> Said:
        """Ask one model, at temperature 0 and with a fixed seed.

        Raises:
            LakehouseError: Its provider failed, refused, or answered nothing.
        """


@dataclass(frozen=True, slots=True)
class Answered:
    """One reviewer on one bundle; `seat` tells apart reviewers of one model, `said` is None of one that failed."""

    seat: int
    heard: Heard
    said: Said | None


async def ask_panel(
    bundles: Sequence[Bundle],
    reviewers: Sequence[str],
    asker: Asker,
    *,
    max_tokens: int,
    at_once: int = 4,
    on_answer: Callable[[Answered], None] = lambda _: None,
) -> tuple[Answered, ...]:
    """Ask every reviewer about every bundle.

    Args:
        bundles: What they are shown.
        reviewers: Models, as they are asked; one that stands twice is asked twice.
        asker: What asks.
        max_tokens: Most tokens of an answer.
        at_once: So many questions at a time.
        on_answer: Called with each answer as it comes.

    Returns:
        The answers, by bundle, then by reviewer as given; of one reviewer's findings at one place the first answer's.
    """
    turns = asyncio.Semaphore(at_once)

    async def ask(bundle: Bundle, seat: int, reviewer: str) -> Answered:
        async with turns:
            answered = await _ask_one(bundle, seat, reviewer, asker, max_tokens)
        on_answer(answered)
        return answered

    asked = [ask(bundle, seat, reviewer) for bundle in bundles for seat, reviewer in enumerate(reviewers, 1)]
    return _once_a_reviewer(await asyncio.gather(*asked))


async def _ask_one(bundle: Bundle, seat: int, reviewer: str, asker: Asker, max_tokens: int) -> Answered:
    try:
        said = await asker.ask(reviewer, ask_for_review(bundle), max_tokens=max_tokens)
    except LakehouseError as error:
        return Answered(seat, not_heard(reviewer, bundle.number, error.detail), None)
    heard = hear(said.content, finish_reason=said.finish_reason, reviewer=reviewer, bundle=bundle)
    return Answered(seat, heard, said)


def _once_a_reviewer(answers: Sequence[Answered]) -> tuple[Answered, ...]:
    """One model that sits on several seats says one thing once."""
    kept: list[Answered] = []
    for answered in answers:
        heard = answered.heard
        before = [
            finding
            for other in kept
            if other.heard.reviewer == heard.reviewer and other.heard.bundle == heard.bundle
            for finding in other.heard.findings
        ]
        new = tuple(one for one in heard.findings if not any(is_same_place(one, other) for other in before))
        dropped = heard.dropped + Dropped(duplicate=len(heard.findings) - len(new))
        kept.append(replace(answered, heard=replace(heard, findings=new, dropped=dropped)))
    return tuple(kept)
