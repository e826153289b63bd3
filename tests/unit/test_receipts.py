"""Receipts: their balance, their document, their key."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.errors import BadInput
from lakehouse.receipts.receipt import Receipt, ReceiptCounts, ReceiptItem, write_receipt


def receipt(partition: str = "workers") -> Receipt:
    return Receipt(
        asset="dataset",
        partition=partition,
        run_id="r1",
        code_version="1",
        git_commit="abc",
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        ended_at=datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC),
        inputs=(ReceiptItem("landing/workers/a.csv", "aa", 3),),
        outputs=(ReceiptItem("datasets/workers/f/x.parquet", "bb", 2),),
        counts=ReceiptCounts(taken=3, new=2, quarantined=1, out=2),
    )


def test_counts_that_do_not_balance_are_refused() -> None:
    with pytest.raises(BadInput, match="balance"):
        ReceiptCounts(taken=3, new=1)


def test_document_has_the_fields_of_the_contract() -> None:
    document = receipt().to_document()
    assert set(document) == {
        "schema", "asset", "partition", "run_id", "code_version", "git_commit", "started_at", "ended_at", "inputs",
        "outputs", "counts", "errors", "ok",
    }  # fmt: skip
    assert document["schema"] == "receipt.v1"
    assert document["counts"] == {"in": 3, "new": 2, "corrected": 0, "duplicate": 0, "quarantined": 1, "out": 2}
    assert document["started_at"] == "2026-01-01T00:00:00.000000Z"


def test_lines_of_loads_balance_and_are_told_where_there_are_any() -> None:
    counts = ReceiptCounts(taken=5, new=2, left_out=3, out=2)
    assert counts.to_document()["left_out"] == 3
    with pytest.raises(BadInput, match="left_out"):
        ReceiptCounts(taken=5, new=2, left_out=2)


def test_partition_that_would_leave_its_folder_is_refused() -> None:
    with pytest.raises(BadInput):
        _ = receipt("../../config").key


def test_written_receipt_lies_under_its_run(objects: S3ObjectStore) -> None:
    write_receipt(objects, receipt())
    stored = objects.get("receipts/dataset/workers/r1.json")
    assert orjson.loads(stored.body)["inputs"] == [{"key": "landing/workers/a.csv", "sha256": "aa", "rows": 3}]
