"""Days of evidence on their way: read and made, being published, not in the manifest yet.

Belongs here: what is known of a day at each of these steps. Not here: the steps (see evidence_materializer.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime

from lakehouse.adapters.evidence_engine import Materialized
from lakehouse.catalog.partitioned import Partition
from lakehouse.evidence.days import RawObject
from lakehouse.receipts.receipt import ReceiptItem


@dataclass(frozen=True, slots=True)
class Converted:
    """A day whose records are files in a local folder, which goes with `files`."""

    day: date
    objects: Sequence[RawObject]
    inputs: tuple[ReceiptItem, ...]
    made: Materialized
    started_at: datetime
    files: ExitStack


@dataclass(frozen=True, slots=True)
class OnItsWay:
    """A day that was made and is being published."""

    day: date
    known: Partition | None
    published: Future[Partition]


@dataclass(frozen=True, slots=True)
class Pending:
    """A day that was made and is not in the manifest yet; `known` is what served when it was begun."""

    day: date
    known: Partition | None
    made: Partition
