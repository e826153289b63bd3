"""Verdicts of nodes that judge: what they do to their workflow, and what the observer is told of them.

Belongs here: the gate, the event. Not here: how a verdict comes about (see modes_judging.py, modes_consensus.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakehouse.workflow.fields import Field
from lakehouse.workflow.mode import ModeCall, Rejected

JUDGE_FIELDS: Mapping[str, Field] = {
    "gate": Field("boolean", "whether the verdict `reject` fails the node; default true"),
    "about": Field("text", "the run that is judged, such as `nodes.draft.calls[0]`: the verdict becomes its evidence"),
}
"""Fields of every mode that judges."""


async def passed(
    given: Mapping[str, Any],
    call: ModeCall,
    output: dict[str, Any],
    *,
    mode: str,
    reason: str,
    confidence: float | None,
) -> dict[str, Any]:
    """Tell the observer of a verdict, and let the node pass or fail.

    Args:
        given: `with` of the node.
        call: The attempt.
        output: What the node gives; its `verdict` is `accept` or `reject`.
        mode: Name of the mode.
        reason: Why it rejects, in one sentence.
        confidence: How sure the verdict is, 0 to 1.

    Raises:
        Rejected: The verdict is `reject`, and the gate is not off.
    """
    is_accepted = output["verdict"] == "accept"
    if given.get("about"):
        event = {
            "source": f"workflow/{call.workflow}",
            "kind": mode,
            "subject": given["about"],
            "model": call.model,
            "verdict": output["verdict"],
            "confidence": confidence,
            "data": {"run_id": call.run_id, "node_id": call.node_id, "reason": None if is_accepted else reason},
            "task_id": call.who.task_id,
            "trace_id": call.who.request_id,
            "actor": call.who.actor,
        }
        await call.services.tell(event)
    if not is_accepted and given.get("gate") is not False:
        raise Rejected(reason, output)
    return output
