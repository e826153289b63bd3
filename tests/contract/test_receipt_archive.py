"""Receipts moved together: none is lost, each can be found, a kill in between doubles none in the view."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import orjson

from lakehouse.adapters.receipt_archive import COMPACTED, compact_receipts, each_receipt, find_receipt
from lakehouse.query.views import receipts_view
from lakehouse.receipts.receipt import Receipt, ReceiptCounts, write_receipt
from lakehouse.storage.objects import ObjectStore, list_all
from tests.fakes.objects import MemoryObjects

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def receipt(number: int) -> Receipt:
    counts = ReceiptCounts(taken=number, new=number, out=number)
    return Receipt("dataset", f"part-{number}", "run", "1", "abc", NOW, NOW, (), (), counts)


def keys(store: ObjectStore) -> list[str]:
    return [info.key for info in list_all(store, "receipts/")]


def after(store: ObjectStore) -> datetime:
    return max(info.modified_at for info in list_all(store, "receipts/")) + timedelta(days=2)


def test_old_receipts_are_moved_and_found(tmp_path: Path) -> None:
    store = MemoryObjects()
    for number in range(5):
        write_receipt(store, receipt(number))
    store.put("receipts/dataset/odd/run.json", b'{"asset": 7}')
    done = compact_receipts(store, tmp_path, now=after(store), least=3)
    assert (done.moved, done.unreadable) == (5, 1)
    assert sorted(key.startswith(COMPACTED) for key in keys(store)) == [False, True]
    assert find_receipt(store, receipt(3).key) == orjson.loads(receipt(3).to_json())
    assert find_receipt(store, receipt(9).key) is None
    write_receipt(store, receipt(9))
    assert find_receipt(store, receipt(9).key) == orjson.loads(receipt(9).to_json())


def test_each_receipt_comes_once_wherever_it_lies(tmp_path: Path) -> None:
    store = MemoryObjects()
    for number in range(4):
        write_receipt(store, receipt(number))
    compact_receipts(store, tmp_path, now=after(store), least=1)
    write_receipt(store, receipt(2))  # one that a kill has left
    write_receipt(store, receipt(7))
    found = dict(each_receipt(store))
    assert sorted(found) == sorted(receipt(number).key for number in (0, 1, 2, 3, 7))
    assert orjson.loads(found[receipt(1).key]) == orjson.loads(receipt(1).to_json())


def test_young_and_few_receipts_stay(tmp_path: Path) -> None:
    store = MemoryObjects()
    for number in range(5):
        write_receipt(store, receipt(number))
    before = keys(store)
    assert compact_receipts(store, tmp_path, now=after(store)).moved == 0
    young = after(store) - timedelta(days=2)
    assert compact_receipts(store, tmp_path, now=young, least=1).moved == 0
    assert keys(store) == before


def test_receipt_that_lies_twice_is_seen_once(tmp_path: Path) -> None:
    store = MemoryObjects()
    for number in range(4):
        write_receipt(store, receipt(number))
    compact_receipts(store, tmp_path, now=after(store), least=1)
    [moved] = keys(store)
    (tmp_path / "moved.parquet").write_bytes(store.get(moved).body)
    for number in (3, 4):  # one whose object was not removed any more, and a new one
        path = tmp_path / "receipts" / f"{number}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(receipt(number).to_json())
    view = receipts_view(f"{tmp_path}/receipts/**/*.json", [f"{tmp_path}/moved.parquet"])
    assert view is not None
    rows = duckdb.sql(f"SELECT partition, ok FROM ({view.text(is_full=True)}) ORDER BY 1").fetchall()
    assert rows == [(f"part-{number}", True) for number in range(5)]
    assert receipts_view(None, []) is None
