"""Settings of evidence; part of `Settings`, which alone is read and passed around.

Belongs here: these fields, defaults, their checks. Not here: reading them (see settings.py).
"""

from __future__ import annotations

from pydantic import BaseModel, Field


class EvidenceSettings(BaseModel):
    """What becomes of run logs."""

    evidence_max_quarantined_share: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Share of a day's lines that may not fit before the day's asset check fails.",
    )
