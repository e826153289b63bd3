"""Faults of the load's own stack: processes are killed and must come back, the spool is filled, a Dagster run killed.

Belongs here: doing each fault, and what shows that it was done. Not here: when (see
lakehouse/load/fault_plan.py), the load around it (see load_chaos.py).
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from lakehouse.counted import counted
from lakehouse.errors import LakehouseError, TimedOut
from lakehouse.load.chaos import Ledger, mark_artifact
from lakehouse.load.fault_plan import Fault, Planned
from lakehouse.load.mix import RequestKind
from lakehouse.load.steps import Reply
from lakehouse_cli.client import ApiClient
from lakehouse_cli.dagster_client import DagsterClient, RunFailed
from lakehouse_cli.processes import ProcessTable

LANDED_ROWS = 2000
_BACK_S = 120.0
_FILLED_S = 120.0
_LOOK_S = 0.1
# A text for validations, each of which takes a fiftieth of a megabyte of the spool.
_FILLER = "Shift on Monday. " * 1200
_EMAIL = b'{"kind":"email","artifact":{"to":"desk@acme.com","subject":"Shift","body":"%s"},"context":{}}'


@dataclass(frozen=True, slots=True)
class Target:
    """The stack: its folder of pid files, its API, its Dagster; `task` tags what faults ask of the API."""

    table: ProcessTable
    url: str
    token: str
    dagster: DagsterClient
    task: str

    def pid(self, name: str) -> int:
        """The process of a child that runs."""
        record = self.table.alive(name)
        if record is None:
            raise TimedOut(f"{name} does not run; see its log beside {self.table.folder}")
        return record.pid


def dataset_of(planned: Planned) -> str:
    """The dataset whose run is killed; each time another one, which has its rows afterwards."""
    return f"chaos_rows_{planned.round}"


def do_fault(planned: Planned, target: Target, ledger: Ledger) -> str:
    """Do a fault, and wait until the platform is well again; gives what was seen.

    Raises:
        TimedOut: It was not done, or the platform did not come back.
    """
    begun = time.monotonic()
    seen = _ACTS[planned.fault](target, ledger, planned)
    _await(lambda: _is_well(target), _BACK_S, "the platform is not well again")
    return f"{seen}; well again {time.monotonic() - begun:.1f} s after it began"


def _kill_store(target: Target, _: Ledger, __: Planned) -> str:
    return _kill(target, "store")


def _kill_api(target: Target, ledger: Ledger, _: Planned) -> str:
    ledger.api_is_killed()
    return _kill(target, "api")


def _kill(target: Target, name: str) -> str:
    before = target.pid(name)
    os.kill(before, signal.SIGKILL)

    def is_another() -> bool:
        record = target.table.alive(name)
        return record is not None and record.pid != before

    _await(is_another, _BACK_S, f"{name} was killed and not started again")
    return f"pid {before} gave way to {target.pid(name)}"


def _fill_spool(target: Target, ledger: Ledger, _: Planned) -> str:
    """While nothing can be shipped, validations are sent until one is refused for want of room."""
    store = target.pid("store")
    os.kill(store, signal.SIGSTOP)
    sent = 0
    try:
        deadline = time.monotonic() + _FILLED_S
        with ApiClient(target.url, target.token, timeout_s=30.0, task_id=target.task) as api:
            while True:
                status = _send_filler(api, ledger)
                sent += 1
                if status == 503:
                    return f"full after {counted(sent, 'large validation')}"
                if time.monotonic() > deadline:
                    raise TimedOut(f"the spool was not full after {counted(sent, 'large validation')}")
    finally:
        os.kill(store, signal.SIGCONT)


def _send_filler(api: ApiClient, ledger: Ledger) -> int:
    mark = ledger.next_mark()
    body = mark_artifact(_EMAIL % _FILLER.encode(), mark)
    try:
        api.json("POST", "/v1/validate", content=body, headers={"Content-Type": "application/json"})
    except LakehouseError as problem:
        status = int(problem.fields.get("status", 0))
    else:
        status = 200
    ledger.heard(mark, RequestKind.VALIDATE_EMAIL, Reply(status, b"{}"))
    return status


def _kill_run(target: Target, _: Ledger, planned: Planned) -> str:
    """A run that loads a dataset is killed as soon as it has a process; the same is run again to its end."""
    dataset = dataset_of(planned)
    with ApiClient(target.url, target.token) as api:
        body = "id,text\n" + "".join(f"{n},row {n}\n" for n in range(LANDED_ROWS))
        api.json("PUT", f"/v1/storage/landing/{dataset}/rows.csv", content=body.encode())
    server = psutil.Process(target.pid("dagster-code"))
    before = set(server.children(recursive=True))
    (run_id,) = target.dagster.materialize([dataset])
    killed: list[int] = []

    def is_killed() -> bool:
        killed.extend(_kill_new(server, before))
        return bool(killed)

    _await(is_killed, _BACK_S, f"the Dagster run {run_id} never had a process")
    with contextlib.suppress(RunFailed):  # Dagster may have noticed the death already
        if target.dagster.is_finished(run_id):
            raise TimedOut(f"the Dagster run {run_id} was over before it could be killed")
    again = _run_to_its_end(target.dagster, dataset)
    return f"run {run_id} (pid {killed[0]}) was killed, {again} went through"


def _kill_new(server: psutil.Process, before: set[psutil.Process]) -> list[int]:
    """Kill the processes that the code server has started since then: it executes each run in one of its own."""
    ended = []
    for process in set(server.children(recursive=True)) - before:
        with contextlib.suppress(psutil.Error):
            if "resource_tracker" not in " ".join(process.cmdline()):
                process.kill()
                ended.append(process.pid)
    return ended


def _run_to_its_end(dagster: DagsterClient, dataset: str) -> str:
    deadline = time.monotonic() + _BACK_S
    while True:
        (run_id,) = dagster.materialize([dataset])
        try:
            _await(partial(dagster.is_finished, run_id), _BACK_S, f"the Dagster run {run_id} does not end")
        except RunFailed:
            if time.monotonic() > deadline:
                raise
            continue
        return run_id


_ACTS: Mapping[Fault, Callable[[Target, Ledger, Planned], str]] = {
    Fault.STORE: _kill_store,
    Fault.API: _kill_api,
    Fault.SPOOL: _fill_spool,
    Fault.RUN: _kill_run,
}


def _is_well(target: Target) -> bool:
    with contextlib.suppress(LakehouseError, ValueError), ApiClient(target.url, target.token, timeout_s=5.0) as api:
        health: Any = api.json("GET", "/health")
        return bool(health["status"] == "ok")
    return False


def _await(is_so: Callable[[], bool], seconds: float, otherwise: str) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise TimedOut(f"{otherwise} after {seconds:.0f} s")
        time.sleep(_LOOK_S)


def table_of(folder: Path) -> ProcessTable:
    """The pid files of a stack that was started in a folder."""
    return ProcessTable(folder / ".lakehouse" / "run")
