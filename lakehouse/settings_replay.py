"""Settings of replay and promotion; part of `Settings`, which alone is read and passed around.

Belongs here: these fields, defaults, their checks. Not here: reading them (see settings.py).
"""

from __future__ import annotations

from pydantic import BaseModel, Field


class ReplaySettings(BaseModel):
    """How past tasks are asked again, and what follows from it."""

    replay_lease_s: float = Field(
        30.0, ge=1, le=3600, description="Seconds after the death of a replay before another process may go on with it."
    )
    replay_stop_after: int = Field(
        5, ge=1, le=10_000, description="So many failures of a chat provider in a row stop a replay; it can be resumed."
    )
    replay_nightly_tasks: int = Field(
        40,
        ge=0,
        le=20_000,
        description="Held-out tasks that a nightly replay asks of a proposal; 0: none is tried.",
    )
    promotion_automatic: bool = Field(
        True, description="Whether a nightly replay whose verdict is promote makes the config live; else it only tells."
    )
