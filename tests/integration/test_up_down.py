"""The whole platform by one command: up, used, killed in part, up again, down, and nothing left running.

Between up and down the commands of README.md and of the guides run on it as they are printed.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.commands import run_command
from tests.servers import free_port_block

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
ROWS = 2000
# `make …` sets up and starts what runs already here; the rest of these pages is run.
SKIPPED = ("make ",)
PAGES = (
    "README.md",
    "docs/quickstart.md",
    "docs/guides/real-data.md",
    "docs/guides/backup-and-restore.md",
    "docs/guides/upgrade.md",
    "docs/guides/retrieval.md",
    "docs/guides/mcp.md",
)
CHILDREN = ("supervisor", "store", "api", "dagster-code", "dagster-webserver", "dagster-daemon")


@dataclass(frozen=True)
class Platform:
    """An installation in a folder of its own, driven by the command as a user would."""

    folder: Path
    environ: dict[str, str]

    def run(self, *arguments: str, timeout_s: float = 150) -> subprocess.CompletedProcess[str]:
        """Run a command: in a process of its own where it starts or stops others, else in this one.

        A process is its imports; those that ask again and again would be most of what these tests take.
        """
        if arguments[0] not in ("up", "down"):
            return run_command(*arguments, environ=self.environ, cwd=self.folder)
        command = [sys.executable, "-m", "lakehouse_cli", *arguments]
        return subprocess.run(
            command, env=self.environ, cwd=self.folder, capture_output=True, text=True, timeout=timeout_s, check=False
        )

    def ok(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, f"{arguments}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def script(self, text: str) -> subprocess.CompletedProcess[str]:
        """Run lines of a shell, with the command on its path."""
        environ = self.environ | {"PATH": f"{sys.prefix}/bin:{self.environ['PATH']}"}
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=self.folder, env=environ, capture_output=True, text=True, timeout=280, check=False,
        )  # fmt: skip

    def pids(self) -> dict[str, int]:
        lines = json.loads(self.run("status", "--json").stdout)
        return {line["name"]: line["pid"] for line in lines if line["pid"] is not None}

    def processes(self) -> list[psutil.Process]:
        """Every process that works in our folder, whoever started it."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                works_here = process.environ().get("LAKEHOUSE_DATA_DIR") == self.environ["LAKEHOUSE_DATA_DIR"]
                if works_here and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found


def await_(condition: Callable[[], bool], *, timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("checkout")
    (folder / ".venv").symlink_to(sys.prefix)
    for name in ("workspace.yaml", "dg.toml", "corpora"):
        (folder / name).symlink_to(ROOT / name)
    first = free_port_block(16)
    environ = {
        "PATH": os.defpath,
        "HOME": str(folder),
        "COLUMNS": "200",
        "LAKEHOUSE_DATA_DIR": str(folder / ".lakehouse"),
        "LAKEHOUSE_EMBEDDED_S3_PORT": str(first),
        "LAKEHOUSE_API_PORT": str(first + 10),
        "LAKEHOUSE_DAGSTER_PORT": str(first + 11),
        "LAKEHOUSE_SAMPLE_ROWS": str(ROWS),
        "LAKEHOUSE_SHUTDOWN_GRACE_S": "5",
    }
    made = Platform(folder, environ)
    yield made
    made.run("down")
    for process in made.processes():
        process.kill()


def test_fresh_up_loads_the_sample_and_prints_commands_that_work(platform: Platform) -> None:
    printed = platform.ok("up")
    assert f"workers: {ROWS:,} rows" in printed
    commands = printed.partition("Try:\n")[2].strip().splitlines()
    assert len(commands) == 3
    for command in commands:
        done = subprocess.run(
            command, shell=True, env=platform.environ, cwd=platform.folder, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}: {done.stderr}"
        assert done.stdout
    assert platform.ok("sql", "--format", "csv", "SELECT count(*) AS n FROM workers").split() == ["n", str(ROWS)]
    assert set(platform.pids()) == set(CHILDREN)
    assert (platform.folder / ".lakehouse" / "token").stat().st_mode & 0o777 == 0o600


def test_doctor_finds_nothing_wrong(platform: Platform) -> None:
    done = platform.run("doctor", "--json")
    findings = json.loads(done.stdout)
    assert [f for f in findings if f["verdict"] == "problem"] == []
    assert done.returncode == 0


def test_second_up_leaves_what_runs_and_loads_nothing(platform: Platform) -> None:
    before = platform.pids()
    assert "already there" in platform.ok("up")
    assert platform.pids() == before
    versions = json.loads(platform.ok("datasets", "workers", "--versions", "--json"))["versions"]
    assert [v["version"] for v in versions] == [1]


def test_up_under_other_settings_is_refused_with_the_remedy(platform: Platform) -> None:
    other = Platform(platform.folder, platform.environ | {"LAKEHOUSE_SQL_TIMEOUT_S": "7"})
    done = other.run("up")
    assert done.returncode == 1
    assert "run: lakehouse down && lakehouse up" in done.stderr


def test_wrong_token_is_refused_and_the_right_one_is_pointed_at(platform: Platform) -> None:
    done = Platform(platform.folder, platform.environ | {"AUTH_TOKEN": "wrong"}).run("datasets")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "lakehouse token" in done.stderr


def test_file_is_ingested_and_queried_in_every_format(platform: Platform) -> None:
    csv = platform.folder / "codes.csv"
    csv.write_text('code,label\n0527A,"a, b"\n0042,"say ""hi"""\n')
    assert platform.ok("ingest", str(csv), "--name", "codes").startswith("loaded: codes version 1, 2 rows")
    assert platform.ok("ingest", str(csv), "--name", "codes").startswith("already there")
    assert "0527A" in platform.ok("sql", "SELECT * FROM codes")
    answer = json.loads(platform.ok("sql", "-f", "json", "SELECT code FROM codes ORDER BY code"))
    assert answer["rows"] == [["0042"], ["0527A"]]
    arrow = platform.folder / "codes.arrow"
    platform.ok("sql", "-f", "arrow", "--out", str(arrow), "SELECT * FROM codes")
    assert arrow.stat().st_size > 100
    assert "codes" in platform.ok("datasets")
    csv.write_text("code,label\n0527A\n")
    refused = platform.run("ingest", str(csv), "--name", "codes")
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: ")
    assert "would remove" in platform.ok("gc", "--dry-run")


def test_backup_copies_what_is_new_and_upgrade_finds_nothing_old(platform: Platform) -> None:
    folder = platform.folder / "backup"
    assert " copied" in platform.ok("backup", str(folder))
    assert (folder / "cut.json").is_file()
    assert platform.ok("upgrade", "--dry-run").endswith("would rewrite 0 documents\n")
    refused = platform.run("restore", str(folder))
    assert refused.returncode == 1
    assert "not empty" in refused.stderr


def test_killed_child_comes_back_by_itself(platform: Platform) -> None:
    before = platform.pids()
    psutil.Process(before["api"]).kill()
    await_(lambda: platform.pids().get("api") not in (None, before["api"]))
    await_(lambda: platform.run("status").returncode == 0)
    assert {n: p for n, p in platform.pids().items() if n != "api"} == {n: p for n, p in before.items() if n != "api"}
    assert str(ROWS) in platform.ok("sql", "SELECT count(*) FROM workers")


def test_killed_supervisor_is_replaced_and_adopts(platform: Platform) -> None:
    before = platform.pids()
    psutil.Process(before["supervisor"]).kill()
    await_(lambda: "supervisor" not in platform.pids())
    assert platform.run("status").returncode == 1
    platform.ok("up")
    after = platform.pids()
    assert after.pop("supervisor") != before.pop("supervisor")
    assert after == before


def commands_of(page: str) -> list[str]:
    blocks = re.findall(r"^```console\n(.*?)^```", (ROOT / page).read_text(), flags=re.M | re.S)
    lines = [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    return [line for line in lines if not line.startswith(SKIPPED)]


@pytest.mark.parametrize("page", PAGES)
def test_commands_of_the_page_work_as_printed(platform: Platform, page: str, shared_data: Path) -> None:
    (platform.folder / "file.csv").write_text("worker,state\n1,OH\n2,TX\n")
    shared = platform.folder.parent / "shared"
    if not shared.exists():
        shared.mkdir()
        (shared / "data").symlink_to(shared_data)
    # Variables that a page sets hold for its later lines, so the page is one script.
    lines = [f"echo '$' line {n}\n{command}\necho" for n, command in enumerate(commands_of(page))]
    script = "\n".join(lines).replace("127.0.0.1:8000", f"127.0.0.1:{platform.environ['LAKEHOUSE_API_PORT']}")
    script = script.replace("/tmp/", f"{platform.folder}/")
    done = platform.script(script.replace("curl -s ", "curl -sS --fail-with-body "))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "I do not know" not in done.stdout  # what a page asks for, it gets
    assert commands_of(page)


def test_down_leaves_no_process_and_the_next_up_all_data(platform: Platform) -> None:
    platform.ok("down")
    assert platform.processes() == []
    assert platform.run("status").returncode == 1
    platform.ok("up")
    assert str(ROWS) in platform.ok("sql", "SELECT count(*) FROM workers")
    assert "0527A" in platform.ok("sql", "SELECT * FROM codes")
