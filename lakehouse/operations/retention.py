"""Retention: receipts, and objects of the memory log that are folded, go after their time.

Belongs here: the plan and its execution. Not here: versions and data (see lakehouse/catalog/gc.py); raw run logs,
which are kept: evidence is made from them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lakehouse.receipts.receipt import PREFIX as RECEIPTS
from lakehouse.storage.objects import ObjectInfo, ObjectStore, list_all

MEMORY_LOG = "log/"


@dataclass(slots=True)
class RetentionReport:
    """What was found (`dry_run`) or removed, and how much stays."""

    dry_run: bool
    expired: list[ObjectInfo] = field(default_factory=list)
    kept: int = 0

    @property
    def bytes_expired(self) -> int:
        """Bytes of everything expired."""
        return sum(info.size for info in self.expired)


def _nothing_is_folded(_: str) -> bool:
    return False


def apply_retention(
    store: ObjectStore,
    *,
    now: datetime,
    log_age: timedelta,
    receipt_age: timedelta,
    dry_run: bool,
    is_folded: Callable[[str], bool] = _nothing_is_folded,
) -> RetentionReport:
    """Remove what is past its time.

    Args:
        store: The bucket.
        now: The time that ages count from.
        log_age: Age from which folded objects under `log/` may go.
        receipt_age: Age from which receipts may go.
        dry_run: Only report.
        is_folded: Whether an object of the memory log is in its table; one that is not never goes, however old.
    """
    report = RetentionReport(dry_run)
    for info in list_all(store, RECEIPTS):
        _sort(report, info, is_expired=now - info.modified_at > receipt_age)
    for info in list_all(store, MEMORY_LOG):
        _sort(report, info, is_expired=now - info.modified_at > log_age and is_folded(info.key))
    if not dry_run:
        for info in report.expired:
            store.delete(info.key)
    return report


def _sort(report: RetentionReport, info: ObjectInfo, *, is_expired: bool) -> None:
    if is_expired:
        report.expired.append(info)
    else:
        report.kept += 1
