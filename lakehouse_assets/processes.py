"""Processes: what a supervisor starts to run Dagster, and how it knows that each is ready.

One code server is shared by the webserver and the daemon, so definitions are imported once.

Belongs here: commands, environments, readiness. Not here: starting them (see lakehouse_cli), Dagster itself: this
module is imported by the command line and loads nothing heavy.
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lakehouse.errors import Unavailable
from lakehouse.settings import PREFIX, Settings
from lakehouse_assets.home import POSTGRES_URL_VARIABLE, make_dagster_home

LOCATION = "lakehouse"
MODULE = "lakehouse_assets.definitions"
PROJECT = Path(__file__).resolve().parent.parent
LOOPBACK = "127.0.0.1"
DAEMON_READY_FILE = "daemon.ready"
DAEMON_LOCK_FILE = "daemon.lock"


@dataclass(frozen=True, slots=True)
class DagsterCommand:
    """One process. `needs` are the names of those that must be ready before it is useful."""

    name: str
    argv: tuple[str, ...]
    is_ready: Callable[[], bool]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    needs: tuple[str, ...] = ()
    port: int | None = None
    url: str = ""


def code_server_port(settings: Settings) -> int:
    """The port of the code server: the one above the UI's, on loopback."""
    return settings.dagster_port + 1


def dagster_url(settings: Settings) -> str:
    """Where this machine finds the UI."""
    host = settings.dagster_host
    shown = {"0.0.0.0": LOOPBACK, "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{shown}:{settings.dagster_port}"


def dagster_commands(settings: Settings) -> list[DagsterCommand]:
    """The code server, the guarded webserver and the daemon; makes DAGSTER_HOME when it is missing."""
    home = make_dagster_home(settings)
    env = _environ(settings, home)
    port = code_server_port(settings)
    code = (sys.executable, "-m", "lakehouse_assets.code_server")
    return [
        DagsterCommand("dagster-code", code, lambda: _accepts(LOOPBACK, port), env, port=port),
        DagsterCommand(
            "dagster-webserver",
            (sys.executable, "-m", "lakehouse_assets.webserver"),
            lambda: _answers(f"{dagster_url(settings)}/server_info"),
            env,
            needs=("dagster-code",),
            port=settings.dagster_port,
            url=dagster_url(settings),
        ),
        DagsterCommand(
            "dagster-daemon",
            (sys.executable, "-m", "lakehouse_assets.daemon"),
            lambda: is_daemon_ready(home),
            env,
            needs=("dagster-code",),
        ),
    ]


def wait_for_code_server(settings: Settings, *, deadline_s: float = 60.0) -> None:
    """Wait until the code server listens, so that a workspace finds it at once.

    Raises:
        Unavailable: It did not come up.
    """
    give_up = time.monotonic() + deadline_s
    while not _accepts(LOOPBACK, code_server_port(settings)):
        if time.monotonic() > give_up:
            raise Unavailable(f"no Dagster code server listens on port {code_server_port(settings)}; see its log")
        time.sleep(0.1)


def is_daemon_ready(home: Path) -> bool:
    """True while a daemon that has come up holds this instance."""
    import fcntl

    if not (home / DAEMON_READY_FILE).is_file():
        return False
    with (home / DAEMON_LOCK_FILE).open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True  # held by the daemon
    return False


def _environ(settings: Settings, home: Path) -> dict[str, str]:
    env = {
        "DAGSTER_HOME": str(home),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        "PYTHONUNBUFFERED": "1",
        f"{PREFIX}DATA_DIR": str(settings.data_dir),
        f"{PREFIX}DAGSTER_HOST": settings.dagster_host,
        f"{PREFIX}DAGSTER_PORT": str(settings.dagster_port),
    }
    if settings.dagster_postgres_url is not None:
        env[POSTGRES_URL_VARIABLE] = settings.dagster_postgres_url.get_secret_value()
    return env


def _accepts(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1.0):
            return True
    except OSError:
        return False


def _answers(url: str) -> bool:
    import httpx

    try:
        return httpx.get(url, timeout=2.0).status_code == 200
    except httpx.HTTPError:
        return False
