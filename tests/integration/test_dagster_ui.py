"""The whole of Dagster as `lakehouse up` runs it: a dropped file, the guard, the UI in a browser, kills."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import httpx
import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.catalog.service import Catalog
from lakehouse.settings import Settings, load_settings, process_environ
from lakehouse_assets.home import open_instance
from lakehouse_assets.processes import DagsterCommand, dagster_commands, dagster_url
from lakehouse_assets.sensor_ticks import judge_ticks, tick_ages
from tests.dagster_lake import lake_environ
from tests.servers import StoreServer, free_port_block

pytestmark = pytest.mark.slow
CHROMIUM = Path("/usr/bin/chromium")
MUTATION = "mutation { setNuxSeen }"


@dataclass
class RunningDagster:
    """Code server, webserver and daemon on ports and a home of their own."""

    settings: Settings
    objects: S3ObjectStore
    environ: dict[str, str]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return dagster_url(self.settings)

    def start(self) -> None:
        commands = dagster_commands(self.settings)
        for command in commands:
            self._start(command)
        wait_until(lambda: all(c.is_ready() for c in commands), "Dagster is up", 120)

    def _start(self, command: DagsterCommand) -> None:
        environ = {**process_environ(**self.environ), **command.env}
        with (self.settings.data_dir / f"{command.name}.log").open("ab") as log:
            self.processes[command.name] = subprocess.Popen(
                command.argv, env=environ, stdout=log, stderr=log, start_new_session=True
            )

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End every process; killed, their sessions go along, the run workers among them."""
        for process in reversed(self.processes.values()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, how)
        for process in self.processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
        self.processes.clear()

    def logs(self) -> str:
        return "\n".join(f"{p.name}: {p.read_text()[-1500:]}" for p in self.settings.data_dir.glob("*.log"))


def wait_until(is_true: Callable[[], bool], what: str, deadline_s: float) -> None:
    give_up = time.monotonic() + deadline_s
    while not is_true():
        if time.monotonic() > give_up:
            raise AssertionError(f"not within {deadline_s} s: {what}")
        time.sleep(0.2)


@pytest.fixture(scope="module")
def running(store_process: StoreServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDagster]:
    folder = tmp_path_factory.mktemp("dagster")
    objects = store_process.objects(bucket="dagster-ui")
    environ = lake_environ(objects, folder, LAKEHOUSE_DAGSTER_PORT=str(free_port_block(2)))
    dagster = RunningDagster(load_settings(environ, env_file=None), objects, environ)
    try:
        dagster.start()
        yield dagster
    finally:
        dagster.stop()
        store_process.drop_bucket(objects.bucket)


@pytest.fixture(scope="module")
def loaded(running: RunningDagster) -> RunningDagster:
    """Dagster after a file was dropped into landing/workers/ and taken in."""
    running.objects.put("landing/workers/a.csv", b"id,email\n1,ann@example.org\n2,bob@example.org\n")
    wait_until(lambda: Catalog(running.objects).find("workers") is not None, f"workers\n{running.logs()}", 90)
    return running


def runs_of_ingest(instance: dg.DagsterInstance) -> Sequence[dg.DagsterRun]:
    return instance.get_runs(dg.RunsFilter(job_name="ingest"))


def new_runs(instance: dg.DagsterInstance, known: set[str]) -> Sequence[dg.DagsterRun]:
    """Runs of the job that have begun since, whether they have ended or not."""
    begun = [run for run in runs_of_ingest(instance) if run.run_id not in known]
    return [run for run in begun if run.status == dg.DagsterRunStatus.STARTED or run.is_finished]


def test_dropped_file_becomes_a_dataset_with_metadata(loaded: RunningDagster) -> None:
    running = loaded
    with open_instance(running.settings) as instance:
        key = dg.AssetKey("dataset")
        wait_until(lambda: instance.get_latest_materialization_event(key) is not None, "materialization", 90)
        event = instance.get_latest_materialization_event(key)
        assert event is not None
        assert event.asset_materialization is not None
        assert event.asset_materialization.partition == "workers"
        assert event.asset_materialization.metadata["dagster/row_count"].value == 2
        assert instance.get_dynamic_partitions("datasets") == ["workers"]
        # A corpus of the same dataset may be built meanwhile, for which this one lacks columns.
        wait_until(lambda: all(r.is_finished for r in runs_of_ingest(instance)), "the run ends", 90)
        assert {r.status for r in runs_of_ingest(instance)} == {dg.DagsterRunStatus.SUCCESS}


def test_sensors_of_a_running_daemon_have_young_ticks(loaded: RunningDagster) -> None:
    with open_instance(loaded.settings) as instance:
        wait_until(lambda: judge_ticks(tick_ages(instance)).passed, "every sensor has ticked", 120)


def test_mutation_by_plain_get_is_refused(running: RunningDagster) -> None:
    answer = httpx.get(f"{running.url}/graphql", params={"query": MUTATION})
    assert answer.status_code == 403


def test_mutation_by_form_of_another_page_is_refused(running: RunningDagster) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        body = json.dumps({"query": MUTATION})
        answer = httpx.post(f"{running.url}/graphql", content=body, headers={"content-type": kind})
        assert answer.status_code == 403


def test_foreign_host_is_refused(running: RunningDagster) -> None:
    for path in ("/", "/graphql", "/server_info"):
        assert httpx.get(f"{running.url}{path}", headers={"host": "evil.example:3000"}).status_code == 403


def test_foreign_origin_is_refused(running: RunningDagster) -> None:
    headers = {"origin": "http://evil.example"}
    assert httpx.post(f"{running.url}/graphql", json={"query": MUTATION}, headers=headers).status_code == 403


def test_websocket_of_another_page_is_refused(running: RunningDagster) -> None:
    port = running.settings.dagster_port
    handshake = (
        f"GET /graphql HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Protocol: graphql-ws\r\nOrigin: http://{origin}\r\n\r\n"
    )
    for origin, status in (("evil.example", b"403"), (f"127.0.0.1:{port}", b"101")):
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.sendall(handshake.replace("{origin}", origin).encode())
            assert connection.recv(4096).split(b" ")[1] == status


def test_query_of_the_ui_itself_is_answered(running: RunningDagster) -> None:
    query = "{ assetNodes { assetKey { path } dependencyKeys { path } } }"
    answer = httpx.post(f"{running.url}/graphql", json={"query": query}, headers={"origin": running.url}, timeout=60)
    assert answer.status_code == 200
    nodes = {n["assetKey"]["path"][0]: n["dependencyKeys"] for n in answer.json()["data"]["assetNodes"]}
    assert nodes["dataset"] == [{"path": ["landing"]}]
    assert "landing" in nodes


def test_second_daemon_ends_at_once_and_says_why(running: RunningDagster) -> None:
    command = next(c for c in dagster_commands(running.settings) if c.name == "dagster-daemon")
    environ = {**process_environ(**running.environ), **command.env}
    done = subprocess.run(command.argv, check=False, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "already serves" in done.stderr


def test_browser_shows_lineage_and_the_materialized_partition(loaded: RunningDagster) -> None:
    running = loaded
    if not CHROMIUM.exists():
        pytest.skip(f"needs a browser: {CHROMIUM} is not there")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        page.goto(f"{running.url}/assets/dataset?view=lineage", wait_until="domcontentloaded")
        page.get_by_text("landing", exact=True).first.wait_for(timeout=40_000)
        page.get_by_role("tab", name="Partitions").click()
        # Lineage names workers, too, as the corpus of that name: it is to be gone.
        page.get_by_text("landing", exact=True).first.wait_for(state="hidden")
        page.get_by_text("workers", exact=True).first.wait_for(timeout=40_000)
        browser.close()


def test_everything_killed_amid_a_run_leaves_the_old_state_and_the_next_boot_goes_on(loaded: RunningDagster) -> None:
    running = loaded
    with open_instance(running.settings) as instance:
        in_work = dg.RunsFilter(job_name="ingest", statuses=[dg.DagsterRunStatus.STARTED])
        for attempt in range(5):  # a kill that comes when the run has ended proves nothing
            before = Catalog(running.objects).get("workers")
            known = {run.run_id for run in runs_of_ingest(instance)}
            numbers = range(attempt * 400_000, (attempt + 1) * 400_000)
            rows = b"".join(b"%d,person%d@example.org\n" % (number, number) for number in numbers)
            running.objects.put(f"landing/workers/b{attempt}.csv", b"id,email\n" + rows)
            wait_until(lambda known=known: bool(new_runs(instance, known)), f"a run starts\n{running.logs()}", 90)
            (run, *_) = new_runs(instance, known)
            running.stop(signal.SIGKILL)
            after_kill = Catalog(running.objects).get("workers")
            assert after_kill.row_count in (before.row_count, before.row_count + 400_000)
            is_amid = bool(instance.get_runs(in_work))
            running.start()
            if is_amid:
                break
        else:
            pytest.fail("of five kills each came too late to prove anything")
        wait_until(
            lambda: instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.FAILURE,  # type: ignore[union-attr]
            "the dead run is reported",
            90,
        )
        wait_until(
            lambda: Catalog(running.objects).get("workers").row_count == before.row_count + 400_000,
            f"the rows arrive after all\n{running.logs()}",
            90,
        )
