"""Statuses of Dagster's runs by what they mean here: ended, in work, waiting.

Belongs here: these groups. Not here: what is done about a run (see reconcile.py, run_history.py, sensors/landing.py).
"""

from __future__ import annotations

from dagster import DagsterRunStatus

FINISHED = (DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED)
IN_WORK = (DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING)
"""A worker process is at it, or about to be."""
UNFINISHED = (DagsterRunStatus.QUEUED, DagsterRunStatus.NOT_STARTED, DagsterRunStatus.MANAGED, *IN_WORK)
