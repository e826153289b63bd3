"""The stack of a proof: everything that `lakehouse up` starts, in an empty folder and on free ports, or what runs here.

Belongs here: starting and stopping it, its address and token. Not here: what is asked of it (see proof_run.py).
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lakehouse.client.installation import api_url, find_token
from lakehouse.errors import Conflict, Unavailable
from lakehouse.settings import Settings, process_environ
from lakehouse_cli.ports import PortNeed, taken

SAMPLE_ROWS = 2000
_UP_TIMEOUT_S = 300.0
_DOWN_TIMEOUT_S = 120.0
# Sixteen ports in a row below the ephemeral range: twelve for SeaweedFS, then those of the API and Dagster.
_PORTS, _API, _DAGSTER = 16, 12, 13
_FIRST, _LAST = 18_000, 30_000


@dataclass(frozen=True, slots=True)
class Stack:
    """A running service; `folder` and `environ` are those of a clean one."""

    url: str
    token: str | None = field(repr=False)
    folder: Path | None = None
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def is_clean(self) -> bool:
        """Whether it was started for this."""
        return self.folder is not None


@contextmanager
def clean_stack(root: Path, **settings: object) -> Iterator[Stack]:
    """Start everything anew, with default settings but for ports and embedders; stopped and deleted at the end.

    Args:
        root: The checkout, whose workspace Dagster loads.
        settings: Others than the default ones, by field name.

    Raises:
        Unavailable: It does not start; the message holds the end of what it said.
    """
    with tempfile.TemporaryDirectory(prefix="lakehouse-proof-") as name:
        folder = Path(name)
        for file in ("workspace.yaml", "dg.toml", "corpora", "workflows"):
            if (root / file).exists():
                (folder / file).symlink_to(root / file)
        first = _free_block()
        given = {
            "EMBEDDED_S3_PORT": first, "API_PORT": first + _API, "DAGSTER_PORT": first + _DAGSTER,
            "SAMPLE_ROWS": SAMPLE_ROWS, "DEFAULT_EMBEDDER": "static", "PLAYBOOK_EMBEDDER": "static",
            "PATHWAY_EMBEDDER": "static", **{name.upper(): value for name, value in settings.items()},
        }  # fmt: skip
        environ = {k: v for k, v in process_environ().items() if not k.startswith(("LAKEHOUSE_", "AUTH_"))}
        environ |= {f"LAKEHOUSE_{key}": str(value) for key, value in given.items()}
        environ["PATH"] = f"{Path(sys.executable).parent}:{environ.get('PATH', '')}"
        try:
            started = run_command("up", folder, environ, _UP_TIMEOUT_S)
            if started.returncode:
                raise Unavailable(f"the stack did not start: {(started.stdout + started.stderr)[-3000:]}")
            token = run_command("token", folder, environ, _DOWN_TIMEOUT_S).stdout.strip()
            yield Stack(f"http://127.0.0.1:{first + _API}", token, folder, environ)
        finally:
            run_command("down", folder, environ, _DOWN_TIMEOUT_S)


def running_stack(settings: Settings) -> Stack:
    """This installation, as it runs."""
    return Stack(api_url(settings) + settings.root_path, find_token(settings, process_environ()))


def run_command(
    name: str, folder: Path, environ: Mapping[str, str], timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """Run a command of the product in a stack's folder."""
    command = [sys.executable, "-m", "lakehouse_cli", *name.split()]
    return subprocess.run(
        command, cwd=folder, env=dict(environ), capture_output=True, text=True, timeout=timeout_s, check=False
    )


def _free_block() -> int:
    draw = random.SystemRandom()
    for _ in range(100):
        first = draw.randrange(_FIRST, _LAST)
        if not taken(PortNeed(port, "a proof", "") for port in range(first, first + _PORTS)):
            return first
    raise Conflict(f"there are no {_PORTS} free ports in a row between {_FIRST} and {_LAST}; stop what holds them")
