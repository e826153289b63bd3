"""The supervisor on real child processes: order, restarts, adoption, logs, and nothing left behind."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from lakehouse.settings import load_settings, process_environ
from lakehouse_cli.children import Child, Launch, Stuck, child_environ
from lakehouse_cli.ports import PortNeed
from lakehouse_cli.processes import ProcessTable, is_alive
from lakehouse_cli.supervisor import Supervisor, read_state, stop_order
from tests.servers import free_port_block

SERVER = """
import http.server, sys
print("serving", flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
# A child that starts a grandchild and does not listen to SIGTERM.
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("up", flush=True)
time.sleep(600)
"""


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def python(*arguments: str) -> Callable[[], Launch]:
    return lambda: Launch((sys.executable, "-c", *arguments), process_environ())


def server(name: str, port: int, *, needs: tuple[str, ...] = ()) -> Child:
    ports = (PortNeed(port, name, "LAKEHOUSE_API_PORT"),)
    return Child(name, python(SERVER, str(port)), lambda: answers(port), needs=needs, ports=ports)


def await_(condition: Callable[[], bool], *, step: Callable[[], None] = lambda: None, timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        step()
        time.sleep(0.02)


class Bench:
    """A supervisor over some children that a test steps by hand."""

    def __init__(self, folder: Path) -> None:
        self.table = ProcessTable(folder / "run")
        self.logs = folder / "logs"
        self.children: tuple[Child, ...] = ()
        self.made: list[Supervisor] = []

    def supervise(self, *children: Child, now: Callable[[], float] = time.monotonic) -> Supervisor:
        self.children = children or self.children
        limits = {"log_max_bytes": 2000, "log_keep": 2}
        supervisor = Supervisor(self.children, table=self.table, logs=self.logs, now=now, **limits)
        self.made.append(supervisor)
        return supervisor

    def make_ready(self, supervisor: Supervisor) -> None:
        await_(lambda: all(s.state == "ready" for s in supervisor.statuses.values()), step=supervisor.look)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    for supervisor in made.made:
        supervisor.stop()


def test_children_start_after_those_they_need_and_stop_before_them(bench: Bench) -> None:
    first = free_port_block(2)
    prepared: list[bool] = []
    base = server("base", first)
    base = Child(base.name, base.launch, base.is_ready, after_ready=lambda: prepared.append(answers(first)))
    supervisor = bench.supervise(base, server("top", first + 1, needs=("base",)))
    supervisor.look()
    assert supervisor.statuses["top"].state == "waiting"
    bench.make_ready(supervisor)
    assert prepared == [True]
    assert {name: s.state for name, s in read_state(bench.table).items()} == {"base": "ready", "top": "ready"}
    assert [[c.name for c in rank] for rank in stop_order(bench.children)] == [["top"], ["base"]]


def test_killed_child_is_started_again(bench: Bench) -> None:
    port = free_port_block(1)
    supervisor = bench.supervise(server("api", port))
    bench.make_ready(supervisor)
    before = bench.table.alive("api")
    assert before is not None
    psutil.Process(before.pid).kill()
    await_(lambda: supervisor.statuses["api"].restarts == 1, step=supervisor.look)
    assert supervisor.statuses["api"].message == "signal 9 ended it"
    bench.make_ready(supervisor)
    after = bench.table.alive("api")
    assert after is not None
    assert after.pid != before.pid
    assert answers(port)


def test_second_supervisor_adopts_children_that_still_run(bench: Bench) -> None:
    port = free_port_block(1)
    bench.make_ready(bench.supervise(server("api", port)))
    before = bench.table.alive("api")
    second = bench.supervise()
    bench.make_ready(second)
    assert bench.table.alive("api") == before
    assert second.statuses["api"].restarts == 0


class EndsWhileLooked:
    """The handle of a process that ends just after the supervisor has asked whether it had."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def poll(self) -> int | None:
        asked = self._process.poll()
        self._process.kill()
        self._process.wait(60)
        return asked

    @property
    def returncode(self) -> int:
        return self._process.returncode


def test_child_that_ends_while_it_is_looked_at_is_told_with_how_it_ended(bench: Bench) -> None:
    supervisor = bench.supervise(Child("api", python("import time; time.sleep(600)"), lambda: False))
    supervisor.look()
    supervisor._handles["api"] = EndsWhileLooked(supervisor._handles["api"])  # type: ignore[assignment]
    supervisor.look()
    assert supervisor.statuses["api"].message == "signal 9 ended it"
    assert supervisor.statuses["api"].state == "crashed"


def test_child_that_cannot_start_is_retried_ever_more_slowly(bench: Bench) -> None:
    supervisor = bench.supervise(Child("api", python("print('no'); raise SystemExit(3)"), lambda: False))
    await_(lambda: supervisor.statuses["api"].exits == 2, step=supervisor.look)
    assert supervisor.statuses["api"].message == "it ended with exit code 3"
    assert supervisor.statuses["api"].state == "crashed"
    assert (bench.logs / "api.log").read_text() == "no\nno\n"


def test_port_held_by_another_names_its_holder_and_the_setting(bench: Bench) -> None:
    port = free_port_block(1)
    other = psutil.Popen([sys.executable, "-c", SERVER, str(port)], stdout=-3, stderr=-3)
    try:
        await_(lambda: answers(port))
        supervisor = bench.supervise(server("api", port))
        supervisor.look()
        status = supervisor.statuses["api"]
        assert status.state == "crashed"
        assert f"port {port} (api) is taken by pid {other.pid}" in status.message
        assert "LAKEHOUSE_API_PORT" in status.message
    finally:
        other.kill()
        other.wait(60)


def test_stop_ends_a_child_that_ignores_sigterm_and_all_it_started(bench: Bench) -> None:
    log = bench.logs / "stubborn.log"
    child = Child("stubborn", python(STUBBORN), lambda: log.read_text() == "up\n", grace_s=1.0)
    supervisor = bench.supervise(child)
    bench.make_ready(supervisor)
    record = bench.table.alive("stubborn")
    assert record is not None
    (grandchild,) = psutil.Process(record.pid).children()
    supervisor.stop()
    assert not is_alive(record)
    assert not grandchild.is_running()
    assert bench.table.names() == []


def test_leftovers_of_a_killed_child_go_before_it_starts_again(bench: Bench) -> None:
    log = bench.logs / "stubborn.log"
    supervisor = bench.supervise(Child("stubborn", python(STUBBORN), lambda: "up\n" in log.read_text(), grace_s=1.0))
    bench.make_ready(supervisor)
    record = bench.table.alive("stubborn")
    assert record is not None
    (grandchild,) = psutil.Process(record.pid).children()
    psutil.Process(record.pid).send_signal(signal.SIGKILL)
    await_(lambda: not grandchild.is_running(), step=supervisor.look)


def test_leftovers_of_a_child_killed_with_its_supervisor_go_at_the_next_start(bench: Bench) -> None:
    log = bench.logs / "stubborn.log"
    supervisor = bench.supervise(Child("stubborn", python(STUBBORN), lambda: "up\n" in log.read_text(), grace_s=1.0))
    bench.make_ready(supervisor)
    record = bench.table.alive("stubborn")
    assert record is not None
    (grandchild,) = psutil.Process(record.pid).children()
    psutil.Process(record.pid).send_signal(signal.SIGKILL)
    await_(lambda: not is_alive(record))
    assert grandchild.is_running()
    successor = bench.supervise()  # it knows nothing but the pid files
    await_(lambda: not grandchild.is_running(), step=successor.look)
    bench.make_ready(successor)


def test_log_of_a_running_child_is_cut_and_goes_on(bench: Bench) -> None:
    chatter = "import time\nfor i in range(10**9):\n    print('line', i, flush=True)\n    time.sleep(0.001)"
    clock = itertools.count(0.0, 10.0)  # every look is ten seconds after the one before: each may rotate
    child = Child("chatter", python(chatter), lambda: True)
    supervisor = bench.supervise(child, now=clock.__next__)
    await_((bench.logs / "chatter.log.2").exists, step=supervisor.look)
    size = (bench.logs / "chatter.log").stat().st_size
    await_(lambda: (bench.logs / "chatter.log").stat().st_size != size)
    assert supervisor.statuses["chatter"].restarts == 0


def test_child_whose_log_says_that_it_is_stuck_is_started_again_once_that_helps(bench: Bench) -> None:
    port = free_port_block(1)
    clock = itertools.count(0.0, 2.0)  # every look reads the logs
    has_room: list[bool] = []
    api = server("api", port)
    stuck = Stuck(re.compile(rb"no space left"), lambda: bool(has_room), "it waits for room")
    child = Child(api.name, api.launch, api.is_ready, ports=api.ports, stuck=stuck)
    supervisor = bench.supervise(child, now=lambda: float(next(clock)))
    bench.make_ready(supervisor)
    before = bench.table.alive("api")
    with (bench.logs / "api.log").open("a") as log:
        log.write("write x.log: no space left on device\n")
    supervisor.look()
    assert supervisor.statuses["api"].message == "it waits for room"
    assert bench.table.alive("api") == before
    has_room.append(True)
    supervisor.look()
    assert bench.table.alive("api") is None
    bench.make_ready(supervisor)
    after = bench.table.alive("api")
    assert after not in (None, before)
    assert supervisor.statuses["api"].restarts == 1
    supervisor.look()
    assert bench.table.alive("api") == after  # what the log said of the process before is not held against it


def test_full_disk_ends_no_supervisor(bench: Bench) -> None:
    port = free_port_block(1)
    supervisor = bench.supervise(server("api", port))
    for name in ("state.json", "api.pid.json"):
        (bench.table.folder / f".{name}.{os.getpid()}").symlink_to("/dev/full")
    supervisor.look()
    status = supervisor.statuses["api"]
    assert status.state == "crashed"
    assert "No space left on device" in status.message
    assert not answers(port)
    for path in bench.table.folder.iterdir():
        path.unlink()
    bench.make_ready(supervisor)
    assert read_state(bench.table)["api"].state == "ready"


def test_children_take_no_module_from_the_folder_where_they_are_started(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('a module of the folder was taken')")
    settings = load_settings({"LAKEHOUSE_DATA_DIR": str(tmp_path / "data"), "LAKEHOUSE_AUTH_TOKEN": "t"}, env_file=None)
    command = [sys.executable, "-m", "lakehouse_cli", "--help"]
    done = subprocess.run(
        command, cwd=tmp_path, env=child_environ(settings), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
