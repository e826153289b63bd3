"""Records of long jobs on disk, so that a job's page works after a restart and says what became of the job.

A record names the process that runs the job. Each process holds a lock while it lives, so a job that its record calls
running and whose process holds no lock was cut off, however that process ended.

Belongs here: records on disk, whose they are, how long they stay. Not here: doing the work (see jobs.py).
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import structlog

from lakehouse.clock import new_id
from lakehouse_api.ui.kept_files import drop_lock, is_locked, read_document, take_lock, write_document

State = Literal["running", "done", "failed", "interrupted"]
_FORMAT = 1
_MOST_PER_OWNER = 100
_NEW_LOCK_S = 60  # a younger lock file may have been made and not locked yet
_ID = re.compile(r"[0-9a-zA-Z-]{1,64}")
_log = structlog.get_logger("lakehouse.ui.jobs")


@dataclass(slots=True)
class JobRecord:
    """A piece of work.

    Attributes:
        id: Of its page.
        title: What it is, for people.
        owner: Name of the token that began it; nobody else sees it.
        kind: What sort of work it is: the name of the page that begins it.
        if_lost: What to tell when its process ends before it: what is true then, and what to do.
        began_s: Since the epoch.
        steps: What has been begun so far, each with its second since the start.
        at: How far it is, of `of`; where both are None it cannot tell.
        note: What it did last.
        state: How it stands; `interrupted`: its process ended first.
        message: What came of it, or what went wrong.
        link: Where its result is, below the sub-path.
        process: Who is at it.
    """

    id: str
    title: str
    owner: str
    kind: str
    if_lost: str
    began_s: float
    process: str
    steps: list[tuple[str, float]] = field(default_factory=list)
    at: int | None = None
    of: int | None = None
    note: str = ""
    state: State = "running"
    message: str = ""
    link: str = ""
    elapsed_s: float = 0.0

    @property
    def seconds(self) -> float:
        """How long it has been at work."""
        return self.elapsed_s if self.state != "running" else max(0.0, time.time() - self.began_s)


class JobRecords:
    """The records of a data folder, for any number of processes.

    Args:
        folder: Where they lie.
        keep_s: Seconds after their end that they stay.
    """

    def __init__(self, folder: Path, *, keep_s: float) -> None:
        self.process = new_id()
        self._folder = folder
        self._keep_s = keep_s
        self._lock: int | None = None

    def open(self) -> None:
        """Take the lock of this process."""
        self._lock = take_lock(self._lock_of(self.process))
        self.expire()

    def close(self) -> None:
        """Release the lock of this process."""
        if self._lock is not None:
            drop_lock(self._lock)
            self._lock = None
            self._lock_of(self.process).unlink(missing_ok=True)

    def write(self, record: JobRecord) -> None:
        """Write a record down; a disk that refuses it stops no work."""
        try:
            write_document(self._folder / f"{record.id}.json", {"format_version": _FORMAT, **asdict(record)})
        except OSError as error:
            _log.warning("long work is not written down", job=record.id, reason=error.strerror)

    def read(self, job_id: str) -> JobRecord | None:
        """A record by its id; None: there is none, or it is too old."""
        if _ID.fullmatch(job_id) is None:
            return None
        return self._read(self._folder / f"{job_id}.json")

    def of(self, owner: str) -> list[JobRecord]:
        """The records of an owner, the newest first."""
        return sorted((one for one in self._all() if one.owner == owner), key=lambda one: one.id, reverse=True)

    def running(self) -> list[JobRecord]:
        """The running jobs of all owners and processes."""
        return [one for one in self._all() if one.state == "running"]

    def expire(self) -> None:
        """Take away what is too old, what an owner has too many of, and locks that nobody holds."""
        kept: dict[str, int] = {}
        for path in sorted(self._folder.glob("*.json"), reverse=True):
            record = self._read(path)
            if record is not None:
                kept[record.owner] = kept.get(record.owner, 0) + 1
            if record is None or (record.state != "running" and kept[record.owner] > _MOST_PER_OWNER):
                path.unlink(missing_ok=True)
        for path in self._folder.glob("*.lock"):
            if time.time() - path.stat().st_mtime > _NEW_LOCK_S and not is_locked(path):
                path.unlink(missing_ok=True)

    def _all(self) -> Iterator[JobRecord]:
        for path in self._folder.glob("*.json"):
            record = self._read(path)
            if record is not None:
                yield record

    def _read(self, path: Path) -> JobRecord | None:
        found = read_document(path)
        if found is None or found.pop("format_version", None) != _FORMAT:
            return None
        try:
            record = JobRecord(**{**found, "steps": [(said, at) for said, at in found["steps"]]})
        except (KeyError, TypeError, ValueError):
            return None
        if record.state == "running" and not is_locked(self._lock_of(record.process)):
            seen_s = path.stat().st_mtime
            record.state, record.message = "interrupted", record.if_lost
            record.elapsed_s = max(0.0, seen_s - record.began_s)
        is_old = record.state != "running" and time.time() - record.began_s - record.elapsed_s > self._keep_s
        return None if is_old else record

    def _lock_of(self, process: str) -> Path:
        return self._folder / f"{process}.lock"
