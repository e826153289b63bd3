"""Reviewers: chat models of any provider, asked through the platform's chat, each call with its line.

Belongs here: the composition of a chat service outside of the API, one question at temperature 0. Not here: the panel
(see lakehouse/review/panel.py), providers (see chat_providers.py).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from lakehouse.adapters.chat_providers import open_providers
from lakehouse.adapters.event_log import EventLog
from lakehouse.chat.call_log import Caller, without_texts
from lakehouse.chat.request import ChatRequest
from lakehouse.chat.routing import EMBEDDED, route_of
from lakehouse.chat.service import ChatService
from lakehouse.chat.usage import UsageMeter
from lakehouse.clock import utc_now
from lakehouse.errors import BadInput, LakehouseError
from lakehouse.review.panel import Said
from lakehouse.settings import Settings
from lakehouse.validation.injection import injection_signs
from lakehouse.validation.personal import personal_data

_SEED = 1
_log = structlog.get_logger("lakehouse.review")


class ReviewChat:
    """Asks models for reviews; see `Asker`.

    Args:
        settings: Providers, limits.
        events: Takes the lines of `chat_calls`; it runs already.
        actor: Who has it made.
    """

    def __init__(self, settings: Settings, events: EventLog, *, actor: str) -> None:
        providers, self._embedded = open_providers(settings)
        self._caller = Caller(actor)
        # No more at once than the embedded model answers: further ones could be refused by its queue and count as not
        # engaged.
        self._embedded_turns = asyncio.Semaphore(settings.embedded_model_parallel)
        self._service = ChatService(
            providers,
            embedded=(self._embedded,),
            log=_Lines(events),
            meter=UsageMeter(utc_now),
            fallbacks={},  # another model would be another reviewer; one that fails counts as not engaged
            budget_usd=0.0,
            find_markers=lambda text: [*injection_signs(text), *personal_data(text)],
        )

    @property
    def embedded(self) -> str:
        """The embedded model's name."""
        return self._embedded

    def check(self, reviewers: Sequence[str]) -> None:
        """Refuse reviewers that nobody can ask, before one is asked.

        Raises:
            NotFound: No provider has such a model.
            BadInput: Its provider is not set up.
        """
        for name in reviewers:
            provider = self._service.providers[route_of(name, embedded=(self._embedded,)).provider]
            if not provider.is_configured:
                raise BadInput(f"reviewer {name!r} cannot be asked: {provider.missing}")

    async def ask(self, model: str, messages: Sequence[Mapping[str, Any]], *, max_tokens: int) -> Said:
        """See `Asker`."""
        request = ChatRequest(
            model, messages, temperature=0.0, max_tokens=max_tokens, role="reviewer", extras={"seed": _SEED}
        )
        is_embedded = route_of(model, embedded=(self._embedded,)).provider == EMBEDDED
        async with self._embedded_turns if is_embedded else contextlib.nullcontext():
            result = await self._service.chat(request, self._caller)
        answer = result.answer
        return Said(
            content=answer.content,
            finish_reason=answer.finish_reason,
            model=result.route.model,
            provider=result.route.provider,
            prompt_tokens=answer.usage.prompt_tokens,
            completion_tokens=answer.usage.completion_tokens,
            cost_usd=result.cost_usd,
            latency_ms=round(result.latency_ms, 3),
        )

    async def close(self) -> None:
        """Close the providers."""
        await self._service.close()


class _Lines:
    """Writes the lines of calls to the event log."""

    def __init__(self, events: EventLog) -> None:
        self._events = events

    def require_room(self) -> None:
        """See `CallLog`."""
        self._events.require_room()

    async def write(self, line: Mapping[str, Any], *, is_durable: bool) -> None:
        """See `CallLog`."""
        try:
            try:
                await self._events.append("chat_calls", line, durable=is_durable)
            except BadInput:  # the line is too large: it is kept without the texts
                await self._events.append("chat_calls", without_texts(line), durable=is_durable)
        except LakehouseError as error:
            _log.warning("chat line lost", reason=error.detail, run_id=line["run_id"])
