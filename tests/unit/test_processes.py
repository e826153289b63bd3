"""Pid files recognise their process, and only it."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lakehouse.settings import load_settings
from lakehouse_cli.children import make_children
from lakehouse_cli.processes import ProcessTable, is_alive, process_mark, stop_sessions
from lakehouse_cli.start import Installation, remember_settings, status_lines


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


def test_status_shows_where_a_process_is_whatever_the_settings_say_now(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    environ = {"LAKEHOUSE_DATA_DIR": str(tmp_path), "LAKEHOUSE_AUTH_TOKEN": "t"}
    began = Installation(load_settings({**environ, "LAKEHOUSE_API_PORT": "18001"}, env_file=None))
    (url,) = (child.url for child in make_children(began.settings) if child.name == "api")
    began.table.remember("supervisor", sleeper.pid, ["sleep"])
    began.table.remember("api", sleeper.pid, ["sleep"], url=url)
    remember_settings(began)

    now = Installation(load_settings({**environ, "LAKEHOUSE_API_PORT": "18002"}, env_file=None))
    lines = {line.name: line for line in status_lines(now, make_children(now.settings))}
    assert lines["api"].url == "http://127.0.0.1:18001"
    assert "began under other settings" in lines["supervisor"].message
    same = {line.name: line for line in status_lines(began, make_children(began.settings))}
    assert same["supervisor"].message == ""


def test_pid_file_of_an_earlier_version_has_no_address(tmp_path: Path) -> None:
    (tmp_path / "api.pid.json").write_text('{"name": "api", "pid": 1, "mark": "m", "command": []}')
    record = ProcessTable(tmp_path).read("api")
    assert record is not None
    assert record.url == ""


@pytest.mark.parametrize("content", ["", "{", '{"pid": 1}', "[]"])
def test_damaged_pid_file_counts_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "api.pid.json").write_text(content)
    assert ProcessTable(tmp_path).alive("api") is None
