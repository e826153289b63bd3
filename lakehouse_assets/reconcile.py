"""Reconciler: after the code server was killed, alone or with all, runs whose worker is dead are reported failed.

Without it such a run stays STARTED and holds its slot until it times out.

Belongs here: telling dead workers from living ones. Not here: when it runs (see code_server.py).
"""

from __future__ import annotations

from collections.abc import Mapping

from dagster import DagsterEventType, DagsterInstance, DagsterRun, RunsFilter

from lakehouse_assets.run_statuses import IN_WORK

PID = "pid"
STARTED_SLACK_S = 5.0

Worker = tuple[int, float]
"""A process id and the time, in seconds since 1970, at which it was seen alive."""


def dead_runs(instance: DagsterInstance) -> dict[str, Worker]:
    """Runs in work whose worker process is gone; ask before any is launched, when none can just have ended well.

    Args:
        instance: Dagster's storage; all its workers run on this machine.

    Returns:
        By run id, the worker that is gone.
    """
    workers = {run.run_id: worker_of(instance, run) for run in instance.get_runs(RunsFilter(statuses=list(IN_WORK)))}
    # One that never told its process is left to Dagster's start timeout.
    return {run_id: worker for run_id, worker in workers.items() if worker is not None and not is_process_alive(worker)}


def report_dead(instance: DagsterInstance, dead: Mapping[str, Worker]) -> list[str]:
    """Report runs as failed, but those that somebody has ended meanwhile.

    Call it when the code server answers: Dagster tries a failed run once more as soon as it hears of it, and gives it
    up for good where it reaches no code server then.

    Returns:
        The ids of the runs that were reported.
    """
    reported: list[str] = []
    for run_id, worker in dead.items():
        run = instance.get_run_by_id(run_id)
        # One that was starting may have been launched again meanwhile.
        if run is not None and run.status in IN_WORK and worker_of(instance, run) == worker:
            told = f"The worker process {worker[0]} is gone; it was killed with the code server."
            instance.report_run_failed(run, told)
            reported.append(run_id)
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
