"""The supervisor: one long-lived process that starts the children in order, restarts dead ones and rotates their logs.

Its only memory is the pid files, so when it is killed and started again it adopts the children that still run. It
writes the state of the children to `<data_dir>/run/state.json`, where `up` and `status` read it.

Belongs here: the state of each child and the loop. Not here: what the children are (see children.py), signals and
pid files (see processes.py).
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from lakehouse.errors import LakehouseError
from lakehouse_cli.child_logs import rotate
from lakehouse_cli.children import Child
from lakehouse_cli.ports import explain, taken
from lakehouse_cli.processes import ProcessTable, is_of_this_boot, start_detached, stop_sessions, write_atomically

LOOK_EVERY_S = 0.2
ROTATE_EVERY_S = 5.0
BACK_OFF_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
STEADY_AFTER_S = 60.0  # after running this long, the back-off of a child starts anew

State = Literal["waiting", "starting", "ready", "crashed"]


@dataclass(slots=True)
class ChildStatus:
    """What is known of a child. `exits` counts deaths since it last ran steadily, `restarts` all of them."""

    state: State = "waiting"
    pid: int | None = None
    exits: int = 0
    restarts: int = 0
    message: str = ""


class Supervisor:
    """Keeps children running until it is told to stop.

    Args:
        children: Those that others need first.
        table: The pid files.
        logs: Folder of the log files.
        log_max_bytes: Size from which a log is rotated.
        log_keep: Rotated logs that are kept.
        now: Seconds that only rise.
    """

    def __init__(
        self,
        children: Sequence[Child],
        *,
        table: ProcessTable,
        logs: Path,
        log_max_bytes: int,
        log_keep: int,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        table.folder.mkdir(parents=True, exist_ok=True)
        self._children = children
        self._table = table
        self._logs = logs
        self._log_limits = (log_max_bytes, log_keep)
        self._now = now
        self._handles: dict[str, subprocess.Popen[bytes]] = {}
        self._retry_at: dict[str, float] = {}
        self._ready_at: dict[str, float] = {}
        self._rotated_at = now()
        self._written = ""
        self.statuses = {child.name: ChildStatus() for child in children}

    def run(self, stopping: threading.Event) -> None:
        """Look after the children until `stopping` is set, then stop them in reverse order."""
        while not stopping.is_set():
            self.look()
            stopping.wait(LOOK_EVERY_S)
        self.stop()

    def look(self) -> None:
        """Move each child on: notice a death, start what may start, ask those starting whether they are ready."""
        for child in self._children:
            self._notice_death(child)
            if self._may_start(child):
                self._start(child)
        for child in self._children:
            if self.statuses[child.name].state == "starting":
                self._ask(child)
                self._write_state()
        self._write_state()
        if self._now() - self._rotated_at > ROTATE_EVERY_S:
            self._rotated_at = self._now()
            for log in sorted(self._logs.glob("*.log")):
                rotate(log, max_bytes=self._log_limits[0], keep=self._log_limits[1])

    def stop(self) -> None:
        """Stop all children, those that need others first."""
        for rank in stop_order(self._children):
            records = [r for child in rank if (r := self._table.read(child.name)) is not None]
            stop_sessions(records, grace_s=rank_grace_s(rank))
            for child in rank:
                self._reap(child.name)
                self._table.forget(child.name)
                self.statuses[child.name] = ChildStatus()
            self._write_state()

    def _notice_death(self, child: Child) -> None:
        status = self.statuses[child.name]
        self._reap(child.name)
        record = self._table.alive(child.name)
        if record is not None:
            if status.pid != record.pid:  # adopted from an earlier supervisor
                self.statuses[child.name] = ChildStatus("starting", record.pid)
            elif self._ran_steadily(child.name):
                status.exits = 0
            return
        if status.state in ("starting", "ready"):
            dead = self._table.read(child.name)
            if dead is not None:
                stop_sessions([dead], grace_s=0)  # processes that the dead child has left would hold ports and files
            status.state, status.pid = "crashed", None
            status.exits += 1
            status.restarts += 1
            status.message = "it ended by itself" if not status.message else status.message
            self._retry_at[child.name] = self._now() + BACK_OFF_S[min(status.exits, len(BACK_OFF_S)) - 1]

    def _ran_steadily(self, name: str) -> bool:
        ready_at = self._ready_at.get(name)
        return ready_at is not None and self._now() - ready_at > STEADY_AFTER_S

    def _may_start(self, child: Child) -> bool:
        if self.statuses[child.name].state not in ("waiting", "crashed"):
            return False
        if self._now() < self._retry_at.get(child.name, 0):
            return False
        return all(self.statuses[name].state == "ready" for name in child.needs)

    def _start(self, child: Child) -> None:
        status = self.statuses[child.name]
        before = self._table.read(child.name)
        if before is not None and is_of_this_boot(before):
            stop_sessions([before], grace_s=0)  # processes left when the child was killed together with its supervisor
        held = taken(child.ports)
        if held:
            status.state, status.message = "crashed", "; ".join(explain(need) for need in held)
            status.exits += 1
            self._retry_at[child.name] = self._now() + BACK_OFF_S[min(status.exits, len(BACK_OFF_S)) - 1]
            return
        launch = child.launch()
        process = start_detached(launch.command, log=self._logs / f"{child.name}.log", env=launch.env)
        self._handles[child.name] = process
        self._table.remember(child.name, process.pid, launch.command, url=child.url)
        self._ready_at.pop(child.name, None)
        status.state, status.pid, status.message = "starting", process.pid, ""

    def _ask(self, child: Child) -> None:
        status = self.statuses[child.name]
        if not child.is_ready():
            return
        try:
            if child.after_ready is not None:
                child.after_ready()
        except (LakehouseError, subprocess.SubprocessError) as error:
            status.message = str(error)  # it is tried again at the next look
            return
        status.state, status.message = "ready", ""
        self._ready_at[child.name] = self._now()

    def _reap(self, name: str) -> None:
        process = self._handles.get(name)
        if process is not None and process.poll() is not None:
            code = process.returncode
            self.statuses[name].message = f"it ended with exit code {code}" if code >= 0 else f"signal {-code} ended it"
            del self._handles[name]

    def _write_state(self) -> None:
        text = json.dumps({name: asdict(status) for name, status in self.statuses.items()})
        if text != self._written:
            write_atomically(state_file(self._table), text)
            self._written = text


def stop_order(children: Sequence[Child]) -> list[list[Child]]:
    """Ranks to stop one after the other: nobody stops before those that need or use it."""
    left = list(children)
    ranks: list[list[Child]] = []
    while left:
        needed = {name for child in left for name in (*child.needs, *child.uses)}
        ranks.append([child for child in left if child.name not in needed])
        left = [child for child in left if child.name in needed]
    return ranks


def rank_grace_s(rank: Sequence[Child]) -> float:
    """How long children that stop together may take."""
    return max(child.grace_s for child in rank)


def state_file(table: ProcessTable) -> Path:
    """Where the supervisor writes what it sees."""
    return table.folder / "state.json"


def read_state(table: ProcessTable) -> dict[str, ChildStatus]:
    """What the supervisor last wrote; empty when it never did."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        return {name: ChildStatus(**values) for name, values in json.loads(state_file(table).read_text()).items()}
    return {}
