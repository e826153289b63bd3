"""A chat call whose answer comes in pieces.

It begins with the first piece that says something: until then the next model of a fall-back chain can take over, and a
failure is an error with a status. After it, a failure breaks the stream and is logged with what had come.

Belongs here: the pieces and the end of the call. Not here: how pieces are written to a client (see
lakehouse_api/chat_stream.py).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from lakehouse.chat.call_log import Caller
from lakehouse.chat.completion import estimate_usage, read_chunk, refuse_empty, reported_cost
from lakehouse.chat.provider import ChatProvider
from lakehouse.chat.request import ChatAnswer, ChatPiece, ChatRequest, Usage
from lakehouse.chat.service import Attempt, ChatService
from lakehouse.errors import LakehouseError, ProviderFailed


@dataclass(slots=True)
class _Heard:
    """What has come of an answer so far."""

    parts: list[str] = field(default_factory=list)
    calls: list[Mapping[str, Any]] = field(default_factory=list)
    finish_reason: str | None = None
    usage: Usage | None = None
    reported_usd: float | None = None

    def add(self, piece: ChatPiece) -> None:
        if piece.content:
            self.parts.append(piece.content)
        self.calls += piece.tool_calls
        self.finish_reason = piece.finish_reason or self.finish_reason
        self.usage = piece.usage or self.usage


class ChatStream:
    """An open stream; iterate it to its end, or close it.

    Attributes:
        attempt: Its run id, and who answers.
        usage: Tokens, once it has ended; estimated where the provider counted none.
    """

    def __init__(self, service: ChatService, attempt: Attempt) -> None:
        self.attempt = attempt
        self.usage = Usage()
        self._service = service
        self._heard = _Heard()
        self._waiting: list[ChatPiece] = []
        self._has_ended = False
        self._chunks: AsyncIterator[Mapping[str, Any]] | None = None

    async def pieces(self) -> AsyncGenerator[ChatPiece, None]:
        """The pieces; the last one has the `finish_reason`.

        Raises:
            ProviderFailed, TimedOut: The stream broke off; what had come is logged.
        """
        try:
            for piece in self._waiting:
                yield piece
            async for piece in self._further():
                yield piece
        except LakehouseError as error:
            await self._end("failed", error)
            raise
        except BaseException:
            await self._end("cancelled")
            raise
        else:
            await self._end("ok")
        finally:
            await _close(self._chunks)

    async def close(self) -> None:
        """End it, wherever it is; nothing happens when it has ended."""
        await self._end("cancelled")
        await _close(self._chunks)

    async def first(self, provider: ChatProvider, body: Mapping[str, Any]) -> None:
        """Read up to the first piece that says something."""
        self._heard, self._waiting = _Heard(), []
        self._chunks = provider.stream({**body, "stream": True, "stream_options": {"include_usage": True}})
        try:
            async for piece in self._further():
                self._waiting.append(piece)
                if piece.content.strip() or piece.tool_calls:
                    return
            # It has ended: `_further` has seen to it that something was said.
        except BaseException:
            await _close(self._chunks)
            raise

    async def _further(self) -> AsyncIterator[ChatPiece]:
        assert self._chunks is not None
        heard, provider = self._heard, self.attempt.route.provider
        async for chunk in self._chunks:
            piece = read_chunk(chunk, provider=provider)
            cost = reported_cost(chunk)
            heard.reported_usd = cost if cost is not None else heard.reported_usd
            heard.add(piece)
            if piece.content or piece.tool_calls or piece.finish_reason:
                yield piece
        if heard.finish_reason is None:
            raise ProviderFailed(f"the stream of {provider!r} broke off before its end", provider=provider)
        refuse_empty("".join(heard.parts), heard.calls, heard.finish_reason, provider=provider)

    async def _end(self, status: str, error: LakehouseError | None = None) -> None:
        if self._has_ended:
            return
        self._has_ended = True
        heard = self._heard
        content = "".join(heard.parts)
        self.usage = heard.usage or estimate_usage(self.attempt.request.messages, content)
        answer = ChatAnswer(content, heard.finish_reason or status, self.usage, self.attempt.route.model, heard.calls)
        await self._service.end(self.attempt, status, answer=answer, error=error, reported_usd=heard.reported_usd)


async def open_stream(service: ChatService, request: ChatRequest, caller: Caller) -> ChatStream:
    """Begin a stream; returns when its first piece is here.

    Raises:
        BadInput, NotFound, ProviderFailed, TimedOut, Unavailable: As `ChatService.chat`.
    """
    attempt = service.begin(request, caller, is_stream=True)
    stream = ChatStream(service, attempt)
    try:
        await service.first_answer(attempt, stream.first)
    except LakehouseError as error:
        await service.end(attempt, "failed", error=error)
        raise
    except BaseException:
        await service.end(attempt, "cancelled")
        raise
    return stream


async def _close(chunks: AsyncIterator[Any] | None) -> None:
    if hasattr(chunks, "aclose"):
        async with aclosing(chunks):  # type: ignore[type-var]
            return
