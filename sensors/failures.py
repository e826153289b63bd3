"""The run-failure sensor: tells a webhook of each failed run.

Belongs here: what is sent, and when it is sent again. Not here: why runs fail (see lakehouse_assets/failures.py).
"""

from __future__ import annotations

from typing import Any

from dagster import DagsterEvent, DagsterRun, DefaultSensorStatus, RunFailureSensorContext, run_failure_sensor

from lakehouse_assets.resources import LakeStore

DEADLINE_S = 5.0
MAX_MESSAGE_CHARACTERS = 2000


@run_failure_sensor(name="run_failure", minimum_interval_seconds=15, default_status=DefaultSensorStatus.RUNNING)
def failure_sensor(context: RunFailureSensorContext, store: LakeStore) -> None:
    """POST a failed run to `failure_webhook_url`; without the setting, only the log says so."""
    report = failure_report(context.dagster_run, context.failure_event)
    context.log.error(f"run {report['run_id']} of {report['job']} failed")
    url = store.lake.settings.failure_webhook_url
    if url is not None:
        _post(url, report)


def failure_report(run: DagsterRun, event: DagsterEvent) -> dict[str, Any]:
    """What the webhook gets: the run, its partition, the start of the reason; no configuration, no secret."""
    return {
        "kind": "run_failure",
        "run_id": run.run_id,
        "job": run.job_name,
        "partition": run.tags.get("dagster/partition"),
        "message": (event.message or "")[:MAX_MESSAGE_CHARACTERS],
    }


def _post(url: str, report: dict[str, Any]) -> None:
    import httpx

    # An error reaches Dagster: the tick fails visibly and the run is reported again with the next one.
    httpx.post(url, json=report, timeout=DEADLINE_S).raise_for_status()
