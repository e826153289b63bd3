"""The run-failure sensor: a failed run is told to a webhook."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest

from lakehouse.adapters.objects import S3ObjectStore
from sensors.failures import failure_report, failure_sensor
from tests.dagster_lake import lake_store


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral(str(tmp_path)) as made:
        yield made


def test_failed_run_is_posted_to_the_webhook(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    @dg.op
    def fails() -> None:
        raise RuntimeError("no")

    @dg.job(executor_def=dg.in_process_executor)
    def failing_job() -> None:
        fails()

    run = failing_job.execute_in_process(instance=instance, raise_on_error=False)
    with webhook() as (url, received):
        context = dg.build_run_status_sensor_context(
            sensor_name="run_failure",
            dagster_event=run.get_run_failure_event(),
            dagster_instance=instance,
            dagster_run=run.dagster_run,
            resources={"store": lake_store(objects, tmp_path, LAKEHOUSE_FAILURE_WEBHOOK_URL=url)},
        ).for_run_failure()
        failure_sensor(context)
    assert received == [failure_report(run.dagster_run, run.get_run_failure_event())]
    assert received[0]["run_id"] == run.run_id
    assert received[0]["kind"] == "run_failure"


@contextmanager
def webhook() -> Iterator[tuple[str, list[dict[str, object]]]]:
    received: list[dict[str, object]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/hook", received
        finally:
            server.shutdown()
            thread.join()
