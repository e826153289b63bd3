"""Pid files recognise their process, and only it."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lakehouse_cli.processes import ProcessTable, is_alive, process_mark, stop_sessions


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True) as process:
        yield process
        process.kill()


def test_running_process_is_recognised(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    table = ProcessTable(tmp_path / "run")
    record = table.remember("api", sleeper.pid, ["sleep"])
    assert table.alive("api") == record
    assert table.names() == ["api"]


def test_process_that_got_a_recycled_pid_is_left_alone(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    table = ProcessTable(tmp_path)
    record = dataclasses.replace(table.remember("api", sleeper.pid, ["sleep"]), mark="an earlier process")
    assert not is_alive(record)
    assert stop_sessions([record], grace_s=0.1) == []
    assert sleeper.poll() is None


def test_ended_process_is_not_alive_even_before_it_is_reaped(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""], start_new_session=True)
    record = ProcessTable(tmp_path).remember("api", process.pid, ["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it is a zombie now
    assert process_mark(process.pid) is None
    assert not is_alive(record)
    process.wait(60)


def test_stop_ends_the_process(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    record = ProcessTable(tmp_path).remember("api", sleeper.pid, ["sleep"])
    assert stop_sessions([record], grace_s=10) == []
    assert not is_alive(record)


@pytest.mark.parametrize("content", ["", "{", '{"pid": 1}', "[]"])
def test_damaged_pid_file_counts_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "api.pid.json").write_text(content)
    assert ProcessTable(tmp_path).alive("api") is None
