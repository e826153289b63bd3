"""What `/v1/observer/workflow` takes and answers (CONTRACTS.md section 7).

Belongs here: its shapes. Not here: workflows (see lakehouse/workflow).
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lakehouse_api.schemas.request_body import RequestBody

_NODE: dict[str, Any] = {
    "id": "facts",
    "mode": "extract",
    "state": "succeeded",
    "success": True,
    "error": None,
    "attempts": 1,
    "started_at": "2026-03-04T09:30:00.125000Z",
    "ended_at": "2026-03-04T09:30:01.500000Z",
    "output": {"data": {"name": "Ann Lee"}, "not_in_text": []},
    "repairs": 0,
    "model": "smollm2-135m-instruct",
    "provider": "embedded",
}
RUN_EXAMPLE: dict[str, Any] = {
    "run_id": "0198f0c2-7c1e-7f43-9a51-0f6a3a1d2b3c",
    "workflow": "facts",
    "version": 1,
    "state": "ended",
    "success": True,
    "error": None,
    "nodes": [_NODE],
    "output": {"name": "Ann Lee"},
}


class WorkflowCall(RequestBody):
    """A workflow and its input."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "workflow": {
                    "name": "greeting",
                    "version": 1,
                    "inputs": {"name": {"type": "text"}},
                    "nodes": [{"id": "text", "mode": "render", "with": {"text": "Hello {{ inputs.name }}"}}],
                    "output": "{{ nodes.text.output }}",
                },
                "input": {"name": "Ann Lee"},
            }
        },
    )

    workflow: str | dict[str, Any] = Field(description="Its name, or the workflow itself as its file says it.")
    input: dict[str, Any] = Field(default_factory=dict, description="Its inputs, by name.")


class NodeView(BaseModel):
    """What became of a node; one that was not run is `skipped`, and its `error` says why."""

    id: str
    mode: str
    state: Literal["succeeded", "failed", "skipped"]
    success: bool
    error: dict[str, Any] | None = Field(description="`kind`, `status` and `detail`.")
    attempts: int
    started_at: str
    ended_at: str
    output: Any
    repairs: int = Field(description="How many sorts of repair the answers of models needed.")
    model: str | None
    provider: str | None


class WorkflowRunView(BaseModel):
    """A run; `unfinished`: its end is on no record, since its process was killed or is another one."""

    model_config = ConfigDict(json_schema_extra={"example": RUN_EXAMPLE})

    run_id: str
    workflow: str
    version: int
    state: Literal["running", "ended", "unfinished"]
    success: bool
    error: dict[str, Any] | None = Field(description="Of the node that failed first, with its id as `node`.")
    nodes: list[NodeView]
    output: Any


class ModeFieldView(BaseModel):
    """A field of a mode's `with`."""

    type: str
    meaning: str
    required: bool


class ModeView(BaseModel):
    """A mode."""

    name: str
    meaning: str
    fields: dict[str, ModeFieldView]


class ModeList(BaseModel):
    """The modes there are, and the workflows that can be run by name."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "modes": [
                    {
                        "name": "sql",
                        "meaning": "Answers one statement that reads.",
                        "fields": {"query": {"type": "text", "meaning": "the statement", "required": True}},
                    }
                ],
                "workflows": ["review-chain"],
            }
        }
    )

    modes: list[ModeView]
    workflows: list[str]
