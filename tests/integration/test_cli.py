"""The command: exit codes, one-line errors, and what works without a running platform."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lakehouse.settings import load_settings
from lakehouse_cli.tokens import require_token
from tests.commands import run_command
from tests.servers import free_port_block


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    first = free_port_block(14)
    return {
        "PATH": os.defpath,
        "HOME": str(tmp_path),
        "LAKEHOUSE_DATA_DIR": str(tmp_path / "data"),
        "LAKEHOUSE_EMBEDDED_S3_PORT": str(first),
        "LAKEHOUSE_API_PORT": str(first + 10),
        "LAKEHOUSE_DAGSTER_PORT": str(first + 11),
        "LAKEHOUSE_S3_CONNECT_TIMEOUT_S": "0.5",
        "LAKEHOUSE_S3_MAX_ATTEMPTS": "1",
        "COLUMNS": "200",
    }


def lakehouse(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_command(*arguments, environ=environ, cwd=environ["HOME"])


def in_a_process(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lakehouse_cli", *arguments]
    return subprocess.run(
        command, env=environ, cwd=environ["HOME"], capture_output=True, text=True, timeout=60, check=False
    )


def test_error_is_one_line_and_debug_shows_where(environ: dict[str, str]) -> None:
    done = in_a_process(environ, "datasets")
    assert done.returncode == 1
    port = environ["LAKEHOUSE_API_PORT"]
    assert done.stderr == f"error: no API answers at http://127.0.0.1:{port}; start it with: lakehouse up\n"
    assert done.stdout == ""
    assert "Traceback" in in_a_process(environ, "--debug", "datasets").stderr


def test_unknown_setting_stops_every_command_and_is_named(environ: dict[str, str]) -> None:
    done = lakehouse(environ | {"LAKEHOUSE_API_PROT": "1"}, "status")
    assert done.returncode == 1
    assert done.stderr.startswith("error: unknown setting LAKEHOUSE_API_PROT")


@pytest.mark.parametrize(
    "arguments",
    [
        ("nope",),
        ("ingest", "absent.csv", "--name", "workers"),
        ("ingest", "--name", "workers"),
        ("sql", "SELECT 1", "--format", "xml"),
        ("datasets", "--versions"),
        ("sample", "workers", "--rows", "-1"),
        ("sample", "workers", "--out", "absent/workers.csv"),
    ],
)
def test_wrong_usage_is_exit_code_two(environ: dict[str, str], arguments: tuple[str, ...]) -> None:
    assert lakehouse(environ, *arguments).returncode == 2


def test_sample_is_written_without_a_platform(environ: dict[str, str], tmp_path: Path) -> None:
    done = lakehouse(environ, "sample", "workers", "--rows", "100", "--out", str(tmp_path / "w.csv"))
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"wrote {tmp_path}/w.csv: 100 rows, {(tmp_path / 'w.csv').stat().st_size:,} bytes\n"


def test_token_is_that_of_the_installation_and_never_made_for_a_folder_without_one(
    environ: dict[str, str], tmp_path: Path
) -> None:
    nothing = lakehouse(environ, "token")
    assert nothing.returncode != 0
    assert "there is no installation in" in nothing.stderr
    assert not (tmp_path / "data" / "token").exists()
    made = require_token(load_settings(environ, env_file=None), {})
    assert lakehouse(environ, "token").stdout == f"{made}\n"


def test_down_with_nothing_running_says_so(environ: dict[str, str]) -> None:
    done = lakehouse(environ, "down")
    assert (done.returncode, done.stdout) == (0, "nothing was running\n")


def test_doctor_names_what_is_wrong_and_how_to_mend_it(environ: dict[str, str], tmp_path: Path) -> None:
    require_token(load_settings(environ, env_file=None), {})
    (tmp_path / "data" / "token").chmod(0o644)
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", int(environ["LAKEHOUSE_API_PORT"])))
        squatter.listen()
        done = lakehouse(environ, "doctor", "--json")
    assert done.returncode == 1
    findings = json.loads(done.stdout)
    problems = {f["check"]: f for f in findings if f["verdict"] == "problem"}
    assert problems["secrets"]["remedy"] == f"chmod 600 {tmp_path}/data/token"
    assert problems["store"]["remedy"] == "lakehouse up"
    assert "LAKEHOUSE_API_PORT" in problems["ports"]["message"]
    assert all(f["remedy"] for f in problems.values())
    fine = {f["check"] for f in findings if f["verdict"] == "ok"}
    assert {"python", "packages", "settings", "weed", "httpfs"} <= fine


def test_doctor_reports_a_bad_setting_by_name(environ: dict[str, str]) -> None:
    done = lakehouse(environ | {"LAKEHOUSE_API_PORT": "eighty"}, "doctor", "--json")
    assert done.returncode == 1
    (finding,) = [f for f in json.loads(done.stdout) if f["check"] == "settings"]
    assert finding["verdict"] == "problem"
    assert finding["message"].startswith("LAKEHOUSE_API_PORT: ")
