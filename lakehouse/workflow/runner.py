"""Running a workflow: each node as soon as those that it needs have ended, and its row as soon as it has.

A node that fails blocks those that need it; a node that is skipped by its `when` does not. Rows are written one by one,
as nodes end: what a killed process ran is on record.

Belongs here: order, the limit of nodes at once, retries, time-outs, rows. Not here: what a node does (see mode.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lakehouse.clock import new_id, utc_now
from lakehouse.errors import BadInput, LakehouseError, NotFound
from lakehouse.workflow.attempts import Attempts
from lakehouse.workflow.catalog import ModeCatalog
from lakehouse.workflow.document import OUTPUT, NodeSpec, Workflow
from lakehouse.workflow.fields import bounded_json
from lakehouse.workflow.mode import Who, WorkflowServices
from lakehouse.workflow.reading import workflow_of
from lakehouse.workflow.record import NodeResult, RunResult, error_of
from lakehouse.workflow.templates import Template, render_all

MAX_DEPTH = 4
Record = Callable[[Mapping[str, Any]], Awaitable[None]]
"""Writes a line of `workflow_nodes`; returns when it is durable."""
Watch = Callable[[Mapping[str, Any]], None]
"""Is told of each change of a node's state."""


@dataclass(slots=True)
class _Run:
    """A run on its way."""

    workflow: Workflow
    inputs: Mapping[str, Any]
    who: Who
    run_id: str
    parent: str | None
    depth: int
    watch: Watch
    places: asyncio.Semaphore
    done: dict[str, NodeResult] = field(default_factory=dict)
    ended: dict[str, asyncio.Event] = field(default_factory=dict)

    def values(self) -> dict[str, Any]:
        """What templates see: inputs, and the nodes that have ended."""
        return {"inputs": self.inputs, "nodes": {name: one.seen(self.run_id) for name, one in self.done.items()}}


class WorkflowRunner:
    """Runs workflows; safe for any number of coroutines.

    Args:
        catalog: The modes.
        services: What modes work with.
        record: Writes rows.
        clock: The time now, aware, in UTC.
        make_id: Gives ids of runs.
    """

    def __init__(
        self,
        catalog: ModeCatalog,
        services: WorkflowServices,
        record: Record,
        *,
        clock: Callable[[], datetime] = utc_now,
        make_id: Callable[[], str] = new_id,
    ) -> None:
        self._catalog = catalog
        self._services = services
        self._record = record
        self._clock = clock
        self._make_id = make_id

    async def check(self, workflow: Workflow) -> None:
        """Check the workflows inside of a workflow, too, as far as they are named in it.

        Raises:
            BadInput: One of them is wrong, stands inside of itself, or is nested too deep.
            NotFound: One of them is not there.
        """
        await self._check_inside(workflow, (workflow.name,))

    async def run(
        self,
        workflow: Workflow,
        given: Mapping[str, Any],
        who: Who,
        *,
        run_id: str | None = None,
        watch: Watch = lambda _: None,
        parent: str | None = None,
        depth: int = 0,
    ) -> RunResult:
        """Run a workflow that was checked.

        Args:
            workflow: What is run.
            given: Its inputs.
            who: For whom.
            run_id: Id of the run; a new one by default.
            watch: Is told of nodes' states as they change.
            parent: The run that this one is inside of.
            depth: How many runs it is inside of.

        Raises:
            BadInput: An input is missing, unknown, or of another type; nothing has run then.
            TooLarge: The inputs are; nothing has run then.
            InsufficientStorage, Unavailable: A row could not be written; the run has been stopped.
        """
        inputs = workflow.take(given)
        places = asyncio.Semaphore(workflow.concurrency)
        run = _Run(workflow, inputs, who, run_id or self._make_id(), parent, depth, watch, places)
        run.ended = {node.id: asyncio.Event() for node in workflow.nodes}
        started_at = self._clock()
        try:
            async with asyncio.TaskGroup() as group:
                for node in workflow.nodes:
                    group.create_task(self._node(run, node))
        except BaseExceptionGroup as errors:
            raise _first(errors) from None
        return await self._end(run, started_at)

    async def _node(self, run: _Run, node: NodeSpec) -> None:
        for need in node.needs:
            await run.ended[need].wait()
        async with run.places:
            result = await self._unfit(run, node)
            if result is None:
                begun = {"event": "node", "run_id": run.run_id, "id": node.id, "mode": node.mode, "state": "running"}
                run.watch(begun)
                result = await self._attempted(run, node)
        await self._write(run, result)
        run.done[node.id] = result
        run.ended[node.id].set()
        shown = {"event": "node", "run_id": run.run_id, **result.document()}
        run.watch(shown)

    async def _unfit(self, run: _Run, node: NodeSpec) -> NodeResult | None:
        """The result of a node that is not run: one that it needs has failed, or its condition is false."""
        now = self._clock()
        blocking = [need for need in node.needs if _blocks(run.done[need])]
        if blocking:
            why = {"kind": "Blocked", "status": 424, "detail": f"it needs {blocking[0]!r}, which did not succeed"}
            return NodeResult(node.id, node.mode, False, why, 0, now, now, is_skipped=True, is_blocked=True)
        try:
            holds: Any = node.when
            if isinstance(node.when, Template):
                holds = await asyncio.to_thread(node.when.render, run.values())
            if holds is not None and not isinstance(holds, bool):
                raise BadInput(f"'when' gives {str(holds)[:40]!r}, which is neither true nor false; compare it")
        except LakehouseError as error:
            return NodeResult(node.id, node.mode, False, error_of(error), 0, now, now)
        if holds is False:
            why = {"kind": "Skipped", "status": 200, "detail": "its condition is false"}
            return NodeResult(node.id, node.mode, False, why, 0, now, now, is_skipped=True)
        return None

    async def _attempted(self, run: _Run, node: NodeSpec) -> NodeResult:
        mode = self._catalog.modes[node.mode]
        attempts = Attempts(
            mode, node, self._services, run.who, workflow=run.workflow.name, run_id=run.run_id, clock=self._clock,
            run_nested=lambda inner, given: self._inside(run, inner, given),
            check=lambda document: workflow_of(document, catalog=self._catalog),
        )  # fmt: skip
        try:
            return await attempts.run(run.values())
        except asyncio.CancelledError:
            stopped = {"kind": "Cancelled", "status": 499, "detail": "the run was stopped while this node ran"}
            # What ran is on record, also when nobody waits for it any more.
            with suppress(LakehouseError):
                await asyncio.shield(self._write(run, attempts.stopped(stopped)))
            raise

    async def _inside(self, run: _Run, inner: Workflow, given: Mapping[str, Any]) -> RunResult:
        if run.depth + 1 >= MAX_DEPTH:
            raise BadInput(f"workflows are nested deeper than {MAX_DEPTH}; one of them may hold itself")
        await self.check(inner)
        return await self.run(inner, given, run.who, watch=run.watch, parent=run.run_id, depth=run.depth + 1)

    async def _end(self, run: _Run, started_at: datetime) -> RunResult:
        """Make the output, and write the run's own row."""
        nodes = [run.done[node.id] for node in run.workflow.nodes]
        failed = [node for node in nodes if _blocks(node) and not node.is_blocked]
        output, error = None, None
        if failed:
            error = {**(failed[0].error or {}), "node": failed[0].id}
        else:
            try:
                output = await asyncio.to_thread(render_all, run.workflow.output, run.values())
                output = bounded_json(output, "the output of a workflow")
            except LakehouseError as problem:
                output, error = None, {**error_of(problem), "node": OUTPUT}
        own = NodeResult(
            OUTPUT, "workflow", error is None, error, 1, started_at, self._clock(), output=output, given=run.inputs
        )
        await self._write(run, own)
        version = run.workflow.version
        return RunResult(run.run_id, run.workflow.name, version, error is None, nodes, output, error)

    async def _write(self, run: _Run, result: NodeResult) -> None:
        await self._record(result.line(run.workflow, run.run_id, run.who, parent=run.parent))

    async def _check_inside(self, workflow: Workflow, above: tuple[str, ...]) -> None:
        for node in workflow.nodes:
            inner = node.given.get("workflow") if node.mode == "pipeline" else None
            if isinstance(inner, Mapping):
                found = workflow_of(inner, catalog=self._catalog)
            elif isinstance(inner, str) and "{{" not in inner:
                if inner in above:
                    raise BadInput(f"workflow {inner!r} holds itself: {' > '.join((*above, inner))}")
                try:
                    found = await self._services.find(inner)
                except NotFound as error:
                    raise NotFound(f"node {node.id!r} in line {node.line}: {error.detail}") from None
            else:
                continue
            if len(above) >= MAX_DEPTH:
                raise BadInput(f"workflows are nested deeper than {MAX_DEPTH}: {' > '.join((*above, found.name))}")
            await self._check_inside(found, (*above, found.name))


def _blocks(result: NodeResult) -> bool:
    """Whether nodes that need this one cannot run; one that was skipped by its condition lets them."""
    return result.is_blocked or not (result.success or result.is_skipped)


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = errors.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
