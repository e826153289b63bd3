"""Reconciler: after the code server was killed, alone or with all, runs whose worker is dead are reported failed.

Without it such a run stays STARTED and holds its slot until it times out.

Belongs here: telling dead workers from living ones. Not here: when it runs (see code_server.py).
"""

from __future__ import annotations

from collections.abc import Callable

from dagster import DagsterEventType, DagsterInstance, DagsterRun, RunsFilter

from lakehouse_assets.run_statuses import IN_WORK

PID = "pid"
STARTED_SLACK_S = 5.0

Worker = tuple[int, float]
"""A process id and the time, in seconds since 1970, at which it was seen alive."""


def fail_dead_runs(instance: DagsterInstance, *, is_alive: Callable[[Worker], bool] | None = None) -> list[str]:
    """Report as failed every run in work whose worker process is gone; call it before any is launched.

    Args:
        instance: Dagster's storage; all its workers run on this machine.
        is_alive: Tells whether a worker still runs.

    Returns:
        The ids of the runs that were reported.
    """
    alive = is_alive or is_process_alive
    reported: list[str] = []
    for run in instance.get_runs(RunsFilter(statuses=list(IN_WORK))):
        worker = worker_of(instance, run)
        if worker is None or alive(worker):
            continue  # one that never told its process is left to Dagster's start timeout
        instance.report_run_failed(run, f"The worker process {worker[0]} is gone; it was killed with the code server.")
        reported.append(run.run_id)
    return reported


def worker_of(instance: DagsterInstance, run: DagsterRun) -> Worker | None:
    """The process that works on a run, from its engine events; None when it has not said."""
    worker: Worker | None = None
    for entry in instance.all_logs(run.run_id, of_type={DagsterEventType.ENGINE_EVENT}):
        event = entry.dagster_event
        value = event.engine_event_data.metadata.get(PID) if event is not None else None
        if value is not None and str(value.value).isdigit():
            worker = (int(str(value.value)), entry.timestamp)
    return worker


def is_process_alive(worker: Worker) -> bool:
    """True when that very process runs, not a later one with its id."""
    import psutil

    pid, seen_at = worker
    try:
        process = psutil.Process(pid)
        is_same = process.create_time() <= seen_at + STARTED_SLACK_S
        return is_same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
