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
from lakehouse_cli.child_logs import NewLines, rotate
from lakehouse_cli.children import Child
from lakehouse_cli.ports import explain, taken
from lakehouse_cli.processes import ProcessTable, is_of_this_boot, start_detached, stop_sessions, write_atomically

LOOK_EVERY_S = 0.2
ROTATE_EVERY_S = 5.0
READ_LOGS_EVERY_S = 1.0
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
        self._logs_read_at = now()
        self._new_lines = {child.name: NewLines(self._log(child.name)) for child in children if child.stuck}
        self._stuck: set[str] = set()
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
        if self._now() - self._logs_read_at > READ_LOGS_EVERY_S:
            self._logs_read_at = self._now()
            self._stop_stuck()
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
            self._reap(child.name)  # it may have ended since it was asked above
            status.state, status.pid = "crashed", None
            status.exits += 1
            status.restarts += 1
            status.message = "it ended by itself" if not status.message else status.message
            self._retry_at[child.name] = self._now() + BACK_OFF_S[min(status.exits, len(BACK_OFF_S)) - 1]

    def _stop_stuck(self) -> None:
        """Stop children whose log says that only a new start helps, as soon as it would; the next look starts them."""
        for child in self._children:
            status = self.statuses[child.name]
            if child.stuck is None or status.state != "ready":
                continue
            if child.stuck.says.search(self._new_lines[child.name].read()):
                self._stuck.add(child.name)
            record = self._table.alive(child.name)
            if child.name not in self._stuck or record is None:
                continue
            if not child.stuck.can_start():
                status.message = child.stuck.waits_for
                continue
            stop_sessions([record], grace_s=child.grace_s)
            self._reap(child.name)
            self.statuses[child.name] = ChildStatus("waiting", restarts=status.restarts + 1)

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
            self._put_off(child.name, "; ".join(explain(need) for need in held))
            return
        if child.stuck is not None:
            self._stuck.discard(child.name)
            self._new_lines[child.name].skip()  # what the log says so far is of the process before
        try:
            process = self._launch(child)
        except OSError as error:  # as on a full disk
            self._put_off(child.name, f"it could not be started: {error}")
            return
        self._handles[child.name] = process
        self._ready_at.pop(child.name, None)
        status.state, status.pid, status.message = "starting", process.pid, ""

    def _launch(self, child: Child) -> subprocess.Popen[bytes]:
        launch = child.launch()
        process = start_detached(launch.command, log=self._log(child.name), env=launch.env)
        try:
            self._table.remember(child.name, process.pid, launch.command, url=child.url)
        except OSError:
            process.kill()  # nobody would find it again
            process.wait()
            raise
        return process

    def _put_off(self, name: str, message: str) -> None:
        status = self.statuses[name]
        status.state, status.message = "crashed", message
        status.exits += 1
        self._retry_at[name] = self._now() + BACK_OFF_S[min(status.exits, len(BACK_OFF_S)) - 1]

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

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def _write_state(self) -> None:
        text = json.dumps({name: asdict(status) for name, status in self.statuses.items()})
        if text != self._written:
            with contextlib.suppress(OSError):  # a full disk must not end who starts the children: it is tried again
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
