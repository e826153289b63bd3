"""The sample: the same bytes for a seed, and a table that exercises what CSV can hold."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

from lakehouse.sample import client_blocks, workers
from lakehouse.sample.client_blocks import write_client_blocks
from lakehouse.sample.workers import write_workers

# They change with the vocabulary and with mimesis's names: then state it in the CHANGELOG.
WORKERS_1000_SHA256 = "bb8e5033717868f5b76d15683f804e99a7790a8f49692460b6bffef8cf7f7527"
BLOCKS_100_SHA256 = "f63a9da73ca628fbf72a80740f1f1bf88ce74996e1c4ad83ca373b6798716c46"


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, strict=True))


def test_default_seed_gives_the_known_bytes(tmp_path: Path) -> None:
    size = write_workers(tmp_path / "w.csv", 1000)
    assert size == (tmp_path / "w.csv").stat().st_size
    assert _sha256(tmp_path / "w.csv") == WORKERS_1000_SHA256
    write_client_blocks(tmp_path / "b.csv", 100, workers=1000)
    assert _sha256(tmp_path / "b.csv") == BLOCKS_100_SHA256


def test_other_seed_gives_other_people(tmp_path: Path) -> None:
    write_workers(tmp_path / "a.csv", 50, seed=1)
    write_workers(tmp_path / "b.csv", 50, seed=2)
    assert [r["name"] for r in _rows(tmp_path / "a.csv")] != [r["name"] for r in _rows(tmp_path / "b.csv")]


def test_longer_table_begins_with_the_shorter_one(tmp_path: Path) -> None:
    write_workers(tmp_path / "long.csv", 5000)
    write_workers(tmp_path / "short.csv", 4500)
    assert (tmp_path / "long.csv").read_bytes().startswith((tmp_path / "short.csv").read_bytes())


def test_rows_round_trip_through_the_csv_module(tmp_path: Path) -> None:
    write_workers(tmp_path / "w.csv", 2000)
    drawn = [row for batch in workers.worker_batches(2000) for row in batch]
    read = _rows(tmp_path / "w.csv")
    assert tuple(read[0]) == workers.COLUMNS
    assert [tuple(row.values()) for row in read] == [tuple(map(str, row)) for row in drawn]


def test_table_holds_the_hard_cases(tmp_path: Path) -> None:
    write_workers(tmp_path / "w.csv", 2000)
    rows = _rows(tmp_path / "w.csv")
    assert [int(r["worker_id"]) for r in rows] == list(range(1, 2001))
    assert any(r["zip"].startswith("0") for r in rows)
    assert all(len(r["zip"]) == 5 for r in rows)
    assert any(not r["name"].isascii() for r in rows)
    assert all(r["email"].isascii() for r in rows)
    assert any("," in r["skills"] for r in rows)
    assert any(r["certifications"] == "" for r in rows)
    assert all("\n" in r["resume_text"] for r in rows)
    assert any('"' in r["resume_text"] for r in rows)
    assert sum(len(r["resume_text"].encode()) for r in rows) / len(rows) >= 500
    for score in ("reliability", "responsiveness", "engagement", "compliance", "availability"):
        assert all(0 <= float(r[score]) <= 1 for r in rows)


def test_no_rows_is_a_header(tmp_path: Path) -> None:
    write_workers(tmp_path / "w.csv", 0)
    assert (tmp_path / "w.csv").read_text() == ",".join(workers.COLUMNS) + "\n"


def test_blocks_are_distinct_and_name_workers_that_exist(tmp_path: Path) -> None:
    write_client_blocks(tmp_path / "b.csv", 500, workers=300)
    rows = _rows(tmp_path / "b.csv")
    assert tuple(rows[0]) == client_blocks.COLUMNS
    assert len({tuple(r.values()) for r in rows}) == 500
    assert all(1 <= int(r["worker_id"]) <= 300 for r in rows)
