"""Compacting old receipts into Parquet: thousands of small objects become a few, and each receipt can still be found.

A receipt is moved when it is a day old: into `receipts/compacted/<sha256>.parquet`, a row for each with its key and
its whole document, and then its own object goes. Killed in between, a receipt is there twice, and readers take it once.

Belongs here: moving, finding. Not here: the receipt (see lakehouse/receipts), how long receipts are kept (see
lakehouse/operations/retention.py), the view (see stored_views.py).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from lakehouse.catalog.manifest import parse_utc
from lakehouse.errors import NotFound
from lakehouse.receipts.receipt import PREFIX
from lakehouse.storage.objects import ObjectInfo, ObjectStore, list_all
from lakehouse.storage.publish import publish

if TYPE_CHECKING:
    import pyarrow as pa

COMPACTED = f"{PREFIX}compacted/"
MIN_AGE = timedelta(days=1)
LEAST = 100
"""Fewer old receipts than this stay as they are."""
_AT_ONCE = 10_000
_READERS = 16
_TEXTS = ("asset", "partition", "run_id", "code_version", "git_commit")


@dataclass(frozen=True, slots=True)
class Compacted:
    """What was moved: receipts, and how many could not be read and stay."""

    moved: int
    unreadable: int


def compact_receipts(store: ObjectStore, folder: Path, *, now: datetime, least: int = LEAST) -> Compacted:
    """Move receipts that are a day old into Parquet.

    Args:
        store: The bucket.
        folder: Local folder for a file on its way; made where it is missing.
        now: The time that ages count from.
        least: Fewer than this are left alone.

    Raises:
        StoreUnavailable: The store does not answer; no receipt is lost, some may be there twice.
    """
    old = (info for info in list_all(store, PREFIX) if _is_old(info, now))
    moved = unreadable = 0
    folder.mkdir(parents=True, exist_ok=True)
    while infos := list(islice(old, _AT_ONCE)):
        if not moved and len(infos) < least:
            break
        with ThreadPoolExecutor(_READERS) as pool:
            read = [one for one in pool.map(lambda info: _read(store, info.key), infos) if one is not None]
            unreadable += len(infos) - len(read)
            if not read:
                continue
            with tempfile.TemporaryDirectory(dir=folder) as name:
                path = Path(name) / "receipts.parquet"
                _write(sorted(read, key=lambda one: one[0]), path)
                publish(store, path, lambda sha256: f"{COMPACTED}{sha256}.parquet")
            list(pool.map(store.delete, (key for key, _ in read)))
        moved += len(read)
    return Compacted(moved, unreadable)


def find_receipt(store: ObjectStore, key: str) -> dict[str, Any] | None:
    """The document of a receipt by its key, wherever it lies; None: there is none."""
    try:
        document: dict[str, Any] = orjson.loads(store.get(key).body)
    except NotFound:
        return next(_rows_of(store, key), None)
    return document


def each_receipt(store: ObjectStore) -> Iterator[tuple[str, bytes]]:
    """Every receipt, its key and its JSON, wherever it lies; one that lies twice comes once.

    Raises:
        StoreUnavailable: The store does not answer.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    own: set[str] = set()
    for info in list_all(store, PREFIX):
        if not info.key.startswith(COMPACTED):
            own.add(info.key)
            try:
                yield info.key, store.get(info.key).body
            except NotFound:
                continue  # it was moved since the listing
    for info in list_all(store, COMPACTED):
        file = pq.ParquetFile(pa.BufferReader(store.get(info.key).body))
        for batch in file.iter_batches(batch_size=1024, columns=["key", "document"]):
            for row in batch.to_pylist():
                if row["key"] not in own:
                    own.add(row["key"])
                    yield row["key"], row["document"].encode()


def _rows_of(store: ObjectStore, key: str) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    for info in list_all(store, COMPACTED):
        rows = pq.read_table(
            pa.BufferReader(store.get(info.key).body), columns=["document"], filters=[("key", "=", key)]
        )
        for text in rows["document"].to_pylist():
            yield orjson.loads(text)


def _is_old(info: ObjectInfo, now: datetime) -> bool:
    return info.key.endswith(".json") and not info.key.startswith(COMPACTED) and now - info.modified_at >= MIN_AGE


def _read(store: ObjectStore, key: str) -> tuple[str, dict[str, Any]] | None:
    try:
        document = orjson.loads(store.get(key).body)
        # A receipt that lacks a field of a column is not moved, so that somebody can look at it.
        parse_utc(document["started_at"]), parse_utc(document["ended_at"])
        if not all(isinstance(document[name], str) for name in _TEXTS) or not isinstance(document["ok"], bool):
            return None
    except NotFound:
        return None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return key, document


def _write(receipts: Sequence[tuple[str, dict[str, Any]]], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    documents = [document for _, document in receipts]
    columns: dict[str, pa.Array] = {"key": pa.array([key for key, _ in receipts], pa.string())}
    columns |= {name: pa.array([document[name] for document in documents], pa.string()) for name in _TEXTS}
    for name in ("started_at", "ended_at"):
        moments = [parse_utc(document[name]).replace(tzinfo=None) for document in documents]
        columns[name] = pa.array(moments, pa.timestamp("us"))
    columns["ok"] = pa.array([document["ok"] for document in documents], pa.bool_())
    columns["document"] = pa.array([orjson.dumps(document).decode() for document in documents], pa.string())
    pq.write_table(pa.table(columns), path, compression="zstd", row_group_size=2048)
