"""The attempts of one node: its values rendered, its mode run within its time, again where it failed for now.

Belongs here: what is tried again, and what every failure becomes. Not here: which node runs when (see runner.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from lakehouse.errors import LakehouseError, ProviderFailed, TimedOut, Unavailable
from lakehouse.workflow.document import NodeSpec, Workflow
from lakehouse.workflow.fields import bounded_json, check_fields
from lakehouse.workflow.mode import Misfit, Mode, ModeCall, Rejected, Who, WorkflowServices
from lakehouse.workflow.record import NodeResult, RunResult, error_of
from lakehouse.workflow.templates import render_all

_FOR_NOW = (Misfit, ProviderFailed, TimedOut, Unavailable)
_PAUSE_S = 0.1
_MAX_PAUSE_S = 5.0


class Attempts:
    """Runs one node of one run."""

    def __init__(
        self,
        mode: Mode,
        node: NodeSpec,
        services: WorkflowServices,
        who: Who,
        *,
        workflow: str,
        run_id: str,
        clock: Callable[[], datetime],
        run_nested: Callable[[Workflow, Mapping[str, Any]], Awaitable[RunResult]],
        check: Callable[[Any], Workflow],
    ) -> None:
        self._mode = mode
        self._node = node
        self._clock = clock
        self._started_at = clock()
        self._given: dict[str, Any] | None = None
        self._tried: list[str] = []
        self._call = ModeCall(services, who, workflow, run_id, node.id, 0, run_nested, check)

    async def run(self, values: Mapping[str, Any]) -> NodeResult:
        """Run it; whatever fails, the result says so."""
        try:
            fields = self._mode.fields
            raw = {n: v for n, v in self._node.given.items() if fields[n].is_raw and isinstance(v, Mapping)}
            open_ = {name: value for name, value in self._node.given.items() if name not in raw}
            given: dict[str, Any] = {**await asyncio.to_thread(render_all, open_, values), **raw}
            self._given = bounded_json(given, f"with of node {self._node.id!r}")
            check_fields(given, fields, of=f"node {self._node.id!r}")
        except LakehouseError as problem:
            return self._result(error=error_of(problem))
        while True:
            self._call.attempt += 1
            error, output = await self._once(given)
            if error is None:
                return self._result(output=output)
            is_last = self._call.attempt > self._node.retries
            if is_last or not isinstance(error, _FOR_NOW):
                return self._result(error=error_of(error), output=output)
            self._tried.append(error.detail[:500])
            await asyncio.sleep(min(_PAUSE_S * 2 ** (self._call.attempt - 1), _MAX_PAUSE_S))

    def stopped(self, error: Mapping[str, Any]) -> NodeResult:
        """The result of a node that was stopped from outside."""
        return self._result(error=error)

    async def _once(self, given: Mapping[str, Any]) -> tuple[LakehouseError | None, Any]:
        try:
            async with asyncio.timeout(self._node.timeout_s):
                output = await self._mode.run(given, self._call)
            return None, bounded_json(output, f"the output of node {self._node.id!r}")
        except Rejected as verdict:
            return verdict, verdict.output
        except LakehouseError as error:
            return error, None
        except TimeoutError:
            return TimedOut(f"node {self._node.id!r} did not end within its {self._node.timeout_s:g} s"), None
        except Exception as error:  # a mode of others may fail in any way, and its node has failed then
            return LakehouseError(f"mode {self._mode.name!r} failed: {type(error).__name__}: {error}"), None

    def _result(self, *, error: Mapping[str, Any] | None = None, output: Any = None) -> NodeResult:
        call = self._call
        return NodeResult(
            id=self._node.id,
            mode=self._mode.name,
            success=error is None,
            error=error,
            attempts=call.attempt,
            started_at=self._started_at,
            ended_at=self._clock(),
            output=output,
            given=self._given,
            model=call.model,
            provider=call.provider,
            tried=tuple(self._tried),
            repairs=tuple(call.repairs),
            calls=tuple(call.calls),
        )
