"""Chat: one request, the provider that answers it, and its line in the log.

A call goes to the provider that its model's name says. Where a fall-back chain is set, the next model is asked when one
fails; from a smaller model to a frontier one that is an escalation, logged as such and held against a daily budget.

Belongs here: the order of what happens. Not here: names (see routing.py), bodies (see wire.py), lines (see
call_log.py), streams (see streaming.py).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from lakehouse.chat.call_log import Caller, CallLog, Ended, FindMarkers, call_line
from lakehouse.chat.completion import read_completion, reported_cost
from lakehouse.chat.families import ChatFamily, family_of
from lakehouse.chat.missing_model import asked_for_bare_name
from lakehouse.chat.provider import ChatProvider
from lakehouse.chat.request import ChatAnswer, ChatRequest, check_request, text_of
from lakehouse.chat.routing import OLLAMA, Route, route_of
from lakehouse.chat.usage import Call, UsageMeter
from lakehouse.chat.wire import body_of
from lakehouse.clock import new_id
from lakehouse.errors import LakehouseError, ProviderFailed, TimedOut, Unavailable

_T = TypeVar("_T")
ANY_MODEL = "*"
_NOT_FOUND = 404
# Searching longer texts takes milliseconds, in which nobody else would be answered.
_LONG = 10_000


@dataclass(frozen=True, slots=True)
class ChatResult:
    """One answered call; `cost_usd` is None for a model whose price is unknown."""

    run_id: str
    route: Route
    answer: ChatAnswer
    latency_ms: float
    cost_usd: float | None
    escalated_from: str | None = None


@dataclass(slots=True)
class Attempt:
    """One call on its way: what was asked by whom, which routes were tried."""

    request: ChatRequest
    caller: Caller
    route: Route
    is_stream: bool = False
    run_id: str = field(default_factory=new_id)
    begun_s: float = field(default_factory=time.perf_counter)
    tried: list[dict[str, Any]] = field(default_factory=list)
    escalated_from: str | None = None
    is_asked: bool = False

    @property
    def family(self) -> ChatFamily:
        """The family of the model that is asked now."""
        return family_of(self.route.model)


class ChatService:
    """Routes, calls, meters and logs.

    Args:
        providers: By their names.
        embedded: Names of the embedded models, asked at each call.
        log: Takes the lines.
        meter: Counts tokens and dollars.
        fallbacks: For a model as callers name it (or `*`), the models asked after it when it fails.
        budget_usd: What escalations may cost in a day.
        find_markers: What lines are searched for.

    Attributes:
        last_errors: By provider, why its last call failed; gone when one succeeds.
    """

    def __init__(
        self,
        providers: Mapping[str, ChatProvider],
        *,
        embedded: Collection[str],
        log: CallLog,
        meter: UsageMeter,
        fallbacks: Mapping[str, Sequence[str]],
        budget_usd: float,
        find_markers: FindMarkers,
    ) -> None:
        self.providers = providers
        self.embedded = embedded
        self.meter = meter
        self.last_errors: dict[str, str] = {}
        self._log = log
        self._fallbacks = fallbacks
        self._budget_usd = budget_usd
        self._find_markers = find_markers

    async def chat(self, request: ChatRequest, caller: Caller) -> ChatResult:
        """Answer one request.

        Raises:
            BadInput: The request is wrong.
            NotFound: No provider has this model.
            ProviderFailed, TimedOut, Unavailable: Neither it nor its fall-backs answered.
        """
        attempt = self.begin(request, caller)

        async def ask(provider: ChatProvider, body: Mapping[str, Any]) -> tuple[ChatAnswer, float | None]:
            raw = await provider.complete(body)
            route = attempt.route
            answer = read_completion(raw, provider=route.provider, model=route.model, messages=request.messages)
            return answer, reported_cost(raw)

        try:
            answer, reported = await self.first_answer(attempt, ask)
        except LakehouseError as error:
            await self.end(attempt, "failed", error=error)
            raise
        except BaseException:
            await self.end(attempt, "cancelled")
            raise
        ended = await self.end(attempt, "ok", answer=answer, reported_usd=reported)
        return ChatResult(
            attempt.run_id, attempt.route, answer, ended.latency_ms, ended.cost_usd, attempt.escalated_from
        )

    def begin(self, request: ChatRequest, caller: Caller, *, is_stream: bool = False) -> Attempt:
        """Check a request before anything is sent.

        Raises:
            BadInput: It is wrong.
            NotFound: No provider has this model.
            Unavailable, InsufficientStorage: Its line could not be kept.
        """
        check_request(request)
        route = route_of(request.model, embedded=self.embedded)
        self._log.require_room()
        return Attempt(request, caller, route, is_stream)

    async def first_answer(
        self, attempt: Attempt, ask: Callable[[ChatProvider, Mapping[str, Any]], Awaitable[_T]]
    ) -> _T:
        """What the first provider of the chain answers that does; the attempt then says which."""
        routes = self._routes(attempt)
        for index, (route, escalated_from) in enumerate(routes):
            begun_s = time.perf_counter()
            try:
                asked = self._prepared(attempt.request, route, is_escalation=escalated_from is not None)
                # From here on it has been asked, and counts as such.
                attempt.route, attempt.escalated_from, attempt.is_asked = route, escalated_from, True
                answer = await ask(*asked)
            except (ProviderFailed, TimedOut, Unavailable) as error:
                self.last_errors[route.provider] = error.detail
                elapsed_ms = round((time.perf_counter() - begun_s) * 1000, 3)
                attempt.tried.append(
                    {"route": str(route), "status": error.status, "error": error.detail, "ms": elapsed_ms}
                )
                if index == len(routes) - 1:
                    raise self._explained(error, attempt.request.model, route) from None
            else:
                self.last_errors.pop(route.provider, None)
                return answer
        raise AssertionError("the last route answers or raises")

    async def end(
        self,
        attempt: Attempt,
        status: str,
        *,
        answer: ChatAnswer | None = None,
        error: LakehouseError | None = None,
        reported_usd: float | None = None,
    ) -> Ended:
        """Meter and log a call that has ended."""
        family, route = attempt.family, attempt.route
        cost = reported_usd if answer is not None else 0.0
        if answer is not None and cost is None:
            cost = family.cost_usd(answer.usage, provider=route.provider)
        ended = Ended(
            attempt.run_id,
            route,
            status,
            (time.perf_counter() - attempt.begun_s) * 1000,
            answer=answer,
            error=error,
            cost_usd=cost,
            is_stream=attempt.is_stream,
            is_frontier=family.is_frontier and attempt.is_asked,
            escalated_from=attempt.escalated_from,
            attempts=attempt.tried,
        )
        usage = None if answer is None else answer.usage
        self.meter.count(
            Call(
                attempt.request.role,
                route.provider,
                route.model,
                family.is_frontier and attempt.is_asked,
                prompt_tokens=0 if usage is None else usage.prompt_tokens,
                completion_tokens=0 if usage is None else usage.completion_tokens,
                cost_usd=cost,
                has_failed=status == "failed",
                is_escalation=attempt.escalated_from is not None,
            )
        )
        await self._log.write(await self._line(attempt, ended), is_durable=status != "cancelled")
        return ended

    async def count_prompt(self, model: str, messages: Sequence[Mapping[str, Any]]) -> int | None:
        """Tokens of a prompt for a model; None when its provider cannot say.

        Raises:
            NotFound: No provider has this model.
            Unavailable: The model is not there.
        """
        route = route_of(model, embedded=self.embedded)
        return await self.providers[route.provider].count_prompt(messages)

    async def close(self) -> None:
        """Give back what the providers hold."""
        for provider in self.providers.values():
            await provider.close()

    async def _line(self, attempt: Attempt, ended: Ended) -> dict[str, Any]:
        make = partial(call_line, attempt.request, ended, attempt.caller)
        if ended.status == "cancelled":  # nothing may be waited for any more
            return make(find_markers=lambda _: ())
        length = sum(len(text_of(message)) for message in attempt.request.messages)
        if length > _LONG:
            return await asyncio.to_thread(make, find_markers=self._find_markers)
        return make(find_markers=self._find_markers)

    def _explained(self, error: LakehouseError, model: str, route: Route) -> LakehouseError:
        """The error, and where nobody named the provider why it was asked, in case the name was meant otherwise."""
        is_bare = (route.provider, route.model) == (OLLAMA, model)
        if not is_bare or isinstance(error, TimedOut) or error.fields.get("provider_status") not in (None, _NOT_FOUND):
            return error
        return type(error)(f"{error.detail}; {asked_for_bare_name(model, self.embedded)}", **error.fields)

    def _routes(self, attempt: Attempt) -> list[tuple[Route, str | None]]:
        """The routes to try, each with the model that it would be an escalation from."""
        first = attempt.route
        chain = self._fallbacks.get(attempt.request.model) or self._fallbacks.get(str(first))
        chain = chain if chain is not None else self._fallbacks.get(ANY_MODEL, ())
        further = [route_of(name, embedded=self.embedded) for name in chain]
        is_small = not family_of(first.model).is_frontier
        routes: list[tuple[Route, str | None]] = [(first, None)]
        for route in further:
            if route != first:
                routes.append((route, str(first) if is_small and family_of(route.model).is_frontier else None))
        return routes

    def _prepared(
        self, request: ChatRequest, route: Route, *, is_escalation: bool
    ) -> tuple[ChatProvider, dict[str, Any]]:
        """What is asked of whom, when that may be."""
        if is_escalation and self.meter.escalated_usd() >= self._budget_usd:
            raise Unavailable(
                f"escalations have used up their {self._budget_usd:g} dollars of today"
                " (LAKEHOUSE_CHAT_ESCALATION_BUDGET_USD)"
            )
        provider = self.providers[route.provider]
        if not provider.is_configured:
            raise Unavailable(f"the chat provider {route.provider!r} is not set up: {provider.missing}")
        return provider, body_of(request, provider=route.provider, model=route.model, family=family_of(route.model))
