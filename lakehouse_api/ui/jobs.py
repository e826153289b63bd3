"""Long work that pages begin and watch: it goes on when the page is left, and a page loaded again finds it.

Belongs here: the work's life, its steps, who may see it, waiting for changes. Not here: what is done (see upload.py,
replay_form.py), what is written down of it (see job_records.py), how it is shown (see job_pages.py).
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import structlog

from lakehouse.clock import new_id
from lakehouse.errors import Conflict, LakehouseError, NotFound
from lakehouse_api.ui.job_records import JobRecord, JobRecords

_MOST_AT_ONCE = 16
_MOST_ENDED = 50
_WRITE_S = 1.0
_log = structlog.get_logger("lakehouse.ui.jobs")


class Job:
    """A piece of work of this process.

    Args:
        record: What is told of it.
        records: Where it is written down.
    """

    def __init__(self, record: JobRecord, records: JobRecords) -> None:
        self.record = record
        self._records = records
        self._begun_s = time.monotonic()
        self._written_s = 0.0
        self._changed = asyncio.Event()
        self._is_left = False
        self._tell()

    def leave(self) -> None:
        """End the streams of watchers; the job goes on."""
        self._is_left = True
        self._wake()

    def step(self, said: str) -> None:
        """Say what is done now."""
        self.record.steps.append((said, time.monotonic() - self._begun_s))
        self._tell()

    def progress(self, at: int, of: int, *, note: str = "", link: str | None = None) -> None:
        """Say how far it is, what it did last, and where what there is of its result can be seen."""
        self.record.at, self.record.of, self.record.note = at, of, note
        if link is not None and link != self.record.link:
            self.record.link, self._written_s = link, 0.0
        self._tell(is_small=True)

    def end(self, state: Literal["done", "failed", "interrupted"], message: str, link: str = "") -> None:
        """Set how it ended; only the first call counts, so a stop of the server during clean-up is no interruption."""
        record = self.record
        if record.state != "running":
            return
        record.state, record.message, record.link = state, message, link or record.link
        record.elapsed_s = time.monotonic() - self._begun_s
        self._tell()

    async def changes(self, *, beat_s: float = 1.0) -> AsyncIterator[JobRecord]:
        """The job now, at each change, and at each beat, until it has ended."""
        while True:
            changed = self._changed
            yield self.record
            if self.record.state != "running" or self._is_left:
                return
            try:
                async with asyncio.timeout(beat_s):
                    await changed.wait()
            except TimeoutError:
                pass  # nothing changed; the shown seconds are updated

    def _tell(self, *, is_small: bool = False) -> None:
        now_s = time.monotonic()
        if not is_small or now_s - self._written_s >= _WRITE_S:
            self._written_s = now_s
            self._records.write(self.record)
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


Work = Callable[[Job], Awaitable[None]]


class Jobs:
    """The work of this process, and what is known of that of others and of earlier ones.

    Args:
        folder: Where it is written down.
        keep_s: Seconds that work is remembered after its end.
    """

    def __init__(self, folder: Path, *, keep_s: float) -> None:
        self._records = JobRecords(folder, keep_s=keep_s)
        self._jobs: dict[str, Job] = {}
        self._ended: OrderedDict[str, JobRecord] = OrderedDict()  # in case the disk has refused a record
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_left = False

    def leave(self) -> None:
        """End the streams of watchers, as a stopping server would wait for them, and they for it."""
        self._is_left = True
        for job in self._jobs.values():
            job.leave()

    def start(
        self, title: str, work: Work, *, owner: str, kind: str, if_lost: str, link: str = "", is_alone: bool = False
    ) -> JobRecord:
        """Begin, and give the job at once.

        Args:
            title: What it is.
            work: Does it; it calls `step` and `end`. What it raises becomes the job's message.
            owner: Who may see it.
            kind: What sort of work it is.
            if_lost: What to say when the server ends first.
            link: Where what there is of its result can be seen meanwhile.
            is_alone: One of a kind at a time, of all processes of this data folder.

        Raises:
            Conflict: So much is at work that more would only make all of it slower, or one of its kind is.
        """
        if self.at_work >= _MOST_AT_ONCE:
            raise Conflict(f"{_MOST_AT_ONCE} pieces of long work are going on already; wait for one of them to end")
        if is_alone:
            self._require_alone(kind, owner)
        record = JobRecord(
            id=new_id(), title=title, owner=owner, kind=kind, if_lost=if_lost, began_s=time.time(),
            process=self._records.process, link=link,
        )  # fmt: skip
        job = self._jobs[record.id] = Job(record, self._records)
        task = asyncio.create_task(self._run(job, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return record

    def get(self, job_id: str, *, owner: str) -> JobRecord:
        """A job by its id.

        Raises:
            NotFound: There is none of this owner, or it has been forgotten.
        """
        job = self._jobs.get(job_id)
        record = self._records.read(job_id) or self._ended.get(job_id) if job is None else job.record
        if record is None or record.owner != owner:
            raise NotFound(
                "this piece of work is not known, or ended so long ago that it is forgotten; what it had finished is"
                " where it belongs: in the catalog, among the builds, among the replays"
            )
        return record

    async def changes(self, job_id: str, *, owner: str, beat_s: float = 1.0) -> AsyncIterator[JobRecord]:
        """A job now and at each change until it has ended; also one that another process is at.

        Raises:
            NotFound: As `get`.
        """
        job = self._jobs.get(job_id)
        record = self.get(job_id, owner=owner)
        if job is not None:
            async for record in job.changes(beat_s=beat_s):
                yield record
            return
        while True:
            yield record
            if record.state != "running" or self._is_left:
                return
            await asyncio.sleep(beat_s)
            record = self.get(job_id, owner=owner)

    def of(self, owner: str) -> list[JobRecord]:
        """The jobs of an owner, the newest first."""
        return [self._jobs[one.id].record if one.id in self._jobs else one for one in self._records.of(owner)]

    def expire(self) -> None:
        """Forget what ended long ago; blocking work."""
        self._records.expire()

    @property
    def at_work(self) -> int:
        """How many are going on in this process."""
        return len(self._jobs)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Let work be done; at the end what has begun in a thread is waited for."""
        self._records.open()
        try:
            yield
        finally:
            for task in tuple(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for job in tuple(self._jobs.values()):
                job.end("interrupted", job.record.if_lost)  # cancelled before it had begun
            self._jobs.clear()
            self._records.close()

    def _require_alone(self, kind: str, owner: str) -> None:
        for one in self._records.running():
            if one.kind == kind:
                where = f": /ui/jobs/{one.id}" if one.owner == owner else f", begun by {one.owner}"
                raise Conflict(f"one is going on already ({one.title}{where}); wait for its end, then begin again")

    async def _run(self, job: Job, work: Work) -> None:
        try:
            await work(job)
        except LakehouseError as error:
            job.end("failed", error.detail)
        except asyncio.CancelledError:
            job.end("interrupted", job.record.if_lost)
            raise
        except Exception:
            _log.exception("long work failed", job=job.record.id)
            job.end("failed", f"the server failed at this; its log has the details under the job {job.record.id}")
        finally:
            self._jobs.pop(job.record.id, None)
            self._ended[job.record.id] = job.record
            while len(self._ended) > _MOST_ENDED:
                self._ended.popitem(last=False)
