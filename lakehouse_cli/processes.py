"""Processes: remembering children in pid files, recognising them later, and stopping them with all they started.

Belongs here: pid files, identity of a process, signals. Not here: when to start or restart (see supervisor.py).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """What a pid file holds. `mark` tells the process from a later one that got the same pid; `url` is where it is."""

    name: str
    pid: int
    mark: str
    command: tuple[str, ...]
    url: str = ""


def process_mark(pid: int) -> str | None:
    """When a live process began, as text to compare; None when there is none (or only a zombie).

    On Linux in clock ticks since boot: the wall clock may be set while the process runs.
    """
    with contextlib.suppress(psutil.Error):
        if psutil.Process(pid).status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return None
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        with contextlib.suppress(psutil.Error):
            return f"{psutil.Process(pid).create_time():.2f}"
        return None
    return f"{boot}:{fields[19]}"


class ProcessTable:
    """The pid files under one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def remember(self, name: str, pid: int, command: Sequence[str], *, url: str = "") -> ProcessRecord:
        """Write the pid file of a process that has just been started, with the address that it was started for."""
        record = ProcessRecord(name, pid, process_mark(pid) or "gone", tuple(command), url)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self._file(name), json.dumps(asdict(record)))
        return record

    def forget(self, name: str) -> None:
        """Remove a pid file."""
        self._file(name).unlink(missing_ok=True)

    def read(self, name: str) -> ProcessRecord | None:
        """The record of that name, alive or not; an unreadable file counts as none."""
        try:
            found = json.loads(self._file(name).read_text())
            command = tuple(found["command"])
            return ProcessRecord(found["name"], int(found["pid"]), found["mark"], command, str(found.get("url", "")))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def alive(self, name: str) -> ProcessRecord | None:
        """The record of that name when its very process still runs."""
        record = self.read(name)
        return record if record is not None and is_alive(record) else None

    def names(self) -> list[str]:
        """Names of all pid files."""
        return sorted(path.name.removesuffix(".pid.json") for path in self.folder.glob("*.pid.json"))

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.pid.json"


def is_alive(record: ProcessRecord) -> bool:
    """True when the recorded process itself runs, not another with its pid."""
    return process_mark(record.pid) == record.mark


def is_of_this_boot(record: ProcessRecord) -> bool:
    """True when the recorded process ran since the machine was started: session ids of an earlier time mean nothing."""
    boot, colon, _ = (process_mark(os.getpid()) or "").partition(":")
    return bool(colon) and record.mark.startswith(f"{boot}:")


def start_detached(
    command: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own that appends to `log` and outlives us."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open(
        "ab"
    ) as stream:  # append mode: the file may be truncated while the process writes (see child_logs.py)
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, env=env, cwd=cwd, start_new_session=True
        )


def stop_sessions(records: Iterable[ProcessRecord], *, grace_s: float) -> list[str]:
    """Stop processes and everything in their sessions: SIGTERM, a grace, SIGKILL. Returns names that were killed."""
    waiting = {r.name: (r, _members(r)) for r in records}
    for record, _ in waiting.values():
        if is_alive(record):
            _signal(record.pid, signal.SIGTERM)  # the leader stops its own children in its own order
    leaders = {name: _process(record.pid) for name, (record, _) in waiting.items() if is_alive(record)}
    _, alive = psutil.wait_procs([p for p in leaders.values() if p is not None], timeout=grace_s)
    killed = [name for name, leader in leaders.items() if leader in alive and is_alive(waiting[name][0])]
    rest = [p for record, members in waiting.values() for p in {*members, *_members(record)} if p.is_running()]
    for process in rest:
        _signal(process.pid, signal.SIGKILL)
    psutil.wait_procs(rest, timeout=5)
    return killed


def _members(record: ProcessRecord) -> set[psutil.Process]:
    """Processes in the session that the record's process leads, itself among them."""
    mark = process_mark(record.pid)
    if mark is not None and mark != record.mark:
        return set()  # the pid is somebody else's now, and so is the session
    found: set[psutil.Process] = set()
    for pid in psutil.pids():
        with contextlib.suppress(OSError, psutil.Error):
            if os.getsid(pid) == record.pid:
                found.add(psutil.Process(pid))
    return found


def _process(pid: int) -> psutil.Process | None:
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid)
    return None


def _signal(pid: int, which: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, which)


def write_atomically(path: Path, text: str) -> None:
    """Replace a small file whole: a reader sees the old or the new text."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text)
    temporary.replace(path)
