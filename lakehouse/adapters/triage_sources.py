"""Where items come from: scores, reviews, drift and builds of the bucket, read in flat memory.

Belongs here: reading. Not here: what asks for a person (see lakehouse/triage/asks.py), the queue (see triage_queue.py).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import orjson
import structlog

from lakehouse.adapters.distill_writer import QUARANTINE
from lakehouse.adapters.drift_gate import DriftGate
from lakehouse.adapters.evidence_lake import (
    BUILDS_TABLE,
    INDEX_TABLE,
    SCORED_TABLE,
    SUPERSEDED_BY,
    add_relations,
    open_lake,
)
from lakehouse.adapters.objects import S3Location
from lakehouse.adapters.review_store import ReviewStore
from lakehouse.catalog.partitioned import Partition, PartitionedTable
from lakehouse.drift.finding import KINDS
from lakehouse.errors import BadInput, NotFound
from lakehouse.query.quoting import quote_text
from lakehouse.storage.lines import lines_of
from lakehouse.storage.objects import ObjectStore
from lakehouse.triage.asks import (
    NEEDS_REVIEW,
    ask_of_drift,
    ask_of_review,
    ask_of_run,
    ask_of_sample,
    reasons_that_ask,
)
from lakehouse.triage.item import Item

REVIEWS_REACH = timedelta(days=30)
"""Reviews that are older ask for nobody."""
_BATCH_ROWS = 2048
_log = structlog.get_logger("lakehouse.triage")
_COLUMNS = "run_id, stream, dt, task_id, score, reasons, rule, kind_of_ground, testimony, record_sha256"


@dataclass(frozen=True, slots=True)
class TriageSources:
    """All that may ask for a person in one bucket.

    Attributes:
        store: The bucket.
        location: The bucket's address with read-only keys, for query engines.
        work_dir: Local folder that query engines may spill to.
    """

    store: ObjectStore
    location: S3Location
    work_dir: Path

    def items(self, now: datetime) -> Iterator[Item]:
        """Everything that asks for a person now, in no order.

        Raises:
            StoreUnavailable: The store does not answer.
        """
        yield from self.runs()
        yield from self.samples()
        yield from self.drift()
        yield from self.reviews(now)

    def runs(self) -> Iterator[Item]:
        """Runs whose score asks."""
        scored = PartitionedTable(self.store, SCORED_TABLE).read()
        index = PartitionedTable(self.store, INDEX_TABLE).read()
        reasons = ", ".join(map(quote_text, reasons_that_ask()))
        self.work_dir.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory(prefix="triage-", dir=self.work_dir) as folder,
            open_lake(self.location, Path(folder)) as engine,
        ):
            add_relations(engine, self.location.bucket, index, scored)
            # Only runs with a record: a retracted run has none at once, while its scores are removed some minutes
            # later.
            rows = engine.execute(
                f"SELECT {_COLUMNS} FROM scored SEMI JOIN evidence USING (run_id, stream)"
                f" WHERE score = '{NEEDS_REVIEW}' OR list_has_any(reasons, [{reasons}])"
            ).to_arrow_reader(_BATCH_ROWS)
            for batch in rows:
                for row in batch.to_pylist():
                    item = ask_of_run(row)
                    if item is not None:
                        yield item

    def samples(self) -> Iterator[Item]:
        """Samples that the newest build of each kind refused for personal data."""
        newest: dict[str, tuple[int, str, Partition]] = {}
        for entry, partition in PartitionedTable(self.store, BUILDS_TABLE).read().partitions.items():
            kind, created_us = entry.partition("/")[0], partition.counts.get("created_us", 0)
            is_kept = partition.file(SUPERSEDED_BY) is None
            if is_kept and created_us >= newest.get(kind, (0, "", partition))[0]:
                newest[kind] = (created_us, entry, partition)
        for _, entry, partition in newest.values():
            file = partition.file(QUARANTINE)
            if file is None:
                continue
            with self.store.open(file.key) as reader:
                for line in lines_of(reader.chunks()):
                    item = ask_of_sample(orjson.loads(line), build=entry) if line.strip() else None
                    if item is not None:
                        yield item

    def drift(self) -> Iterator[Item]:
        """Drift that is confirmed and that nobody has acknowledged."""
        gate = DriftGate(self.store)
        for kind in KINDS:
            try:
                found = gate.open_drift(kind)
            except BadInput as error:  # a damaged report keeps the gate shut and is reported there; other items go on
                _log.warning("drift is not known", kind=kind, reason=error.detail)
                continue
            if found is not None:
                yield ask_of_drift(found)

    def reviews(self, now: datetime) -> Iterator[Item]:
        """Parts of diffs that reviewers of two lineages contradict each other on."""
        reviews = ReviewStore(self.store)
        since_ms = int((now - REVIEWS_REACH).timestamp() * 1000)
        for review_id in reviews.ids():
            if int(review_id.replace("-", "")[:12], 16) < since_ms:  # UUIDv7: 48 bits of milliseconds
                continue
            try:
                yield from ask_of_review(reviews.report(review_id))
            except NotFound:  # its report is being written
                continue
