"""Long work that pages begin and watch: it goes on when the page is left, and a page loaded again finds it.

Belongs here: the work's life, its steps, who may see it, waiting for changes. Not here: what is done (see upload.py),
how it is shown (see job_pages.py).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

import structlog

from lakehouse.clock import new_id
from lakehouse.errors import Conflict, LakehouseError, NotFound

_KEPT = 200
_MOST_AT_ONCE = 16
_STOPPING = "the server is stopping; begin again when it is back"
_log = structlog.get_logger("lakehouse.ui.jobs")


@dataclass(slots=True)
class Job:
    """A piece of work.

    Attributes:
        id: Of its page.
        title: What it is, for people.
        owner: Name of the token that began it; nobody else sees it.
        steps: What has been begun so far, each with its second since the start.
        state: How it stands.
        message: What came of it, or what went wrong.
        link: Where its result is, below the sub-path.
    """

    id: str
    title: str
    owner: str
    started_s: float
    steps: list[tuple[str, float]] = field(default_factory=list)
    state: Literal["running", "done", "failed"] = "running"
    message: str = ""
    link: str = ""
    elapsed_s: float = 0.0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def step(self, said: str) -> None:
        """Say what is done now."""
        self.steps.append((said, time.monotonic() - self.started_s))
        self._tell()

    def end(self, state: Literal["done", "failed"], message: str, link: str = "") -> None:
        """Say how it ended."""
        self.state, self.message, self.link = state, message, link
        self.elapsed_s = time.monotonic() - self.started_s
        self._tell()

    async def changes(self, *, beat_s: float = 1.0) -> AsyncIterator[Job]:
        """The job now, at each change, and at each beat, until it has ended."""
        while True:
            changed = self._changed
            yield self
            if self.state != "running":
                return
            try:
                async with asyncio.timeout(beat_s):
                    await changed.wait()
            except TimeoutError:
                pass  # a beat: the seconds go on

    @property
    def seconds(self) -> float:
        """How long it has been at work."""
        return self.elapsed_s if self.state != "running" else time.monotonic() - self.started_s

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


Work = Callable[[Job], Awaitable[None]]


class Jobs:
    """The work of this process; what ended longest ago is forgotten first."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, title: str, work: Work, *, owner: str) -> Job:
        """Begin, and give the job at once.

        Args:
            title: What it is.
            work: Does it; it calls `step` and `end`. What it raises becomes the job's message.
            owner: Who may see it.

        Raises:
            Conflict: So much is at work that more would only make all of it slower.
        """
        if self.at_work >= _MOST_AT_ONCE:
            raise Conflict(f"{_MOST_AT_ONCE} pieces of long work are going on already; wait for one of them to end")
        job = Job(new_id(), title, owner, time.monotonic())
        self._jobs[job.id] = job
        self._forget()
        task = asyncio.create_task(self._run(job, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return job

    def get(self, job_id: str, *, owner: str) -> Job:
        """A job by its id.

        Raises:
            NotFound: There is none of this owner here, or it has been forgotten.
        """
        job = self._jobs.get(job_id)
        if job is None or job.owner != owner:
            raise NotFound(
                "this piece of work is not known: the server has started again since, or it ended long ago;"
                " what it had finished is in the catalog"
            )
        return job

    def of(self, owner: str) -> list[Job]:
        """The jobs of an owner, the newest first."""
        return [job for job in reversed(self._jobs.values()) if job.owner == owner]

    @property
    def at_work(self) -> int:
        """How many are going on."""
        return sum(job.state == "running" for job in self._jobs.values())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Let work be done; at the end what has begun in a thread is waited for."""
        try:
            yield
        finally:
            for task in tuple(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for job in self._jobs.values():
                if job.state == "running":  # cancelled before it had begun
                    job.end("failed", _STOPPING)

    def _forget(self) -> None:
        ended = [job.id for job in self._jobs.values() if job.state != "running"]
        for job_id in ended[: max(0, len(self._jobs) - _KEPT)]:
            del self._jobs[job_id]

    async def _run(self, job: Job, work: Work) -> None:
        try:
            await work(job)
        except LakehouseError as error:
            job.end("failed", error.detail)
        except asyncio.CancelledError:
            job.end("failed", _STOPPING)
            raise
        except Exception:
            _log.exception("long work failed", job=job.id)
            job.end("failed", f"the server failed at this; its log has the details under the job {job.id}")
