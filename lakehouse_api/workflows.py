"""Workflows in the API: which run now, how long one may take, what became of those that ended.

Belongs here: places, the deadline, runs in memory. Not here: running (see lakehouse/workflow/runner.py), reading runs
back (see lakehouse/adapters/workflow_runs.py), HTTP (see routes/workflow.py).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from lakehouse.clock import new_id
from lakehouse.errors import BadInput, NotFound, TimedOut
from lakehouse.workflow.reading import workflow_of
from lakehouse.workflow.record import run_of
from lakehouse_api.limits import Gate

if TYPE_CHECKING:
    from lakehouse.adapters.workflow_files import WorkflowFiles
    from lakehouse.adapters.workflow_runs import WorkflowRuns
    from lakehouse.workflow.catalog import ModeCatalog
    from lakehouse.workflow.document import Workflow
    from lakehouse.workflow.mode import Who
    from lakehouse.workflow.runner import WorkflowRunner

KEPT_RUNS = 200
KEPT_BYTES = 512 << 10
"""A larger run is not kept in memory; it is read from its lines when it is asked for."""
Watch = Callable[[Mapping[str, Any]], None]


@dataclass(slots=True)
class Workflows:
    """What the workflow routes work with.

    Attributes:
        lines: The object that writes the lines of nodes; tests replace its `events`.
        running: Runs on their way, each with the nodes that have ended, as `RunResult.document` shows them.
        ended: The latest runs that have ended, with the name of who ran them.
    """

    catalog: ModeCatalog
    runner: WorkflowRunner
    files: WorkflowFiles
    records: WorkflowRuns
    gate: Gate
    timeout_s: float
    lines: Any = None
    running: dict[str, dict[str, Any]] = field(default_factory=dict)
    ended: OrderedDict[str, dict[str, Any]] = field(default_factory=OrderedDict)

    async def read(self, asked: Any) -> Workflow:
        """A workflow by its name, or as an object; checked, those inside of it, too.

        Raises:
            BadInput: It is wrong, with the line.
            NotFound: There is none of that name.
        """
        if isinstance(asked, str):
            workflow = await anyio.to_thread.run_sync(self.files.find, asked)
        elif isinstance(asked, Mapping):
            workflow = await anyio.to_thread.run_sync(lambda: workflow_of(asked, catalog=self.catalog))
        else:
            raise BadInput("workflow is a name or an object", field="workflow")
        await self.runner.check(workflow)
        return workflow

    async def run(
        self, workflow: Workflow, given: Mapping[str, Any], who: Who, *, watch: Watch = lambda _: None
    ) -> dict[str, Any]:
        """Run a workflow; returns the run as the API shows it.

        Raises:
            BadInput: An input is wrong; nothing has run.
            TimedOut: It did not end in time; what ran is on record.
            Unavailable: Too many run already, or a row could not be written.
        """
        workflow.take(given)
        run_id = new_id()
        shown = {
            "run_id": run_id, "workflow": workflow.name, "version": workflow.version, "state": "running",
            "success": False, "error": None, "nodes": [], "output": None,
        }  # fmt: skip
        nodes: list[Mapping[str, Any]] = shown["nodes"]  # type: ignore[assignment]

        def follow(event: Mapping[str, Any]) -> None:
            if event["run_id"] == run_id and event["state"] != "running":
                nodes.append({name: value for name, value in event.items() if name not in ("event", "run_id")})
            watch(event)

        with self.gate.hold():
            self.running[run_id] = shown
            watch({"event": "run", "run_id": run_id, "workflow": workflow.name, "state": "running"})
            try:
                async with asyncio.timeout(self.timeout_s):
                    result = await self.runner.run(workflow, given, who, run_id=run_id, watch=follow)
            except TimeoutError:
                raise TimedOut(
                    f"run {run_id} did not end within {self.timeout_s:g} s (LAKEHOUSE_WORKFLOW_TIMEOUT_S); what ran is"
                    f" on record: GET /v1/observer/workflow/runs/{run_id}",
                    run_id=run_id,
                ) from None
            finally:
                del self.running[run_id]
        document = result.document()
        self._keep(run_id, document)
        return document

    async def get(self, run_id: str) -> dict[str, Any]:
        """A run: from memory when this process runs or ran it, else put together from its raw lines.

        Raises:
            NotFound: There is no line of it.
            StoreUnavailable: The store does not answer.
        """
        known = self.running.get(run_id) or self.ended.get(run_id)
        if known is not None:
            return known
        found = run_of(await anyio.to_thread.run_sync(self.records.lines, run_id))
        if found is None:
            raise NotFound(
                f"there is no run {run_id[:80]!r} of a workflow; its lines tell of it by the run_id that"
                " POST /v1/observer/workflow/run answers",
                run_id=run_id[:80],
            )
        return found

    def _keep(self, run_id: str, document: dict[str, Any]) -> None:
        import orjson

        if len(orjson.dumps(document)) > KEPT_BYTES:
            return
        self.ended[run_id] = document
        while len(self.ended) > KEPT_RUNS:
            self.ended.popitem(last=False)
