"""Workflows for tests: a runner over a chat service whose provider says what a test scripts, rows kept in a list."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lakehouse.chat.service import ChatService
from lakehouse.chat.usage import UsageMeter
from lakehouse.clock import utc_now
from lakehouse.errors import LakehouseError, NotFound, Unavailable
from lakehouse.workflow.catalog import ModeCatalog, default_catalog
from lakehouse.workflow.document import Workflow
from lakehouse.workflow.fields import Field
from lakehouse.workflow.mode import Mode, ModeCall, Who, WorkflowServices
from lakehouse.workflow.reading import read_workflow, workflow_of
from lakehouse.workflow.record import RunResult
from lakehouse.workflow.runner import WorkflowRunner

MODEL = "smollm2-135m-instruct"
Say = Callable[[Mapping[str, Any]], Any]


@dataclass
class SayingProvider:
    """A provider that says what `say` gives for a body: a text, JSON, or an error that it raises."""

    say: Say
    asked: list[Mapping[str, Any]] = field(default_factory=list)
    is_configured: bool = True
    missing: str = ""
    finish_reason: str = "stop"

    async def complete(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        self.asked.append(body)
        said = self.say(body)
        if inspect.isawaitable(said):
            said = await said
        if isinstance(said, Exception):
            raise said
        content = said if isinstance(said, str) else json.dumps(said)
        message = {"role": "assistant", "content": content}
        usage = {"prompt_tokens": 5, "completion_tokens": 3}
        return {"choices": [{"message": message, "finish_reason": self.finish_reason}], "usage": usage}

    async def stream(self, body: Mapping[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
        yield await self.complete(body)

    async def count_prompt(self, _: Sequence[Mapping[str, Any]]) -> int | None:
        return None

    async def models(self) -> Sequence[str]:
        return [MODEL]

    async def close(self) -> None: ...


class _Log:
    def require_room(self) -> None: ...

    async def write(self, line: Mapping[str, Any], *, is_durable: bool) -> None: ...


@dataclass
class Bench:
    """A runner, what it recorded, told the observer, and was watched doing."""

    say: Say = lambda body: "fine"
    modes: Sequence[Mode] = ()
    others: Mapping[str, str] = field(default_factory=dict)
    services: Mapping[str, Any] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    told: list[Mapping[str, Any]] = field(default_factory=list)
    seen: list[Mapping[str, Any]] = field(default_factory=list)
    refusal: LakehouseError | None = None
    fallbacks: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.catalog = ModeCatalog([*default_catalog().modes.values(), *self.modes])
        self.provider = SayingProvider(self.say)
        numbers = itertools.count(1)
        self.runner = WorkflowRunner(
            self.catalog, self._services(), self._record, make_id=lambda: f"run-{next(numbers)}"
        )

    def read(self, text: str) -> Workflow:
        return read_workflow(text, name="test.yaml", catalog=self.catalog)

    def run(self, workflow: str | dict[str, Any], **inputs: Any) -> RunResult:
        return asyncio.run(self.start(workflow, **inputs))

    async def start(self, workflow: str | dict[str, Any], **inputs: Any) -> RunResult:
        read = self.read(workflow) if isinstance(workflow, str) else workflow_of(workflow, catalog=self.catalog)
        await self.runner.check(read)
        return await self.runner.run(read, inputs, Who("tester", has_pii=True), watch=self.seen.append)

    def row(self, node_id: str) -> dict[str, Any]:
        [row] = [row for row in self.rows if row["node_id"] == node_id]
        return row

    def _services(self) -> WorkflowServices:
        chat = ChatService(
            {"embedded": self.provider, "ollama": self.provider}, embedded=(MODEL,), log=_Log(),
            meter=UsageMeter(utc_now), fallbacks=self.fallbacks, budget_usd=1, find_markers=lambda _: (),
        )  # fmt: skip

        async def absent(*_: Any) -> Any:
            raise Unavailable("this test has no such service")

        async def tell(event: Mapping[str, Any]) -> None:
            self.told.append(event)

        async def find(name: str) -> Workflow:
            if name not in self.others:
                raise NotFound(f"there is no workflow {name!r}")
            return self.read(self.others[name])

        given: dict[str, Any] = dict.fromkeys(("search", "recall", "sql", "validate", "score"), absent)
        return WorkflowServices(
            chat=chat, default_model=MODEL, **{**given, "tell": tell, "find": find, **self.services}
        )

    async def _record(self, line: Mapping[str, Any]) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.rows.append(dict(line))


def mode_of(name: str, run: Callable[[Mapping[str, Any], ModeCall], Any]) -> Mode:
    """A mode of a test, which takes `x`."""
    return Mode(name, "For a test.", {"x": Field("any", "anything")}, run)


def workflow(*nodes: str, inputs: str = "{}", concurrency: int = 4, output: str | None = None) -> str:
    """A file of nodes, each in YAML's flow form."""
    lines = [f"name: test\nversion: 1\ninputs: {inputs}\nconcurrency: {concurrency}\nnodes:"]
    lines += [f"  - {node}" for node in nodes]
    return "\n".join([*lines, *([f"output: {output}"] if output is not None else [])]) + "\n"
