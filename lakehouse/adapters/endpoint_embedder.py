"""Embeddings of an OpenAI-compatible endpoint: OpenAI's own, Ollama's `/v1`, any server of that form.

Belongs here: the call, its deadline, its retries, the check of what comes back. Not here: which endpoints there are
(see lakehouse/settings_retrieval.py). Messages name an endpoint by its name in the settings, never its URL or key.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import orjson

from lakehouse import jitter
from lakehouse.counted import counted
from lakehouse.errors import BadInput, LakehouseError, TimedOut, Unavailable
from lakehouse.retrieval.embedding import Vectors, is_blank, unit_rows
from lakehouse.settings_retrieval import EmbeddingEndpoint

SETTING = "LAKEHOUSE_EMBEDDING_ENDPOINTS"
_BATCH_TEXTS = 64
_BATCH_CHARACTERS = 1 << 20
_ATTEMPTS = 3
_FIRST_WAIT_S = 0.5
_BYTES_OF_A_NUMBER = 32
_SLACK_BYTES = 1 << 20


class EndpointEmbedder:
    """One model of one endpoint.

    Args:
        name: The endpoint's name in the settings.
        endpoint: Where it is, its model and that model's dimension.
        timeout_s: Deadline of one call, its retries included; checked again whenever a part of the answer arrives.
        sleep: Waits before a retry.
        draw: A random number from 0 to 1 that spreads retries of several callers.
    """

    # Calls run at once: the endpoint computes on another machine, so a call here mostly waits.
    calls_at_a_time = 4

    def __init__(
        self,
        name: str,
        endpoint: EmbeddingEndpoint,
        *,
        timeout_s: float,
        sleep: Callable[[float], None] = time.sleep,
        draw: Callable[[], float] = jitter.draw,
    ) -> None:
        self.name = f"{name}/{endpoint.model}"
        self.dimension = endpoint.dimension
        self._endpoint_name = name
        self._model = endpoint.model
        self._timeout_s = timeout_s
        self._sleep = sleep
        self._draw = draw
        self._client = _open_client(endpoint)
        self._headers = _left_out(endpoint)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder`.

        Raises:
            BadInput: The endpoint refused the texts.
            TimedOut: It did not answer in time.
            Unavailable: It cannot be reached, is out of order, refuses its key, or answers something else.
        """
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        # Blank texts are not sent: some servers refuse them or crash, and they have no meaning.
        for batch in _batches([index for index, text in enumerate(texts) if not is_blank(text)], texts):
            answer = self._call([texts[index] for index in batch])
            vectors[batch] = self._read(answer, len(batch))
        return unit_rows(vectors)

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def _call(self, texts: list[str]) -> bytes:
        deadline = time.monotonic() + self._timeout_s
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with self._translated():
                    return self._ask(texts, deadline)
            except Unavailable as error:
                wait_s = error.fields.get("retry_after_s")
                if wait_s is None or attempt == _ATTEMPTS:
                    raise
                wait_s = max(wait_s, _FIRST_WAIT_S * 2 ** (attempt - 1)) * (1 + self._draw() / 2)
                if time.monotonic() + wait_s >= deadline:
                    raise
                self._sleep(wait_s)
        raise AssertionError("the last attempt returns or raises")

    def _ask(self, texts: list[str], deadline: float) -> bytes:
        most = _SLACK_BYTES + len(texts) * self.dimension * _BYTES_OF_A_NUMBER
        body = bytearray()
        with self._client.embeddings.with_streaming_response.create(
            model=self._model,
            input=texts,
            encoding_format="float",
            extra_headers=self._headers,
            timeout=max(0.001, deadline - time.monotonic()),
        ) as response:
            for chunk in response.iter_bytes():
                body += chunk
                if time.monotonic() > deadline:
                    raise self._timed_out()
                if len(body) > most:
                    raise self._wrong(f"more than {most} bytes for {counted(len(texts), 'text')}")
        return bytes(body)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        import httpx2  # the HTTP client of `openai`, whose errors come through while an answer is read
        import openai

        try:
            yield
        except (openai.APITimeoutError, httpx2.TimeoutException):
            raise self._timed_out() from None
        except openai.APIStatusError as error:
            raise self._refused(error.status_code, error.response.headers.get("retry-after", "")) from None
        except (openai.OpenAIError, httpx2.HTTPError):
            raise Unavailable(f"{self._what} cannot be reached; see its `url` in {SETTING}") from None

    def _refused(self, status: int, retry_after: str) -> LakehouseError:
        if status in (400, 413, 422):
            return BadInput(f"{self._what} refused the texts with status {status}: one may be too long for its model")
        if status in (401, 403):
            return Unavailable(f"{self._what} refused its key with status {status}; see its `key_env` in {SETTING}")
        if status == 429 or status >= 500:
            wait_s = float(retry_after) if retry_after.isdecimal() else 0.0
            return Unavailable(f"{self._what} answered with status {status}; try again later", retry_after_s=wait_s)
        return Unavailable(f"{self._what} answered with status {status}; see its `url` and `model` in {SETTING}")

    def _read(self, body: bytes, count: int) -> Vectors:
        """The vectors of an answer, in the order of the texts."""
        try:
            data = orjson.loads(body)["data"]
            found = {item["index"]: item["embedding"] for item in data}
            vectors = [found[index] for index in range(count)]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise self._wrong("no list of embeddings, one for each text") from None
        if len(data) != count:
            raise self._wrong(f"{counted(len(data), 'embedding')} for {counted(count, 'text')}")
        return self._check(vectors)

    def _check(self, vectors: list[Any]) -> Vectors:
        lengths = {len(v) if isinstance(v, list) else -1 for v in vectors}
        if lengths != {self.dimension}:
            other = next(iter(lengths - {self.dimension}))
            got = "no vector" if other < 0 else f"a vector of {counted(other, 'number')}"
            raise self._wrong(f"{got} where its `dimension` in {SETTING} says {self.dimension}")
        try:
            rows = np.asarray(vectors, dtype=np.float64)
            if rows.ndim != 2:
                raise TypeError
        except (TypeError, ValueError, OverflowError):
            raise self._wrong("a vector of something else than numbers") from None
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            norms = np.sqrt(np.square(rows).sum(axis=1, keepdims=True))
        if not (np.isfinite(norms) & (norms > 0)).all():
            raise self._wrong("a vector that is not finite or has no direction")
        unit: Vectors = (rows / norms).astype(np.float32)
        return unit

    @property
    def _what(self) -> str:
        return f"the embedding endpoint {self._endpoint_name!r}"

    def _wrong(self, what: str) -> Unavailable:
        return Unavailable(f"{self._what} answered {what}; see its `url`, `model` and `dimension` in {SETTING}")

    def _timed_out(self) -> TimedOut:
        return TimedOut(
            f"{self._what} did not answer within {self._timeout_s:g} s (LAKEHOUSE_EMBEDDING_TIMEOUT_S); try again later"
        )


def _batches(indexes: Sequence[int], texts: Sequence[str]) -> Iterator[list[int]]:
    batch: list[int] = []
    size = 0
    for index in indexes:
        if batch and (len(batch) == _BATCH_TEXTS or size + len(texts[index]) > _BATCH_CHARACTERS):
            yield batch
            batch, size = [], 0
        batch.append(index)
        size += len(texts[index])
    if batch:
        yield batch


def _open_client(endpoint: EmbeddingEndpoint) -> Any:
    import openai

    return openai.OpenAI(
        base_url=endpoint.url,
        # Always given: without it the library would send the value of OPENAI_API_KEY to this endpoint.
        api_key=endpoint.api_key.get_secret_value() if endpoint.api_key is not None else "none",
        max_retries=0,  # retries are done here, so that they keep the deadline
        http_client=openai.DefaultHttpxClient(follow_redirects=False),
    )


def _left_out(endpoint: EmbeddingEndpoint) -> dict[str, Any]:
    """Headers that the library would send of its own accord, from variables that belong to OpenAI alone."""
    import openai

    names = ["OpenAI-Organization", "OpenAI-Project"]
    return dict.fromkeys(names if endpoint.api_key is not None else [*names, "Authorization"], openai.Omit())
