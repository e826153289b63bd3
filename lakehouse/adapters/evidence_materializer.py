"""Evidence in the bucket: days of raw streams become files that a manifest names, each day at most once.

A day whose raw objects are those it was made of is left alone (a memo hit). Else they are fetched, made evidence,
published under their content's key, told in a receipt, and named by the manifest of the stream in one swap: killed
anywhere before that, what served goes on serving. Raw logs are kept for ever; where objects are gone all the same, the
day's evidence stays as it is, and the day is named as one that has lost its source.

Belongs here: one stream's days from the bucket to the bucket. Not here: lines to records (see evidence_engine.py), what
serves across days (see evidence_index.py), Dagster (see lakehouse_assets/evidence.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

from lakehouse.adapters.evidence_engine import Materialized
from lakehouse.adapters.evidence_raw import OBJECTS, fetch_objects, is_given, list_days, lost_objects, made_days
from lakehouse.adapters.evidence_under_way import Converted, OnItsWay, Pending
from lakehouse.adapters.evidence_workshop import Workshop
from lakehouse.adapters.scratch import full_disk_told
from lakehouse.catalog.partitioned import Partition, PartitionedTable, PartitionFile, TableManifest
from lakehouse.clock import utc_now
from lakehouse.errors import InsufficientStorage, LakehouseError, Unavailable
from lakehouse.evidence.days import RawObject, day_prefix, fingerprint_of
from lakehouse.evidence.transforms import transform_of
from lakehouse.receipts.receipt import Receipt, ReceiptCounts, ReceiptItem, write_receipt
from lakehouse.storage.objects import ObjectStore
from lakehouse.storage.publish import publish

TABLE = "evidence/"
EVIDENCE, SUPERSEDED, QUARANTINE = "evidence", "superseded", "quarantine"
_ATTEMPTS = 3
# Small days are committed together, as a swap of the manifest for each would take longer than making them.
_COMMIT_S = 1.0


@dataclass(frozen=True, slots=True)
class DayResult:
    """What became of one day.

    Attributes:
        stream: The stream.
        day: The day.
        partition: What serves now; None: there is nothing, and never was.
        is_new: Whether this run made it; False: a memo hit, or there was nothing to do.
        lost: Raw objects that it was made of and that are gone; its evidence stays.
        error: Why it could not be made, while others could; its evidence stays.
    """

    stream: str
    day: date
    partition: Partition | None
    is_new: bool
    lost: tuple[str, ...] = ()
    error: LakehouseError | None = None


@dataclass(frozen=True, slots=True)
class RunFacts:
    """Who makes evidence, for receipts."""

    run_id: str
    git_commit: str = ""


class EvidenceMaterializer:
    """Makes the evidence of days.

    Args:
        store: The bucket.
        work_dir: Local folder for temporary files.
        require_space: Raises `InsufficientStorage` when the disk may take no more.
        clock: The time now, for receipts.
    """

    def __init__(
        self,
        store: ObjectStore,
        *,
        work_dir: Path,
        require_space: Callable[[], None] = lambda: None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store = store
        self._work_dir = work_dir
        self._require_space = require_space
        self._clock = clock

    def behind(self, stream: str, days: Iterable[date] | None = None) -> dict[date, list[RawObject]]:
        """Days whose raw objects are not those that their evidence was made of, each with its objects.

        Args:
            stream: The stream.
            days: Only these; None: every day there is, or was: one that has lost all its objects has none.
        """
        wanted = None if days is None else sorted(days)
        manifest = PartitionedTable(self._store, TABLE + stream).read()
        version = transform_of(stream).version
        found = {**made_days(manifest, wanted), **list_days(self._store, stream, wanted)}
        return {day: objects for day, objects in found.items() if _is_behind(manifest, stream, version, day, objects)}

    def materialize(
        self, stream: str, days: Sequence[date], run: RunFacts, *, stops_at_failure: bool = True
    ) -> Iterator[DayResult]:
        """Bring days up to date, one after the other, each committed by itself.

        Args:
            stream: The stream.
            days: Which ones.
            run: Who does it.
            stops_at_failure: False: a day whose lines cannot be read, while the store gives others, has an `error`,
                and those behind it are made.

        Raises:
            InsufficientStorage: The disk has no room; days before are done.
            StoreUnavailable: The store does not answer; likewise.
        """
        table = PartitionedTable(self._store, TABLE + stream, clock=self._clock)
        manifest = table.read()
        version = transform_of(stream).version
        listed = list_days(self._store, stream, sorted(days))
        pending: list[OnItsWay] = []
        failed: set[date] = set()
        begun_s = time.monotonic()
        # A day is published while the next one is made, as the store's answers take as long as making a small day.
        with Workshop(self._work_dir) as workshop, ThreadPoolExecutor(1, thread_name_prefix="publish") as publisher:
            for day in days:
                objects = listed.get(day, [])
                known = manifest.partitions.get(day.isoformat())
                if not _is_behind(manifest, stream, version, day, objects):
                    yield DayResult(stream, day, known, is_new=False)
                elif lost := lost_objects(self._store, known, objects, prefix=day_prefix(stream, day)):
                    yield DayResult(stream, day, known, is_new=False, lost=lost)
                else:
                    try:
                        converted = self._convert(stream, day, objects, workshop)
                    except LakehouseError as error:
                        failed.add(day)
                        others = [objects for day, objects in listed.items() if objects and day not in failed]
                        if not stops_at_failure and self._is_of_day(error, others, table):
                            yield DayResult(stream, day, known, is_new=False, error=error)
                            continue
                        # The days before this one are committed, whatever became of this one.
                        yield from self._commit_all(table, stream, pending, run, workshop)
                        raise
                    wait([one.published for one in pending])  # so that no more than two days lie on the disk
                    published = publisher.submit(self._publish_day, stream, converted, run)
                    pending.append(OnItsWay(day, known, published))
                if pending and time.monotonic() - begun_s > _COMMIT_S:
                    yield from self._commit_all(table, stream, pending, run, workshop)
                    pending, begun_s = [], time.monotonic()
            yield from self._commit_all(table, stream, pending, run, workshop)

    def _is_of_day(self, error: LakehouseError, others: Sequence[Sequence[RawObject]], table: PartitionedTable) -> bool:
        """Whether what failed is of one day's objects: neither is the disk full, nor does the store give no other's.

        Of the other days the first and the last are asked, since another one may be damaged, too; where there is none,
        the manifest is.
        """
        if isinstance(error, InsufficientStorage):
            return False
        keys = [objects[0].key for objects in (others[0], others[-1])] if others else [table.key]
        return any(is_given(self._store, key) for key in keys)

    def _commit_all(
        self, table: PartitionedTable, stream: str, days: Sequence[OnItsWay], run: RunFacts, workshop: Workshop
    ) -> Iterator[DayResult]:
        """Commit the days that were published, then raise the first error of the others."""
        done: list[Pending] = []
        failure: LakehouseError | None = None
        for one in days:
            try:
                done.append(Pending(one.day, one.known, one.published.result()))
            except LakehouseError as error:
                failure = failure or error
        yield from self._commit(table, stream, done, run, workshop)
        if failure is not None:
            raise failure

    def _commit(
        self, table: PartitionedTable, stream: str, pending: Sequence[Pending], run: RunFacts, workshop: Workshop
    ) -> Iterator[DayResult]:
        """Commit days. A day that another run has made from other objects meanwhile is looked at once more."""
        for _ in range(_ATTEMPTS):
            beaten: list[Pending] = []
            if not pending:
                return

            def update(
                live: TableManifest, mine: Sequence[Pending] = pending, beaten: list[Pending] = beaten
            ) -> dict[str, Partition]:
                beaten.clear()
                changes: dict[str, Partition] = {}
                for one in mine:
                    now = live.partitions.get(one.day.isoformat())
                    if now is not None and now.fingerprint == one.made.fingerprint:
                        continue  # another run has made exactly the same
                    if now != one.known:
                        beaten.append(replace(one, known=now))
                        continue
                    changes[one.day.isoformat()] = one.made
                return changes

            manifest = table.commit(update)
            lost = {one.day for one in beaten}
            for one in pending:
                if one.day not in lost:
                    yield DayResult(stream, one.day, manifest.partitions.get(one.day.isoformat()), is_new=True)
            pending = [self._again(stream, one, run, workshop) for one in beaten]
        raise Unavailable(f"other runs kept making the same days of {stream!r}; try again", retry_after_s=5)

    def _again(self, stream: str, one: Pending, run: RunFacts, workshop: Workshop) -> Pending:
        objects = list_days(self._store, stream, [one.day]).get(one.day, [])
        return replace(one, made=self._make(stream, one.day, objects, run, workshop))

    def _make(
        self, stream: str, day: date, objects: Sequence[RawObject], run: RunFacts, workshop: Workshop
    ) -> Partition:
        return self._publish_day(stream, self._convert(stream, day, objects, workshop), run)

    def _convert(self, stream: str, day: date, objects: Sequence[RawObject], workshop: Workshop) -> Converted:
        started_at = self._clock()
        self._require_space()
        with full_disk_told(self._work_dir), ExitStack() as kept:
            folder = kept.enter_context(workshop.folder())
            fetched = fetch_objects(self._store, objects, folder)
            made = workshop.engine.materialize(transform_of(stream), [file for file, _ in fetched], folder)
            inputs = tuple(ReceiptItem(file.source_key, sha256, None) for file, sha256 in fetched)
            return Converted(day, objects, inputs, made, started_at, kept.pop_all())

    def _publish_day(self, stream: str, converted: Converted, run: RunFacts) -> Partition:
        transform = transform_of(stream)
        day, made, objects = converted.day, converted.made, converted.objects
        with converted.files, full_disk_told(self._work_dir):
            files = tuple(self._publish(stream, day, made))
        counts = made.counts
        told = ReceiptCounts(
            taken=counts.lines_in,
            new=counts.new,
            corrected=counts.corrected,
            duplicate=counts.duplicate,
            quarantined=counts.quarantined,
            out=counts.new,
            left_out=counts.left_out,
        )
        receipt = Receipt(
            asset=TABLE + stream,
            partition=day.isoformat(),
            run_id=run.run_id,
            code_version=f"{transform.version}",
            git_commit=run.git_commit,
            started_at=converted.started_at,
            ended_at=self._clock(),
            inputs=converted.inputs,
            outputs=tuple(ReceiptItem(file.key, file.sha256, file.rows) for file in files),
            counts=told,
        )
        write_receipt(self._store, receipt)
        fingerprint = fingerprint_of(stream, transform.version, objects)
        return Partition(fingerprint, files, {**told.to_document(), OBJECTS: len(objects)}, receipt.key)

    def _publish(self, stream: str, day: date, made: Materialized) -> Iterator[PartitionFile]:
        folder = f"{TABLE}{stream}/dt={day.isoformat()}/"
        counts = made.counts
        if counts.new:
            one = publish(self._store, made.evidence, lambda sha256: f"{folder}{sha256}.parquet", clock=self._clock)
            yield PartitionFile(EVIDENCE, one.key, one.size, one.sha256, counts.new)
        if made.superseded is not None:
            one = publish(
                self._store, made.superseded, lambda sha256: f"{folder}superseded-{sha256}.parquet", clock=self._clock
            )
            yield PartitionFile(SUPERSEDED, one.key, one.size, one.sha256, counts.corrected)
        if made.quarantine is not None:
            one = publish(
                self._store,
                made.quarantine,
                lambda sha256: f"quarantine/evidence/dt={day.isoformat()}/{stream}-{sha256}.jsonl",
                content_type="application/x-ndjson",
                clock=self._clock,
            )
            yield PartitionFile(QUARANTINE, one.key, one.size, one.sha256, counts.quarantined)


def _is_behind(manifest: TableManifest, stream: str, version: int, day: date, objects: Sequence[RawObject]) -> bool:
    known = manifest.partitions.get(day.isoformat())
    if known is None:
        return bool(objects)
    return known.fingerprint != fingerprint_of(stream, version, objects)
