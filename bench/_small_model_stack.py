"""The stack of bench/small_model.py: a store, a school's API whose runs become memory, an exam's that only reads it.

Both APIs are the real ones behind sockets, over one bucket. The exam's keeps its run log in a spool of its own that is
never shipped: what it answered cannot become evidence, and so no memory. Both ask one embedded model through a memo:
the model is asked without its prompt cache, where the same prompt has the same answer, so that a prompt that was asked
before is not paid again, in this run or, by the file, in the next.

Belongs here: processes, the memo, the product's own way from outcomes to memory. Not here: what is asked.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import httpx
from corpus import ROOT

from lakehouse.adapters.llama_cpp import LlamaCpp
from lakehouse.settings import Settings, load_settings
from lakehouse_api.app import create_app
from lakehouse_api.compose import compose_services
from lakehouse_api.services import Services
from tests.api import TOKEN, api_environ, serving
from tests.servers import StoreServer, store_server

EMBEDDED = "embedded"
_NEVER_S, _NEVER_BYTES = 86_400, 1 << 30
_WAIT_S, _LOOK_S = 120.0, 0.05


class Memo:
    """The embedded model, asked at most once for each prompt; implements `ChatProvider`.

    Args:
        path: Answers so far, one a line; made where it is missing.
    """

    def __init__(self, path: Path) -> None:
        self.asked = self.known = 0
        self.model_s = 0.0
        self._model = LlamaCpp(parallel=1, threads=1, queue_s=600)
        self.model_name = self._model.model_name
        self.is_configured, self.missing = True, ""
        self._path = path
        self._answers: dict[str, Mapping[str, Any]] = {}
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                with contextlib.suppress(json.JSONDecodeError):  # the last line of a run that was killed
                    one = json.loads(line)
                    self._answers[one["prompt"]] = one["answer"]

    @property
    def is_loaded(self) -> bool:
        return self._model.is_loaded

    async def models(self) -> Sequence[str]:
        return await self._model.models()

    async def count_prompt(self, messages: Sequence[Mapping[str, Any]]) -> int | None:
        return await self._model.count_prompt(messages)

    async def complete(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        asked = {**body, "seed": 0}  # with a seed the model takes no prompt from its cache
        key = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
        if key in self._answers:
            self.known += 1
            return self._answers[key]
        begun = time.perf_counter()
        answer = await self._model.complete(asked)
        self.model_s += time.perf_counter() - begun
        self.asked += 1
        self._answers[key] = answer
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"prompt": key, "answer": answer}) + "\n")
        return answer

    async def stream(self, body: Mapping[str, Any]) -> AsyncGenerator[Mapping[str, Any], None]:
        async with contextlib.aclosing(self._model.stream(body)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def close(self) -> None:
        """The model outlives the first API that closes; it goes with the process."""


class Api:
    """One API behind a socket.

    Args:
        url: Where it is.
    """

    def __init__(self, url: str) -> None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        self.http = httpx.Client(base_url=url, headers=headers, timeout=600, trust_env=False)
        self.port = int(url.rpartition(":")[2])

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        answer = self.http.post(path, json=body)
        if answer.status_code >= 400:
            raise SystemExit(f"{path} answered {answer.status_code}: {answer.text[:500]}")
        return answer.json()

    def put_config(self, body: Mapping[str, Any]) -> None:
        self.http.put("/v1/config/answer", json=body).raise_for_status()

    def rows(self, sql: str) -> list[list[Any]]:
        """All rows of a query."""
        found: list[list[Any]] = self.post("/v1/sql", {"sql": sql, "max_rows": 100_000})["rows"]
        return found

    def wait_until(self, path: str, is_so: Any) -> Any:
        deadline = time.monotonic() + _WAIT_S
        while time.monotonic() < deadline:
            answer = self.http.get(path)
            if answer.status_code == 200 and is_so(answer.json()):
                return answer.json()
            time.sleep(_LOOK_S)
        raise SystemExit(f"{path} never said what was waited for; last {answer.status_code}: {answer.text[:300]}")


class Stack:
    """The two APIs and the commands; `school` learns, `exam` does not."""

    def __init__(self, school: Api, exam: Api, environ: Mapping[str, str], server: StoreServer) -> None:
        self.school, self.exam = school, exam
        self._server = server
        self.environ = {**environ, "LAKEHOUSE_API_PORT": str(school.port)}

    def abandon(self, *, code: int) -> NoReturn:
        """End the process without closing the APIs: an exam's that closes would ship its run log."""
        self._server.stop()
        os._exit(code)

    def command(self, *arguments: str) -> str:
        """Run `lakehouse`; what it printed."""
        called = [sys.executable, "-m", "lakehouse_cli", *arguments]
        done = subprocess.run(called, env=self.environ, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(
                f"lakehouse {' '.join(arguments)} ended with {done.returncode}: {done.stdout}{done.stderr}"
            )
        return done.stdout

    def fold_back(self) -> dict[str, Any]:
        """The product's own way: what was logged becomes evidence, scores, and memory that both APIs know."""
        self.school.wait_until("/health", lambda health: health["parts"]["event_log"]["depth_lines"] == 0)
        self.command("materialize")
        self.command("score")
        report: dict[str, Any] = json.loads(self.command("fold-back", "--json"))
        known = _memory(self.school.http.get("/health").json())
        self.exam.wait_until("/health", lambda health: _memory(health) == known)
        return {**report, "memory": known}


def _memory(health: Mapping[str, Any]) -> dict[str, int]:
    """Entries of both memory logs that an API has read."""
    return {
        name: health["parts"][part]["entries"] for name, part in (("playbooks", "memory"), ("pathways", "pathways"))
    }


@contextlib.contextmanager
def running(folder: Path, memo: Memo, *, is_fresh: bool) -> Iterator[Stack]:
    """The stack, until the end of the block.

    Args:
        folder: Of the bucket and the APIs.
        memo: The model.
        is_fresh: Begin with an empty bucket.
    """
    shutil.rmtree(folder if is_fresh else folder / "exam", ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    with store_server(folder / "store") as server:
        common = {
            "corpora_dir": ROOT / "corpora", "log_level": "warning", "playbook_embedder": "static",
            "pathway_embedder": "minilm", "holdout_share": 0, "embedded_model_threads": None,
        }  # fmt: skip
        environ = api_environ(server.objects(), folder / "school", spool_part_age_s=1, **common)
        hidden = api_environ(
            server.objects(), folder / "exam", spool_part_age_s=_NEVER_S, spool_part_bytes=_NEVER_BYTES,
            spool_max_bytes=_NEVER_BYTES, **common,
        )  # fmt: skip

        def compose(settings: Settings) -> Services:
            services = compose_services(settings)
            services.chat.service.providers = {**services.chat.service.providers, EMBEDDED: memo}
            return services

        def app(given: Mapping[str, str]) -> Any:
            return create_app(load_settings(given, env_file=None), compose=compose)

        with serving(app(environ)) as school, serving(app(hidden)) as exam:
            yield Stack(Api(school), Api(exam), environ, server)
