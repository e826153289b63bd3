"""Plans that are kept: other lines, other statements, other types."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from lakehouse.adapters.evidence_statements import LinesEngine

DOUBLED = "SELECT ordinal, text || text AS text FROM lines"
COUNTED = "SELECT count(*) AS n FROM lines"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[LinesEngine]:
    made = LinesEngine(tmp_path, memory_bytes=64 << 20)
    yield made
    made.close()


def lines(first: int, count: int) -> pa.Table:
    numbers = range(first, first + count)
    texts = pa.array([f"<{number}>" for number in numbers], pa.string())
    return pa.table({"ordinal": pa.array(numbers, pa.int64()), "text": texts})


def test_one_plan_reads_the_lines_of_each_run(engine: LinesEngine) -> None:
    for first, count in ((0, 3), (3, 1), (4, 0), (4, 20_000)):
        made = engine.run(DOUBLED, lines(first, count))
        assert made["ordinal"].to_pylist() == list(range(first, first + count))
        assert made["text"].to_pylist() == [f"<{n}><{n}>" for n in range(first, first + count)]


def test_statements_take_turns(engine: LinesEngine) -> None:
    for count in (1, 2, 3):
        assert engine.run(COUNTED, lines(0, count))["n"].to_pylist() == [count]
        assert engine.run(DOUBLED, lines(0, count)).num_rows == count


def test_lines_of_other_types_are_refused(engine: LinesEngine) -> None:
    engine.run(COUNTED, lines(0, 1))
    with pytest.raises(TypeError, match="the plans are for"):
        engine.run(COUNTED, lines(0, 1).cast(pa.schema({"ordinal": pa.int32(), "text": pa.string()})))


def test_after_a_fault_the_next_lines_are_read(engine: LinesEngine) -> None:
    failing = "SELECT CASE WHEN ordinal = 1 THEN error('no') ELSE text END AS text FROM lines"
    with pytest.raises(duckdb.Error, match="no"):
        engine.run(failing, lines(0, 2))
    assert engine.run(failing, lines(2, 2)).num_rows == 2


def test_engines_that_spill_at_once_do_not_share_their_files(tmp_path: Path) -> None:
    engines = [LinesEngine(tmp_path, memory_bytes=16 << 20) for _ in range(2)]
    count = 300_000
    for step, engine in enumerate(engines, start=1):
        engine.connection.execute(
            f"CREATE TABLE spilled AS SELECT i, sha256((i * {step})::VARCHAR) AS h FROM range({count}) numbers(i)"
        )
    assert {path.parent.parent for path in tmp_path.rglob("*.tmp")} == {tmp_path}
    assert len({path.parent for path in tmp_path.rglob("*.tmp")}) == len(engines)
    for step, engine in enumerate(engines, start=1):
        found = engine.connection.execute(f"SELECT count(*) FROM spilled WHERE h = sha256((i * {step})::VARCHAR)")
        assert found.fetchall() == [(count,)]
        engine.close()
    assert list(tmp_path.iterdir()) == []


def test_lines_that_take_too_much_memory_are_told_and_a_larger_engine_takes_them(engine: LinesEngine) -> None:
    repeated = "SELECT length(string_agg(repeat(text, 40_000_000), '')) AS n FROM lines"
    with pytest.raises(MemoryError, match="Out of Memory"):
        engine.run(repeated, lines(0, 1))
    with engine.larger() as larger:
        assert larger.run(repeated, lines(0, 1))["n"].to_pylist() == [120_000_000]
    assert engine.run(DOUBLED, lines(0, 3)).num_rows == 3


def test_memory_that_gives_out_amid_an_answer_is_told_too(engine: LinesEngine) -> None:
    # What came before is more than the engine holds back, so that it fails while its answer is read.
    many = "range(CASE WHEN ordinal = 40_000 THEN 9_000_000 ELSE 1 END)"
    answer = f"SELECT repeat(text, 20) AS text, json_extract(to_json({many}), '$[0]') AS n FROM lines"
    with pytest.raises(MemoryError, match="Out of Memory"):
        engine.run(answer, lines(0, 50_000))
    assert engine.run(answer, lines(0, 100)).num_rows == 100
