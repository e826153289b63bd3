"""`up`, `down` and `status`: starting everything in parallel, watching it become ready, stopping it by pid.

Belongs here: these three commands' work and what they show. Not here: the sample (see sample_load.py).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from lakehouse.client.installation import find_token
from lakehouse.errors import Conflict, Forbidden, LakehouseError, StoreUnavailable, TimedOut
from lakehouse.settings import Settings, process_environ
from lakehouse_cli.child_logs import last_lines
from lakehouse_cli.children import Child, child_environ, make_children
from lakehouse_cli.ports import require_free
from lakehouse_cli.processes import ProcessTable, start_detached, stop_sessions, write_atomically
from lakehouse_cli.supervisor import ChildStatus, rank_grace_s, read_state, stop_order

SUPERVISOR = "supervisor"
READY_TIMEOUT_S = 120.0
_POLL_S = 0.1
_OTHER_SETTINGS = (
    "what runs here began under other settings, or as another version; run: lakehouse down && lakehouse up"
)


class ChildFailed(LakehouseError):
    """A child ended before it was ready; the message holds the end of its log."""


@dataclass(frozen=True, slots=True)
class Installation:
    """The folders of one installation."""

    settings: Settings

    @property
    def table(self) -> ProcessTable:
        """Its pid files."""
        return ProcessTable(self.settings.data_dir / "run")

    @property
    def logs(self) -> Path:
        """Its children's log files."""
        return self.settings.data_dir / "logs"


def start_all(installation: Installation, console: Console) -> tuple[Child, ...]:
    """Start what does not run yet and wait until everything is ready; returns the children.

    Raises:
        Conflict: A port is taken by somebody else, or it runs already under other settings.
        StoreUnavailable: A store that is not ours does not answer, or nothing could be kept in it.
        ChildFailed: A child does not start; what this call started is stopped again.
        TimedOut: Not ready within two minutes.
    """
    settings, table = installation.settings, installation.table
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)  # it holds keys, logs and personal data
    for folder in (table.folder, installation.logs):
        folder.mkdir(exist_ok=True)
    children = make_children(settings)
    if table.alive(SUPERVISOR) is not None:
        _require_same_settings(installation)
        _wait_ready(installation, children, console)
        return children
    require_free(need for child in children if table.alive(child.name) is None for need in child.ports)
    if not settings.is_store_embedded:
        _require_store(settings)
    (table.folder / "state.json").unlink(missing_ok=True)
    command = (sys.executable, "-m", "lakehouse_cli", "supervise")
    process = start_detached(command, log=installation.logs / "supervisor.log", env=child_environ(settings))
    try:
        _wait_ready(installation, children, console, supervisor=process)
    except LakehouseError:
        if process.poll() is None:
            stop_all(installation, children)
        raise
    return children


def stop_all(installation: Installation, children: tuple[Child, ...] | None = None) -> list[str]:
    """Stop the supervisor (which stops its children) and whatever is left; returns names that had to be killed."""
    table = installation.table
    ranks = stop_order(make_children(installation.settings) if children is None else children)
    # The supervisor waits for each rank in turn, so this grace must be longer than all of theirs together.
    patience_s = sum(rank_grace_s(rank) + 10 for rank in ranks)
    known = {child.name for rank in ranks for child in rank}
    unknown = [name for name in table.names() if name not in known]  # the supervisor, and children of other settings
    killed = _stop(table, unknown, grace_s=patience_s)
    for rank in ranks:
        killed += _stop(table, [child.name for child in rank], grace_s=rank_grace_s(rank))
    (table.folder / "state.json").unlink(missing_ok=True)
    return killed


def remember_settings(installation: Installation) -> None:
    """Note under which settings the supervisor runs."""
    write_atomically(_settings_file(installation), _settings_mark(installation.settings))


def _require_same_settings(installation: Installation) -> None:
    if not _has_same_settings(installation):
        raise Conflict(_OTHER_SETTINGS)


def _has_same_settings(installation: Installation) -> bool:
    path = _settings_file(installation)
    return not path.is_file() or path.read_text() == _settings_mark(installation.settings)


def _require_store(settings: Settings) -> None:
    from lakehouse.adapters.connect import connect_store
    from lakehouse.adapters.store_probe import require_store

    try:
        require_store(connect_store(settings))
    except StoreUnavailable as error:
        raise StoreUnavailable(f"{error.detail}; nothing was started (LAKEHOUSE_S3_ENDPOINT)") from None


def _settings_file(installation: Installation) -> Path:
    return installation.table.folder / "settings.sha256"


def _settings_mark(settings: Settings) -> str:
    values = {
        name: value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for name, value in settings
        if name not in ("sample_rows", "auth_token")  # only `up` reads the first; the second may come from the file
    }
    values["auth_token"] = find_token(settings, process_environ()) or ""
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


def _stop(table: ProcessTable, names: list[str], *, grace_s: float) -> list[str]:
    records = [record for name in names if (record := table.read(name)) is not None]
    killed = stop_sessions(records, grace_s=grace_s)
    for name in names:
        table.forget(name)
    return killed


@dataclass(frozen=True, slots=True)
class StatusLine:
    """One line of `status`. `state` is what the supervisor says, or `stopped` when there is no such process.

    `url` is the address that the process was started for, whatever the settings say now.
    """

    name: str
    state: str
    pid: int | None
    restarts: int
    url: str
    log: str
    message: str


def status_lines(installation: Installation, children: tuple[Child, ...]) -> list[StatusLine]:
    """What runs now: pid files checked against processes, with the supervisor's words on each."""
    states = read_state(installation.table)
    supervisor = installation.table.alive(SUPERVISOR)
    log = installation.logs / "supervisor.log"
    other = ""
    with contextlib.suppress(Forbidden):  # a token that cannot be read is doctor's to tell
        other = "" if supervisor is None or _has_same_settings(installation) else _OTHER_SETTINGS
    state, pid = ("ready", supervisor.pid) if supervisor else ("stopped", None)
    lines = [StatusLine(SUPERVISOR, state, pid, 0, "", str(log), other)]
    for child in children:
        record = installation.table.alive(child.name)
        known = states.get(child.name, ChildStatus())
        state = known.state if supervisor else ("unsupervised" if record else "stopped")
        if record is None and state in ("ready", "starting"):
            state = "crashed"
        pid = record.pid if record else None
        path = str(installation.logs / f"{child.name}.log")
        url = (record.url if record else "") or child.url
        lines.append(StatusLine(child.name, state, pid, known.restarts, url, path, known.message))
    return lines


def _wait_ready(
    installation: Installation,
    children: tuple[Child, ...],
    console: Console,
    *,
    supervisor: subprocess.Popen[bytes] | None = None,
) -> None:
    begun = time.monotonic()
    shown: set[str] = set()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("starting", total=None)
        while True:
            states = read_state(installation.table)
            for child in children:
                status = states.get(child.name, ChildStatus())
                if status.state == "ready" and child.name not in shown:
                    shown.add(child.name)
                    console.print(f"  [green]ready[/] {child.name} [dim]{time.monotonic() - begun:.1f} s[/]")
                if status.exits >= 2 and status.state != "ready":
                    raise ChildFailed(_failure(installation, child.name, status.message))
            if len(shown) == len(children):
                return
            progress.update(task, description="starting " + ", ".join(c.name for c in children if c.name not in shown))
            if supervisor is not None and supervisor.poll() is not None and not installation.table.alive(SUPERVISOR):
                # If another `up` had been first, its supervisor would be alive, and ours would have ended for that
                # reason.
                raise ChildFailed(_failure(installation, SUPERVISOR, f"exit code {supervisor.returncode}"))
            if time.monotonic() - begun > READY_TIMEOUT_S:
                late = next(c.name for c in children if c.name not in shown)
                message = states.get(late, ChildStatus()).message or f"not ready after {READY_TIMEOUT_S:.0f} s"
                raise TimedOut(_failure(installation, late, message))
            time.sleep(_POLL_S)


def _failure(installation: Installation, name: str, message: str) -> str:
    log = installation.logs / f"{name}.log"
    lines = "\n".join(f"    {line}" for line in last_lines(log))
    return f"{name} did not start: {message}\n  the end of {log}:\n{lines}"
