"""A streamed chat completion: OpenAI's chunks as server-sent events.

What fails before the first piece is an error with its status; what fails after it is an event with the error, and the
stream ends without `[DONE]`, so that no client takes half an answer for a whole one.

Belongs here: the chunks. Not here: the pieces (see lakehouse/chat/streaming.py).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import orjson
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from lakehouse.chat.sse import DONE, event_of
from lakehouse.chat.streaming import ChatStream
from lakehouse.errors import LakehouseError


class CompletionStream(StreamingResponse):
    """Writes one stream.

    Args:
        stream: A chat that has begun.
        created: When it began, in seconds since 1970.
        is_usage_wanted: Whether a last chunk tells the tokens used.
        headers: Of the answer.
    """

    def __init__(self, stream: ChatStream, created: int, *, is_usage_wanted: bool, headers: dict[str, str]) -> None:
        self._stream = stream
        self._is_usage_wanted = is_usage_wanted
        self._head = {
            "id": f"chatcmpl-{stream.attempt.run_id}",
            "object": "chat.completion.chunk",
            "created": created,
            "model": str(stream.attempt.route),
        }
        # Ask proxies not to buffer: they would deliver all chunks at once.
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no", **headers}
        super().__init__(self._events(), media_type="text/event-stream", headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._stream.close()  # also when the client left before the first chunk

    async def _events(self) -> AsyncIterator[bytes]:
        yield self._chunk({"role": "assistant", "content": ""})
        try:
            async with aclosing(self._stream.pieces()) as pieces:
                async for piece in pieces:
                    delta: dict[str, Any] = {"content": piece.content} if piece.content else {}
                    if piece.tool_calls:
                        delta["tool_calls"] = list(piece.tool_calls)
                    yield self._chunk(delta, piece.finish_reason)
        except LakehouseError as error:
            told = {"message": error.detail, "type": "server_error", "param": None, "code": None}
            yield event_of(orjson.dumps({"error": told}))
            return
        if self._is_usage_wanted:
            usage = self._stream.usage
            total = usage.prompt_tokens + usage.completion_tokens
            counts = {"prompt_tokens": usage.prompt_tokens, "completion_tokens": usage.completion_tokens}
            yield event_of(orjson.dumps({**self._head, "choices": [], "usage": {**counts, "total_tokens": total}}))
        yield DONE

    def _chunk(self, delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
        usage = {"usage": None} if self._is_usage_wanted else {}
        return event_of(orjson.dumps({**self._head, "choices": [choice], **usage}))
