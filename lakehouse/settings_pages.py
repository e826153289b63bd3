"""Settings of the pages; part of `Settings`, which alone is read and passed around.

Belongs here: these fields, defaults, their checks. Not here: reading them (see settings.py).
"""

from __future__ import annotations

from pydantic import BaseModel, Field

from lakehouse.settings_types import Count


class PageSettings(BaseModel):
    """What browsers are shown under `/ui`."""

    dagster_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$",
        description="Where browsers find the Dagster UI; unset: the page's host with LAKEHOUSE_DAGSTER_PORT.",
    )
    ui_result_rows: Count = Field(
        100_000, description="Rows of an answer that the SQL workbench keeps to be looked through; a download has all."
    )
    ui_keep_hours: float = Field(
        24.0,
        gt=0,
        le=8760,
        description="Hours that pages remember in the data folder what somebody ran, its answers, and ended long work.",
    )
