"""Chat of an OpenAI-compatible server: Ollama, its cloud, OpenRouter, OpenCode, Kimi, or a llama.cpp of one's own.

Belongs here: the call, its deadline, its retries, the bound on what comes back. Not here: what a provider's body holds
(see lakehouse/chat/wire.py). Messages name a provider by its name, never its URL or key.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import orjson

from lakehouse import jitter
from lakehouse.chat.missing_model import missing_model, said_of
from lakehouse.chat.sse import events
from lakehouse.errors import LakehouseError, ProviderFailed, TimedOut, Unavailable
from lakehouse.settings_chat import ChatEndpoint

SETTING = "LAKEHOUSE_CHAT_PROVIDERS"
_NOT_FOUND = 404
_FIRST_WAIT_S = 0.5
_MAX_ANSWER_BYTES = 16 << 20
_MODELS_TIMEOUT_S = 3.0
_MAX_MODELS = 2000


class OpenAiChat:
    """One provider.

    Args:
        name: Its name.
        endpoint: Where it is, with its key.
        timeout_s: Deadline of one call, its retries included; of a stream, of its whole.
        attempts: Tries of one call; only status 429 and 5xx are tried again.
        sleep: Waits before a retry.
        draw: A random number from 0 to 1 that spreads retries of several callers.
    """

    def __init__(
        self,
        name: str,
        endpoint: ChatEndpoint,
        *,
        timeout_s: float,
        attempts: int = 3,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        draw: Callable[[], float] = jitter.draw,
    ) -> None:
        self._name = name
        self._endpoint = endpoint
        self._timeout_s = timeout_s
        self._attempts = attempts
        self._sleep = sleep
        self._draw = draw
        self._client: Any = None

    @property
    def is_configured(self) -> bool:
        """False when it needs a key that is not set."""
        return self._endpoint.api_key is not None or not self._endpoint.is_key_needed

    @property
    def missing(self) -> str:
        """Which variable is to hold its key."""
        return "" if self.is_configured else f"set the environment variable {self._endpoint.key_env or 'of its key'}"

    async def complete(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """See `ChatProvider`."""
        deadline = time.monotonic() + self._timeout_s

        async def ask() -> Mapping[str, Any]:
            async with self._opened(body, deadline) as response:
                return self._parsed(await self._whole(response))

        answer: Mapping[str, Any] = await self._tried(ask, deadline, body["model"])
        return answer

    async def stream(self, body: Mapping[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
        """See `ChatProvider`."""
        deadline = time.monotonic() + self._timeout_s

        async def open_it() -> tuple[Any, Any]:
            manager = self._opened(body, deadline)
            return manager, await manager.__aenter__()

        manager, response = await self._tried(open_it, deadline, body["model"])
        try:
            found = events(response.iter_bytes(), max_bytes=_MAX_ANSWER_BYTES)
            while (data := await self._next(found, deadline)) is not None and data.strip() != b"[DONE]":
                yield self._parsed(data)
        finally:
            await manager.__aexit__(None, None, None)

    async def count_prompt(self, messages: Sequence[Mapping[str, Any]]) -> int | None:
        """Not known before the call."""
        del messages
        return None

    async def models(self) -> Sequence[str]:
        """See `ChatProvider`."""
        with self._translated():
            async with asyncio.timeout(_MODELS_TIMEOUT_S):
                page = await self._opened_client().models.with_raw_response.list(timeout=_MODELS_TIMEOUT_S)
                listed = self._parsed(await self._bytes_of(page)).get("data")
        if not isinstance(listed, list):
            raise self._wrong("no list of models")
        ids = [one.get("id") for one in listed[:_MAX_MODELS] if isinstance(one, Mapping)]
        return sorted(name for name in ids if isinstance(name, str) and name)

    async def close(self) -> None:
        """Close its connections."""
        if self._client is not None:
            await self._client.close()

    async def _tried(self, ask: Callable[[], Awaitable[Any]], deadline: float, model: str) -> Any:
        for attempt in range(1, self._attempts + 1):
            try:
                with self._translated():
                    async with asyncio.timeout(max(0.001, deadline - time.monotonic())):
                        return await ask()
            except ProviderFailed as error:
                status = error.fields.get("provider_status")
                if status == _NOT_FOUND:
                    raise await self._missing(model, error) from None
                is_passing = status is not None and (status == 429 or status >= 500)
                wait_s = max(error.fields.get("retry_after_s", 0.0), _FIRST_WAIT_S * 2 ** (attempt - 1))
                wait_s *= 1 + self._draw() / 2
                if not is_passing or attempt == self._attempts or time.monotonic() + wait_s >= deadline:
                    raise
                await self._sleep(wait_s)
        raise AssertionError("the last attempt returns or raises")

    async def _missing(self, model: str, error: ProviderFailed) -> ProviderFailed:
        """The same failure with the models that there are, where the provider tells."""
        try:
            models: Sequence[str] | None = await self.models()
        except LakehouseError:
            models = None
        said = error.fields.get("provider_said", "")
        return ProviderFailed(missing_model(self._name, model, said, models), **error.fields)

    def _opened(self, body: Mapping[str, Any], deadline: float) -> Any:
        rest = {name: value for name, value in body.items() if name not in ("model", "messages")}
        return self._opened_client().chat.completions.with_streaming_response.create(
            model=body["model"],
            messages=body["messages"],
            extra_body=rest,
            extra_headers=self._headers(),
            timeout=max(0.001, deadline - time.monotonic()),
        )

    async def _next(self, found: AsyncIterator[bytes], deadline: float) -> Any:
        # Only around the wait: a timeout around the `yield` would be raised in the code of the caller.
        with self._translated():
            async with asyncio.timeout(max(0.001, deadline - time.monotonic())):
                return await anext(found, None)

    async def _whole(self, response: Any) -> bytes:
        body = bytearray()
        async for chunk in response.iter_bytes():
            body += chunk
            if len(body) > _MAX_ANSWER_BYTES:
                raise self._wrong(f"more than {_MAX_ANSWER_BYTES} bytes")
        return bytes(body)

    async def _bytes_of(self, page: Any) -> bytes:
        return bytes(page.content if isinstance(page.content, bytes) else await page.read())

    def _parsed(self, data: bytes) -> Mapping[str, Any]:
        try:
            parsed = orjson.loads(data)
        except orjson.JSONDecodeError:
            raise self._wrong("something that is not JSON") from None
        if not isinstance(parsed, Mapping):
            raise self._wrong("JSON that is not an object")
        return parsed

    @contextmanager
    def _translated(self) -> Iterator[None]:
        import httpx2  # the HTTP client of `openai`, whose errors come through while an answer is read
        import openai

        try:
            yield
        except (TimeoutError, openai.APITimeoutError, httpx2.TimeoutException):
            raise TimedOut(
                f"{self._what} did not answer within {self._timeout_s:g} s (LAKEHOUSE_CHAT_TIMEOUT_S); try again later",
                provider=self._name,
            ) from None
        except openai.APIStatusError as error:
            raise self._refused(error) from None
        except openai.APIConnectionError:
            raise ProviderFailed(
                f"{self._what} cannot be reached; see its url in {SETTING}", provider=self._name
            ) from None
        except httpx2.HTTPError:
            raise ProviderFailed(f"{self._what} broke its answer off", provider=self._name) from None
        except openai.OpenAIError:
            raise self._wrong("something that is no answer") from None

    def _refused(self, error: Any) -> LakehouseError:
        status, retry_after = error.status_code, error.response.headers.get("retry-after", "")
        hints = {
            401: f"its key in {self._endpoint.key_env} is refused",
            403: f"its key in {self._endpoint.key_env} is not allowed this",
            _NOT_FOUND: "it has no such model, or its url is wrong",
            429: "it is asked too much; try again later",
        }
        hint = hints.get(status, "try again later" if status >= 500 else "it does not take this request")
        fields: dict[str, Any] = {"provider": self._name, "provider_status": status}
        if retry_after.isdecimal():
            fields["retry_after_s"] = float(retry_after)
        if status == _NOT_FOUND:  # of the others some quote what they were sent, or a key
            key = self._endpoint.api_key
            fields["provider_said"] = said_of(
                error.body, secrets=(self._endpoint.url, key.get_secret_value() if key is not None else "")
            )
        return ProviderFailed(f"{self._what} answered with status {status}: {hint}", **fields)

    @property
    def _what(self) -> str:
        return f"the chat provider {self._name!r}"

    def _wrong(self, what: str) -> ProviderFailed:
        return ProviderFailed(f"{self._what} answered {what}; see its url in {SETTING}", provider=self._name)

    def _opened_client(self) -> Any:
        import openai

        if not self.is_configured:
            raise Unavailable(f"{self._what} is not set up: {self.missing}")
        if self._client is None:
            key = self._endpoint.api_key
            self._client = openai.AsyncOpenAI(
                base_url=self._endpoint.url,
                # Always given: without it the library would send the value of OPENAI_API_KEY to this provider.
                api_key=key.get_secret_value() if key is not None else "none",
                max_retries=0,  # retries are done here, so that they keep the deadline
                http_client=openai.DefaultAsyncHttpxClient(follow_redirects=False),
            )
        return self._client

    def _headers(self) -> dict[str, Any]:
        """Headers that the library would send of its own accord, from variables that belong to OpenAI alone."""
        import openai

        names = ["OpenAI-Organization", "OpenAI-Project"]
        return dict.fromkeys(names if self._endpoint.api_key is not None else [*names, "Authorization"], openai.Omit())
