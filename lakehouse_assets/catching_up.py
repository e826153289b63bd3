"""Runs that bring days up to date by themselves: many at once after a backfill or an outage, so they give way.

Belongs here: their tags, which of them still wait. Not here: which days are behind (see jobs/evidence.py), how many run
at once (see dagster.yaml).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster import DagsterRunStatus, RunsFilter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dagster import DagsterInstance

TAGS: Mapping[str, str] = {"lakehouse/catching_up": "true", "dagster/priority": "-1"}
"""Of such a run: one at a time, and behind whatever else waits."""
_WAITS = (DagsterRunStatus.NOT_STARTED, DagsterRunStatus.QUEUED)


def waiting(instance: DagsterInstance, schedule: str) -> frozenset[str]:
    """Partitions that a schedule has asked for and that have not begun: their run will see what is there by then."""
    wanted = RunsFilter(statuses=list(_WAITS), tags={"dagster/schedule_name": schedule})
    tags = (record.dagster_run.tags for record in instance.get_run_records(wanted))
    return frozenset(one["dagster/partition"] for one in tags if "dagster/partition" in one)
