"""Lines of the exchange: their form, and that what goes out comes in as it was."""

from __future__ import annotations

import hashlib
import io
import itertools
import resource
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest

from lakehouse.adapters.evidence_exchange import take_in, write_out
from lakehouse.adapters.evidence_lines import RawFile
from lakehouse.errors import BadInput
from lakehouse.evidence.exchange import ExchangedLine, read_line
from lakehouse.storage.objects import list_all
from tests.evidence import Maker
from tests.fakes.objects import MemoryObjects

KEY = "raw/audits/dt=2026-03-01/a.jsonl"
RAW = [
    b'{"run_id":"r-1","recorded_at":"2026-03-01T10:00:00.000001Z","action":"sql","status":"ok","extra":{"n":1.50}}',
    b'{"run_id":"r-2","recorded_at":"2026-03-01T10:00:01Z","action":"na\xc3\xafve","status":"failed"}',
]
GOLDEN = Path(__file__).with_name("exchange.jsonl")


@pytest.fixture
def engine(tmp_path: Path) -> duckdb.DuckDBPyConnection:
    maker = Maker()
    made = maker.make("audits", {KEY: b"".join(line + b"\n" for line in RAW)})
    path = tmp_path / "evidence.parquet"
    path.write_bytes(made.evidence_bytes)
    maker.close()
    opened = duckdb.connect()
    opened.execute(f"CREATE VIEW evidence AS SELECT * FROM read_parquet('{path}')")
    return opened


def out(engine: duckdb.DuckDBPyConnection, store: MemoryObjects) -> bytes:
    target = io.BytesIO()
    assert write_out(engine, store, target) == len(RAW)
    return target.getvalue()


def test_lines_are_as_before(engine: duckdb.DuckDBPyConnection) -> None:
    store = MemoryObjects()
    store.put(KEY, b"".join(line + b"\n" for line in RAW))
    written = out(engine, store)
    assert written == GOLDEN.read_bytes()
    first = orjson.loads(written.splitlines()[0])
    assert first["record"]["timestamp"] == "2026-03-01T10:00:00.000001Z"
    assert first["record"]["metadata"]["extra"] == {"n": 1.5}


def test_what_goes_out_comes_in_once_and_goes_out_again_the_same(
    engine: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    store, other = MemoryObjects(), MemoryObjects()
    store.put(KEY, b"".join(line + b"\n" for line in RAW))
    file = out(engine, store)
    taken = take_in(other, io.BytesIO(file), work_dir=tmp_path)
    assert (taken.lines, taken.new_objects) == (2, 1)
    [info] = list_all(other, "")
    assert info.key.startswith("raw/audits/dt=2026-03-01/exchange-")
    assert other.get(info.key).body == b"".join(line + b"\n" for line in RAW)
    assert take_in(other, io.BytesIO(file), work_dir=tmp_path).new_objects == 0
    assert RawFile(info.key, tmp_path).day_us == RawFile(KEY, tmp_path).day_us


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"raw": '{"run_id":"r-9"}'}, "raw was changed on its way"),
        ({"stream": "others"}, "stream 'others' is unknown"),
        ({"stream": ["audits"]}, "stream ['audits'] is unknown"),
        ({"kind": ["evidence"]}, "kind evidence; `lakehouse exchange evidence-out` writes such"),
        ({"day": "1 March"}, "day '1 March' is not a day"),
        ({"format": "lakehouse.exchange/2"}, "is none of lakehouse.exchange/1"),
        ({"raw": "a\nb"}, "raw must be the raw line"),
    ],
)
def test_line_that_is_none_is_named_and_nothing_is_taken_in(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    good = ExchangedLine("audits", date(2026, 3, 1), RAW[0]).to_json(b"{}")
    bad = orjson.dumps({**orjson.loads(good), **change})
    store = MemoryObjects()
    with pytest.raises(BadInput, match="line 2") as refused:
        take_in(store, io.BytesIO(good + bad), work_dir=tmp_path)
    assert said in refused.value.detail
    assert not list(list_all(store, ""))


def test_more_days_than_a_process_may_have_files_open_are_taken_in(tmp_path: Path) -> None:
    days = [date(2026, 1, 1) + timedelta(days=n) for n in range(200)]
    lines = [ExchangedLine("audits", day, b"%d" % n) for n in (1, 2) for day in days]
    store = MemoryObjects()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = (number for number in itertools.count() if not Path(f"/proc/self/fd/{number}").exists())
    resource.setrlimit(resource.RLIMIT_NOFILE, (next(itertools.islice(free, 100, None)), hard))
    try:
        taken = take_in(store, io.BytesIO(b"".join(line.to_json(b"{}") for line in lines)), work_dir=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (taken.lines, taken.new_objects) == (400, 200)
    assert {store.get(info.key).body for info in list_all(store, "")} == {b"1\n2\n"}


def test_line_is_read_back() -> None:
    line = ExchangedLine("audits", date(2026, 3, 1), RAW[1])
    assert read_line(line.to_json(b"{}"), number=1) == line
    assert orjson.loads(line.to_json(b"{}"))["sha256"] == hashlib.sha256(RAW[1]).hexdigest()
