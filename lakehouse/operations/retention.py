"""Retention: receipts, and objects of the memory log that are folded, go after their time.

Belongs here: the plan and its execution. Not here: versions and data (see lakehouse/catalog/gc.py); raw run logs,
which are kept: evidence is made from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import orjson

from lakehouse.errors import NotFound
from lakehouse.memory.keys import LOG_PREFIX, STREAM_ENDED, parse_object_key
from lakehouse.receipts.receipt import PREFIX as RECEIPTS
from lakehouse.retrieval.live_table import live_key
from lakehouse.storage.objects import ObjectInfo, ObjectStore, list_all


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


def folded_objects(store: ObjectStore) -> Callable[[str], bool]:
    """Whether an object of the memory log is in its table, as the tables' pointers say now.

    Raises:
        StoreUnavailable: The store does not answer.
    """
    through: dict[str, Mapping[str, int]] = {}

    def is_folded(key: str) -> bool:
        parsed = parse_object_key(key)
        if parsed is None:
            return False
        table, writer, seq = parsed
        if table not in through:
            through[table] = _folded_through(store, table)
        return seq <= through[table].get(writer, 0)

    return is_folded


def apply_retention(
    store: ObjectStore,
    *,
    now: datetime,
    log_age: timedelta,
    receipt_age: timedelta,
    dry_run: bool,
    is_folded: Callable[[str], bool] | None = None,
) -> RetentionReport:
    """Remove what is past its time.

    Args:
        store: The bucket.
        now: The time that ages count from.
        log_age: Age from which folded objects under `log/` may go.
        receipt_age: Age from which receipts may go.
        dry_run: Only report.
        is_folded: Whether an object of the memory log is in its table; one that is not never goes, however old. By
            default the tables' pointers tell.
    """
    is_folded = is_folded or folded_objects(store)
    report = RetentionReport(dry_run)
    for info in list_all(store, RECEIPTS):
        _sort(report, info, is_expired=now - info.modified_at > receipt_age)
    for info, is_newest in _with_newest(list_all(store, LOG_PREFIX)):
        # A stream that still goes on keeps its newest object: a folder that is empty says that its stream has ended.
        age = max(log_age, STREAM_ENDED) if is_newest else log_age
        _sort(report, info, is_expired=now - info.modified_at > age and is_folded(info.key))
    if not dry_run:
        for info in report.expired:
            store.delete(info.key)
    return report


def _sort(report: RetentionReport, info: ObjectInfo, *, is_expired: bool) -> None:
    if is_expired:
        report.expired.append(info)
    else:
        report.kept += 1


def _with_newest(infos: Iterator[ObjectInfo]) -> Iterator[tuple[ObjectInfo, bool]]:
    """Each object, and whether it is the last of its folder; those of a folder follow each other."""
    previous: ObjectInfo | None = None
    for info in infos:
        if previous is not None:
            yield previous, previous.key.rpartition("/")[0] != info.key.rpartition("/")[0]
        previous = info
    if previous is not None:
        yield previous, True


def _folded_through(store: ObjectStore, table: str) -> Mapping[str, int]:
    try:
        document = orjson.loads(store.get(live_key(table)).body)
        return {str(writer): int(seq) for writer, seq in document["folded_through"].items()}
    except (NotFound, ValueError, KeyError, TypeError, AttributeError):
        return {}  # no table, or a damaged pointer: nothing of it may go
