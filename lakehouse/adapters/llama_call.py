"""One chat: its chunks go from llama.cpp's thread to the event loop, its messages the other way.

Belongs here: handing over chunks, errors and the end; texts without template marks. Not here: the model (see
llama_cpp.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lakehouse.errors import BadInput, LakehouseError, ProviderFailed

PROVIDER = "embedded"
_TEMPLATE_MARK = re.compile(r"<\|(?=[^|<>\s]{1,40}\|>)")


class LlamaCall:
    """A chat; `is_over` tells llama.cpp to stop at the next token.

    Args:
        loop: Of whoever listens.
        when_over: Told in the loop when llama.cpp has really stopped.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, when_over: Callable[[LlamaCall], None]) -> None:
        self.is_over = False
        self._loop = loop
        self._when_over = when_over
        self._chunks: asyncio.Queue[Mapping[str, Any] | None] = asyncio.Queue()
        self._error: Exception | None = None

    async def next(self, deadline: float) -> Mapping[str, Any] | None:
        """The next chunk; None after the last.

        Args:
            deadline: By the loop's clock; it applies to this wait only, as a timeout around a `yield` would be raised
                in the code of the caller.

        Raises:
            TimeoutError: It is over.
            LakehouseError: llama.cpp refused or failed.
        """
        async with asyncio.timeout_at(deadline):
            chunk = await self._chunks.get()
        if chunk is None and self._error is not None:
            raise self._error
        return chunk

    def take(self, chunk: Mapping[str, Any]) -> bool:
        """Take a chunk in llama.cpp's thread; True tells it to stop."""
        error = chunk.get("error")
        if error is not None:
            self._error = _translated(error)
            return True
        self._in_loop(self._chunks.put_nowait, chunk)
        return self.is_over

    def end(self, error: Exception | None) -> None:
        """There is no more; called once, in llama.cpp's thread."""
        self._error = error or self._error
        self._in_loop(self._chunks.put_nowait, None)
        self._in_loop(self._when_over, self)

    def _in_loop(self, function: Callable[..., object], argument: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody listens
            self._loop.call_soon_threadsafe(function, argument)


def plain_turns(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Messages whose texts hold no marks of a chat template: `<|im_end|>` in a text would end its turn."""
    return [{**message, "content": _plain_content(message.get("content"))} for message in messages]


def _plain_content(content: Any) -> Any:
    if isinstance(content, str):
        return _TEMPLATE_MARK.sub("< |", content)
    if isinstance(content, Sequence):
        return [{**part, "text": _plain_content(part["text"])} if "text" in part else part for part in content]
    return content


def _translated(error: Any) -> LakehouseError:
    code = error.get("code") if isinstance(error, Mapping) else None
    message = str(error.get("message") if isinstance(error, Mapping) else error)[:300]
    if code == 400:
        return BadInput(f"the embedded model cannot take this request: {message}")
    return ProviderFailed(
        f"the embedded model failed: {message}", provider=PROVIDER, provider_status=code if code else 500
    )


def join_tool_call(calls: dict[int, dict[str, Any]], part: Mapping[str, Any]) -> None:
    """Add a part of a tool call to what has come of it."""
    index = int(part.get("index", 0))
    call = calls.setdefault(index, {"id": "", "type": "function", "function": {"name": "", "arguments": ""}})
    call["id"] = part.get("id") or call["id"]
    function = part.get("function") or {}
    call["function"]["name"] += function.get("name") or ""
    call["function"]["arguments"] += function.get("arguments") or ""
