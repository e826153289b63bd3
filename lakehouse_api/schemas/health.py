"""What `/health` answers.

Belongs here: its shape. Not here: what makes a part degraded (see lakehouse_api/health.py).
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

State = Literal["ok", "degraded", "unavailable"]


class Part(BaseModel):
    """One part and how it is; further members are its numbers."""

    model_config = ConfigDict(extra="allow")

    state: State
    detail: str | None = Field(None, description="What is wrong and what to do, when something is.")


class Health(BaseModel):
    """The worst of the parts, and each of them."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "status": "ok",
                "version": "0.1.0",
                "parts": {
                    "store": {"state": "ok", "detail": None},
                    "catalog": {"state": "ok", "detail": None, "datasets": 3, "broken": 0, "age_s": 0.2},
                    "sql": {"state": "ok", "detail": None, "workers": 2, "busy": 0},
                    "embedding": {"state": "ok", "detail": None, "hits": 90, "misses": 10, "batches": 4, "texts": 10},
                    "event_log": {"state": "ok", "detail": None, "depth_lines": 12, "depth_bytes": 4096, "dropped": 0},
                    "disk": {"state": "ok", "detail": None, "percent": 41.5},
                },
            }
        }
    )

    status: State = Field(description="`degraded`: it serves, and something needs a look. `unavailable`: it cannot.")
    version: str
    parts: dict[str, Part]


def part(state: State, detail: str | None = None, **numbers: float | str | None) -> Part:
    """Make a part with its numbers."""
    return Part.model_validate({"state": state, "detail": detail, **numbers})
