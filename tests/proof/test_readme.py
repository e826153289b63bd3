"""The commands of README.md and of the guides, run as they are printed, against a system of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.servers import free_port_block

ROOT = Path(__file__).resolve().parents[2]
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


@dataclass
class System:
    folder: Path
    environ: dict[str, str]
    ports: dict[str, int]

    def run(self, command: str, *, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=self.folder, env=self.environ, capture_output=True, text=True, timeout=timeout_s, check=False,
        )  # fmt: skip


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Everything that `make up` starts, in an empty folder and on free ports."""
    folder = tmp_path_factory.mktemp("checkout")
    (folder / ".venv").symlink_to(sys.prefix)
    for name in ("workspace.yaml", "dg.toml", "corpora"):
        (folder / name).symlink_to(ROOT / name)
    first = free_port_block(16)
    ports = {"EMBEDDED_S3_PORT": first, "API_PORT": first + 12, "DAGSTER_PORT": first + 13}
    environ = {k: v for k, v in os.environ.items() if not k.startswith("LAKEHOUSE_")}  # noqa: TID251 - for children
    environ |= {f"LAKEHOUSE_{name}": str(port) for name, port in ports.items()}
    environ |= {"LAKEHOUSE_SAMPLE_ROWS": "2000", "PATH": f"{sys.prefix}/bin:{environ['PATH']}"}
    system = System(folder, environ, ports)
    started = system.run("lakehouse up", timeout_s=240)
    try:
        assert started.returncode == 0, started.stdout + started.stderr
        yield system
    finally:
        stopped = system.run("lakehouse down")
        assert stopped.returncode == 0, stopped.stdout + stopped.stderr


def commands_of(page: str) -> list[str]:
    blocks = re.findall(r"^```console\n(.*?)^```", (ROOT / page).read_text(), flags=re.M | re.S)
    lines = [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    return [line for line in lines if not line.startswith(SKIPPED)]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_commands_of_the_page_work_as_printed(system: System, page: str, shared_data: Path) -> None:
    (system.folder / "file.csv").write_text("worker,state\n1,OH\n2,TX\n")
    shared = system.folder.parent / "shared"
    if not shared.exists():
        shared.mkdir()
        (shared / "data").symlink_to(shared_data)
    # Variables that a page sets hold for its later lines, so the page is one script.
    lines = [f"echo '$' line {n}\n{command}\necho" for n, command in enumerate(commands_of(page))]
    script = "\n".join(lines).replace("127.0.0.1:8000", f"127.0.0.1:{system.ports['API_PORT']}")
    script = script.replace("/tmp/", f"{system.folder}/")
    done = system.run(script.replace("curl -s ", "curl -sS --fail-with-body "), timeout_s=280)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "I do not know" not in done.stdout  # what a page asks for, it gets
    assert commands_of(page)
