"""Runs that outlive their code server: those that wait, and those whose workers died with it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import EngineEventData

from lakehouse.settings import Settings, load_settings
from lakehouse_assets.code_server import prepare, report_when_serving
from lakehouse_assets.home import open_instance
from lakehouse_assets.processes import code_server_port
from lakehouse_assets.reconcile import dead_runs, is_process_alive, report_dead
from tests.dagster_lake import some_job
from tests.servers import free_port_block


def settings_in(folder: Path) -> Settings:
    given = {"LAKEHOUSE_DATA_DIR": str(folder), "LAKEHOUSE_DAGSTER_PORT": str(free_port_block(2))}
    return load_settings(given, env_file=None)


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral(str(tmp_path)) as made:
        yield made


def test_run_that_waits_outlives_a_code_server_that_starts_again(tmp_path: Path) -> None:
    with open_instance(settings_in(tmp_path)) as instance:
        queue = instance.get_concurrency_config().run_queue_config
    assert queue is not None
    assert queue.max_user_code_failure_retries * queue.user_code_failure_retry_delay >= 120  # it starts within 2 min
    assert queue.user_code_failure_retry_delay <= 10


def test_run_whose_worker_is_dead_is_reported_failed_and_a_living_one_is_not(instance: dg.DagsterInstance) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    runs = [_run_in_work(instance, pid) for pid in (dead.pid, os.getpid())]
    silent = instance.create_run_for_job(some_job(), status=dg.DagsterRunStatus.STARTED)
    dead_ones = dead_runs(instance)
    assert report_dead(instance, dead_ones) == [runs[0].run_id]
    statuses = [instance.get_run_by_id(r.run_id).status for r in (*runs, silent)]  # type: ignore[union-attr]
    assert statuses == [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTED]
    assert dead_runs(instance) == {}
    assert report_dead(instance, dead_ones) == []  # somebody else has reported it


def test_run_that_was_launched_again_meanwhile_is_not_reported(instance: dg.DagsterInstance) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    run = _run_in_work(instance, dead.pid)
    found = dead_runs(instance)
    instance.report_engine_event("Started process for run", run, EngineEventData.in_process(os.getpid()))
    assert report_dead(instance, found) == []
    assert _status(instance, run) == dg.DagsterRunStatus.STARTED


def test_code_server_that_starts_again_reports_the_runs_that_died_with_the_one_before_once_it_serves(
    tmp_path: Path,
) -> None:
    settings = settings_in(tmp_path)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    with open_instance(settings) as instance:
        run = _run_in_work(instance, dead.pid)
    found = prepare(settings)
    with open_instance(settings) as instance, ThreadPoolExecutor(1) as pool:
        reporting = pool.submit(report_when_serving, settings, found)
        assert not reporting.done()
        # Dagster would try it once more at once, and give it up for good: nobody would answer yet.
        assert _status(instance, run) == dg.DagsterRunStatus.STARTED
        with socket.create_server(("127.0.0.1", code_server_port(settings))):
            reporting.result(timeout=60)
        assert _status(instance, run) == dg.DagsterRunStatus.FAILURE


def test_pid_that_another_process_got_since_counts_as_dead() -> None:
    assert is_process_alive((os.getpid(), time.time()))
    assert not is_process_alive((os.getpid(), time.time() - 1e6))


def _status(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRunStatus:
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found.status


def _run_in_work(instance: dg.DagsterInstance, pid: int) -> dg.DagsterRun:
    run = instance.create_run_for_job(some_job(), status=dg.DagsterRunStatus.STARTED)
    instance.report_engine_event("Started process for run", run, EngineEventData.in_process(pid))
    return run
