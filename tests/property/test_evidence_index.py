"""The same lines in any split over files, days, orders and runs: the same lines serve, and the index is the same."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakehouse.adapters.evidence_index import EvidenceIndex
from lakehouse.adapters.evidence_lake import CURRENT, EXCLUDED, INDEX
from lakehouse.adapters.evidence_materializer import EvidenceMaterializer, RunFacts
from lakehouse.catalog.partitioned import PartitionedTable
from lakehouse.storage.objects import ObjectInfo
from tests.fakes.objects import MemoryObjects

STREAMS = ("outcomes", "observer_events")
DAYS = [date(2026, 3, day) for day in (1, 2, 3)]
RUN = RunFacts("run")
_numbers = itertools.count()


class FolderObjects(MemoryObjects):
    """A bucket in memory whose Parquet files lie in a folder, too, where engines read them."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = root

    def put(self, key: str, body: bytes | Path, **options: Any) -> ObjectInfo:
        done = super().put(key, body, **options)
        if key.endswith(".parquet"):
            path = self.root / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body if isinstance(body, bytes) else body.read_bytes())
        return done


class Lake:
    """A bucket, what makes evidence in it and the index over it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / str(next(_numbers))
        self.store = FolderObjects(self.folder / "bucket")
        self.retracted: list[str] = []
        self.evidence = EvidenceMaterializer(self.store, work_dir=self.folder / "work")
        self.index = EvidenceIndex(
            self.store, self.store.root, work_dir=self.folder / "work", retracted=lambda: self.retracted
        )

    def put(self, stream: str, day: date, name: str, lines: Sequence[bytes]) -> None:
        body = b"".join(line + b"\n" for line in lines)
        self.store.put(f"raw/{stream}/dt={day}/{name}.jsonl", body)

    def make(self, days: Sequence[date] = DAYS) -> None:
        for stream in STREAMS:
            for result in self.evidence.materialize(stream, days, RUN):
                if result.partition is not None:
                    counts = result.partition.counts
                    said = [counts[name] for name in ("new", "corrected", "duplicate", "quarantined")]
                    assert counts["in"] == sum(said)

    def taken(self) -> int:
        manifests = [PartitionedTable(self.store, f"evidence/{stream}").read() for stream in STREAMS]
        return sum(one.counts["in"] for manifest in manifests for one in manifest.partitions.values())

    def files(self) -> tuple[bytes, bytes]:
        """The bytes of the index and of the list of what does not serve."""
        current = self.index.refresh()[0].partitions[CURRENT]
        index, excluded = current.file(INDEX), current.file(EXCLUDED)
        assert index is not None
        assert excluded is not None
        assert (index.rows, excluded.rows) == (
            sum_of(current.counts),
            sum_of(current.counts) - current.counts["serves"],
        )
        return self.store.get(index.key).body, self.store.get(excluded.key).body

    def rows(self) -> list[dict[str, Any]]:
        current = self.index.refresh()[0].partitions[CURRENT]
        index = current.file(INDEX)
        assert index is not None
        listed: list[dict[str, Any]] = pq.read_table(self.store.root / index.key).to_pylist()
        return listed

    def serving(self) -> dict[str, str]:
        rows = [row for row in self.rows() if row["status"] == "serves"]
        found = {row["run_id"]: row["sha256"] for row in rows}
        assert len(found) == len(rows)
        return found

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def sum_of(counts: Any) -> int:
    return sum(counts[name] for name in ("serves", "corrected", "duplicate", "retracted"))


@dataclass(frozen=True)
class Placed:
    """A line, and where and when it comes in."""

    stream: str
    line: bytes
    day: date
    part: str
    round: int


def line_of(run: int, second: int, note: int | None) -> bytes:
    if note is None:
        return b'{"run_id": broken'
    at = (datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=second)).isoformat()
    said = {"run_id": f"r{run}", "recorded_at": at, "score": 1, "source": "s", "kind": "k", "note": f"n{note}"}
    return orjson.dumps(said)


lines = st.builds(line_of, st.integers(0, 3), st.integers(0, 2), st.sampled_from([0, 1, None]))
some_lines = st.lists(st.tuples(st.sampled_from(STREAMS), lines), min_size=1, max_size=10)


@st.composite
def placings(draw: st.DrawFn, some: Sequence[tuple[str, bytes]]) -> list[Placed]:
    order = draw(st.permutations(some))
    return [
        Placed(stream, line, draw(st.sampled_from(DAYS)), draw(st.sampled_from("abc")), draw(st.integers(0, 2)))
        for stream, line in order
    ]


def bring(lake: Lake, placed: Sequence[Placed], data: st.DataObject) -> None:
    """Lines come in three rounds, as objects of their own; in between some days are made, and made again."""
    for number in range(3):
        groups: dict[tuple[str, date, str], list[bytes]] = {}
        for one in placed:
            if one.round == number:
                groups.setdefault((one.stream, one.day, one.part), []).append(one.line)
        for (stream, day, part), group in groups.items():
            lake.put(stream, day, f"{part}-{number}", group)
        for days in data.draw(st.lists(st.lists(st.sampled_from(DAYS), unique=True), max_size=2)):
            lake.make(days)
            lake.index.refresh()
    lake.make()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lakes")


@settings(
    max_examples=8, suppress_health_check=[*settings.default.suppress_health_check, HealthCheck.function_scoped_fixture]
)
@given(some_lines, st.data())
def test_any_split_over_files_days_and_runs_gives_the_same_that_serves(
    folder: Path, some: list[tuple[str, bytes]], data: st.DataObject
) -> None:
    whole, split = Lake(folder), Lake(folder)
    for stream in STREAMS:
        mine = [line for name, line in some if name == stream]
        if mine:
            whole.put(stream, DAYS[0], "all", mine)
    whole.make()
    bring(split, data.draw(placings(some)), data)
    assert split.taken() == whole.taken() == len(some)
    assert split.serving() == whole.serving()
    assert set(split.serving()) == {orjson.loads(line)["run_id"] for _, line in some if b"broken" not in line}
    # The index that grew is, byte for byte, the one that a bucket gets that was filled at once.
    grown = split.files()
    scratch = Lake(folder)
    for info in split.store.list("raw/").objects:
        scratch.store.put(info.key, split.store.get(info.key).body)
    scratch.make()
    assert scratch.files() == grown
    for lake in (whole, split, scratch):
        lake.close()


@settings(
    max_examples=8, suppress_health_check=[*settings.default.suppress_health_check, HealthCheck.function_scoped_fixture]
)
@given(some_lines, st.data())
def test_retracted_runs_serve_no_more_until_they_do_again(
    folder: Path, some: list[tuple[str, bytes]], data: st.DataObject
) -> None:
    lake = Lake(folder)
    bring(lake, data.draw(placings(some)), data)
    before, served = lake.files(), lake.serving()
    lake.retracted = sorted({f"r{n}" for n in data.draw(st.lists(st.integers(0, 3)))})
    assert lake.serving() == {run: sha256 for run, sha256 in served.items() if run not in lake.retracted}
    assert {row["status"] for row in lake.rows() if row["run_id"] in lake.retracted} <= {"retracted"}
    lake.retracted = []
    assert lake.files() == before
    lake.close()


def test_index_of_several_row_groups_has_the_same_bytes_however_it_grew(folder: Path) -> None:
    at_once, grown = Lake(folder), Lake(folder)
    for number, day in enumerate(DAYS):
        # A third of the runs of each day are corrected on the next one.
        mine = [line_of(run, number, run % 2) for run in range(number * 14_000, number * 14_000 + 21_000)]
        for lake in (at_once, grown):
            lake.put("outcomes", day, "a", mine)
        grown.make([day])
        grown.index.refresh()
    at_once.make()
    assert at_once.files() == grown.files()
    assert len(at_once.serving()) == 49_000
    for lake in (at_once, grown):
        lake.close()


def test_index_that_was_overtaken_is_made_once_more(folder: Path) -> None:
    lake = Lake(folder)
    lake.put("outcomes", DAYS[0], "a", [line_of(1, 0, 0), line_of(2, 0, 0)])
    lake.make()
    asked = itertools.count()

    def retracted() -> list[str]:
        """What the streams name has been read: meanwhile evidence comes, a run is retracted, and another index."""
        if next(asked) == 0:
            lake.put("observer_events", DAYS[1], "a", [line_of(3, 0, 0)])
            lake.make()
            lake.retracted = ["r1"]
            lake.index.refresh()
            return []
        return lake.retracted

    overtaken = EvidenceIndex(lake.store, lake.store.root, work_dir=lake.folder / "work", retracted=retracted)
    assert lake.index.is_behind()
    manifest, is_new = overtaken.refresh()
    assert (is_new, next(asked)) == (False, 2)
    assert manifest == lake.index.read()
    assert set(lake.serving()) == {"r2", "r3"}
    assert not overtaken.is_behind()
    lake.close()
