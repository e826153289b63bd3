"""Settings of the observer and of workflows; part of `Settings`, which alone is read and passed around.

Belongs here: these fields, defaults, their checks. Not here: reading them (see settings.py).
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field, field_validator

from lakehouse.settings_types import Count, Seconds


class ObserverSettings(BaseModel):
    """Fields of `Settings`; see `.env.example` for the annotated list."""

    # One setting, one line.
    # fmt: off

    # Observer
    observer_ring_size: Count = Field(10_000, description="Events that the observer keeps in memory; full, it drops its oldest.")
    observer_persist_required: bool = Field(False, description="Refuse an observer event that is not on disk, instead of counting it as lost.")

    # Workflows
    workflows_dir: Path | None = Field(None, description="Folder of workflow files that are run by name; unset: `workflows` of the project.")
    workflow_runs_in_flight: Count = Field(4, description="Workflow runs at the same time; one more gets 503.")
    workflow_timeout_s: Seconds = Field(1800, description="Deadline of one workflow run.")

    # fmt: on

    @field_validator("workflows_dir")
    @classmethod
    def _check_workflows(cls, value: Path | None) -> Path | None:
        if value is not None and not value.expanduser().is_dir():
            raise ValueError(f"there is no folder {value}")
        return None if value is None else value.expanduser().absolute()
