"""The mode `pipeline`: a workflow inside of a node.

Belongs here: finding and running it. Not here: the depth, and that none holds itself (see runner.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakehouse.errors import BadInput
from lakehouse.workflow.fields import Field, named
from lakehouse.workflow.mode import Mode, ModeCall, Rejected


async def _pipeline(given: Mapping[str, Any], call: ModeCall) -> dict[str, Any]:
    asked = given["workflow"]
    if isinstance(asked, str):
        workflow = await call.services.find(asked)
    elif isinstance(asked, Mapping):
        workflow = call.check(asked)
    else:
        raise BadInput(f"with.workflow is a name or a workflow, not {named(asked)}", field="workflow")
    run = await call.run_nested(workflow, given.get("input") or {})
    states = {node.id: node.state for node in run.nodes}
    output = {"run_id": run.run_id, "workflow": run.workflow, "nodes": states, "output": run.output}
    if not run.success:
        why = run.error or {}
        said = f"its node {why.get('node')!r} failed: {why.get('detail')}"
        raise Rejected(f"the workflow {run.workflow!r} inside did not succeed; {said}", output)
    return output


NESTED_MODES = (
    Mode(
        "pipeline",
        "Runs a workflow inside; each of its nodes has a row of its own.",
        {
            "workflow": Field("any", "its name, or the workflow itself", is_required=True, is_raw=True),
            "input": Field("object", "its inputs"),
        },
        _pipeline,
    ),
)
