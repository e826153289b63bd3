"""Settings of reviews and triage; part of `Settings`, which alone is read and passed around.

Belongs here: these fields, defaults, their checks. Not here: reading them (see settings.py).
"""

from __future__ import annotations

from pydantic import BaseModel, Field

from lakehouse.settings_types import CommaList, Count


class ReviewSettings(BaseModel):
    """Who reviews, at what length, and how long the queue for people may get."""

    review_reviewers: CommaList = Field((), description="Models that review where --reviewers names none.")
    review_max_tokens: Count = Field(3000, description="Most tokens of a reviewer's answer; a longer one is cut.")
    review_at_once: Count = Field(4, description="Questions to reviewers at the same time.")
    triage_max_open: Count = Field(
        1000, description="Items that wait for people at the most; what is less urgent stays out until there is room."
    )
