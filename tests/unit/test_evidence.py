"""Evidence of one partition: what is refused and why, copies and corrections, clocks, files."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest

from lakehouse.errors import BadInput
from lakehouse.events.envelope import STREAMS
from lakehouse.evidence.fitness import MAX_DEPTH, MAX_KEPT_BYTES, MAX_LINE_BYTES
from lakehouse.evidence.transforms import TRANSFORMS, transform_of
from lakehouse.tables.evidence import MEANING, evidence_schema
from lakehouse.tables.reserved import RESERVED_VIEWS
from tests.evidence import Maker

KEY = "raw/outcomes/dt=2026-03-04/a.jsonl"


@pytest.fixture(scope="module")
def maker() -> Iterator[Maker]:
    made = Maker(block_bytes=1 << 20)
    yield made
    made.close()


def line(**fields: Any) -> bytes:
    usual = {"run_id": "r1", "recorded_at": "2026-03-04T10:00:00Z", "score": 1.0}
    return orjson.dumps(usual | fields)


def reason_of(maker: Maker, raw: bytes) -> str:
    made = maker.make("outcomes", {KEY: line(run_id="before") + b"\n" + raw + b"\n" + line(run_id="behind") + b"\n"})
    assert [r["run_id"] for r in made.records] == ["before", "behind"]
    assert [(row["line"], row["sha256"]) for row in made.refused] == [(2, hashlib.sha256(raw).hexdigest())]
    return str(made.refused[0]["reason"])


def test_schema_is_that_of_the_reserved_view() -> None:
    with duckdb.connect() as engine:
        engine.register("evidence", evidence_schema().empty_table())
        columns = {row[0]: row[1] for row in engine.execute("DESCRIBE evidence").fetchall()}
    assert list(columns) == list(RESERVED_VIEWS["evidence"]) == list(MEANING)
    assert {n: t.replace('"', "") for n, t in columns.items()} == {
        n: t.replace('"', "") for n, t in RESERVED_VIEWS["evidence"].items()
    }


def test_every_stream_has_its_transform() -> None:
    assert set(TRANSFORMS) == STREAMS, f"lakehouse/evidence/transforms: {sorted(set(TRANSFORMS) ^ STREAMS)}"
    with pytest.raises(BadInput, match="unknown"):
        transform_of("nothing")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'{"run_id":', "is no JSON"),
        (b"", "is empty"),
        (b" \r", "is empty"),
        (b"[]", "is no JSON object"),
        (b"\xff" + line(), "is no UTF-8"),
        (b"\xef\xbb\xbf" + line(), "is no JSON"),
        (line()[:-1] + b',"x":[NaN]}', "is no JSON"),
        (line()[:-1] + b',"x": -Infinity}', "is no JSON"),
        (line()[:-1] + b',"x":1,}', "is no JSON"),
        (line()[:-1] + b',"score":2}', "has a field twice"),
        (line()[:-1] + b',"x":2,"x":2}', "has a field twice"),
        (line()[:-1] + b',"x":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}", "is nested deeper"),
        (line(run_id=None), "field 'run_id' is missing"),
        (line(run_id=""), "field 'run_id' is missing"),
        (line(run_id=7), "field 'run_id' is no text"),
        (line(recorded_at=None), "field 'recorded_at' is missing"),
        (line(recorded_at="2026-03-04"), "no time with a zone"),
        (line(recorded_at="2026-02-30T00:00:00Z"), "no time with a zone"),
        (line(recorded_at="9999-01-01T00:00:00Z"), "no time with a zone"),
        (line(score="1"), "field 'score' is no number"),
        (line(format_version=1.5), "field 'format_version' is no integer"),
        (line(format_version=2**64 - 1), "field 'format_version' is beyond 64 bits"),
        (line(success=1), "field 'success' is no boolean"),
        (line(credited={}), "field 'credited' is no texts"),
    ],
)
def test_line_that_does_not_fit_is_refused_alone(maker: Maker, raw: bytes, reason: str) -> None:
    assert reason in reason_of(maker, raw)


def test_lines_of_loads_are_left_out_and_counted_and_those_of_other_tasks_are_not(maker: Maker) -> None:
    tasks = {"a": "load-0123abcd", "b": "load-test", "c": "load-0123abcd-2", "d": "Load-0123ABCD", "e": None}
    lines = [line(run_id=name, task_id=task) for name, task in tasks.items()]
    # A copy of a line that is left out is left out too, and one of them that does not fit is told.
    made = maker.make("outcomes", {KEY: b"\n".join([*lines, lines[0], line(task_id="load-0123abcd", score="1")])})
    assert [record["run_id"] for record in made.records] == ["b", "c", "d", "e"]
    assert [row["reason"] for row in made.refused] == ["field 'score' is no number: VARCHAR"]
    counts = made.counts
    assert (counts.lines_in, counts.left_out, counts.new, counts.duplicate, counts.quarantined) == (7, 2, 4, 0, 1)


def test_line_of_a_load_that_is_looked_at_twice_is_left_out(maker: Maker) -> None:
    made = maker.make("outcomes", {KEY: line(task_id="load-0123abcd", note="x: NaN, or [Infinity] ,]")})
    assert (made.records, made.refused, made.counts.left_out) == ([], [], 1)


def test_words_that_look_like_faults_in_texts_are_taken(maker: Maker) -> None:
    texts = ["plain", "x: NaN, or [Infinity] ,]", ":nan", "{" * (MAX_DEPTH + 1), "[,]", "plain"]
    made = maker.make("outcomes", {KEY: b"\n".join(line(run_id=str(n), note=t) for n, t in enumerate(texts))})
    assert [r["output_text"] for r in made.records] == texts


def test_line_that_is_too_long_is_refused_and_its_begin_kept(maker: Maker) -> None:
    long = line(note="x" * MAX_LINE_BYTES)
    data = line() + b"\n" + long + b"\n" + line(run_id="r2")
    made = maker.make("outcomes", {KEY: data})
    assert [(r["run_id"], r["provenance"]["line"]) for r in made.records] == [("r1", 1), ("r2", 3)]
    (row,) = made.refused
    assert row["line"] == 2
    assert row["sha256"] == hashlib.sha256(long).hexdigest()
    assert row["is_cut"]
    assert row["raw"] == long[:MAX_KEPT_BYTES].decode()
    assert "16 MiB" in row["reason"]


def test_line_that_takes_much_memory_stops_nothing_and_is_refused_only_where_it_takes_too_much(maker: Maker) -> None:
    large = line(run_id="large", new="x" * (MAX_LINE_BYTES - 200), looked_at_twice=": NaN")
    values = line(run_id="values")[:-1] + b',"new":[' + b"1," * (MAX_LINE_BYTES // 2 - 200) + b"1]}"
    around = [[line(run_id=f"{place}-{n}") for n in range(9)] for place in range(3)]
    made = maker.make("outcomes", {KEY: b"\n".join([*around[0], large, *around[1], values, *around[2], large])})
    named = [f"{place}-{n}" for place in range(3) for n in range(9)]
    assert [r["run_id"] for r in made.records] == [*named[:9], "large", *named[9:]]
    assert json.loads(made.records[9]["metadata"])["new"] == "x" * (MAX_LINE_BYTES - 200)
    assert [(row["line"], row["sha256"]) for row in made.refused] == [(20, hashlib.sha256(values).hexdigest())]
    assert "takes more memory" in made.refused[0]["reason"]
    assert made.counts.duplicate == 1


def test_other_bytes_are_kept_as_base64(maker: Maker) -> None:
    made = maker.make("outcomes", {KEY: b"\xff\xfe{}"})
    assert (made.refused[0]["encoding"], made.refused[0]["raw"]) == ("base64", base64.b64encode(b"\xff\xfe{}").decode())


def test_provenance_names_the_bytes(maker: Maker) -> None:
    made = maker.make("outcomes", {KEY: b"\n" + line(note="Grüße", new={"deep": None}) + b"\r\n"})
    (record,) = made.records
    provenance = record["provenance"]
    assert (provenance["source_key"], provenance["line"]) == (KEY, 2)
    assert provenance["sha256"] == hashlib.sha256(line(note="Grüße", new={"deep": None}) + b"\r").hexdigest()
    assert record["output_hash"] == hashlib.sha256("Grüße".encode()).hexdigest()
    assert record["input_hash"] is None
    assert json.loads(record["metadata"])["new"] == {"deep": None}


def test_copies_and_corrections_are_told_apart(maker: Maker) -> None:
    first, later = line(score=0.5), line(score=-1, recorded_at="2026-03-04T11:00:00Z")
    objects = {
        "raw/outcomes/dt=2026-03-04/b.jsonl": first + b"\n" + line(run_id="r2"),
        "raw/outcomes/dt=2026-03-04/a.jsonl": later + b"\n" + first,
    }
    made = maker.make("outcomes", objects)
    assert [(r["run_id"], r["reward"], r["provenance"]["line"]) for r in made.records] == [("r1", -1, 1), ("r2", 1, 2)]
    assert [(r["run_id"], r["reward"]) for r in made.superseded] == [("r1", 0.5)]
    counts = made.counts
    assert (counts.lines_in, counts.new, counts.corrected, counts.duplicate) == (4, 2, 1, 1)


def test_correction_of_the_same_moment_is_decided_by_the_hash(maker: Maker) -> None:
    lines = sorted((line(score=s) for s in (0.1, 0.2, 0.3)), key=lambda x: hashlib.sha256(x).hexdigest())
    made = maker.make("outcomes", {KEY: b"\n".join(lines)})
    assert [r["provenance"]["line"] for r in made.records] == [3]


def test_clock_that_is_off_is_marked_and_kept(maker: Maker) -> None:
    times = {"fit": "2026-03-04T23:59:59.999Z", "early": "2026-03-03T23:59:58Z", "late": "2026-03-05T02:00:01+02:00"}
    made = maker.make("outcomes", {KEY: b"\n".join(line(run_id=r, recorded_at=t) for r, t in times.items())})
    marks = {r["run_id"]: json.loads(r["metadata"]).get("evidence_off_day_s") for r in made.records}
    assert marks == {"fit": None, "early": -2.0, "late": 1.0}


def test_nothing_gives_an_empty_file(maker: Maker) -> None:
    made = maker.make("outcomes", {KEY: b""})
    assert (made.records, made.counts.lines_in) == ([], 0)
    assert maker.make("outcomes", {}).counts.lines_in == 0


def test_one_key_twice_is_refused(maker: Maker, tmp_path: Path) -> None:
    from lakehouse.adapters.evidence_lines import RawFile, read_blocks

    (tmp_path / "a").write_bytes(line())
    with pytest.raises(BadInput, match="twice"):
        list(read_blocks([RawFile(KEY, tmp_path / "a"), RawFile(KEY, tmp_path / "a")], block_bytes=100))


def test_json_test_suite_is_judged_as_its_names_say(maker: Maker, shared_data: Path) -> None:
    files = {file.name: file.read_bytes() for file in sorted((shared_data / "json" / "test_parsing").glob("[yn]_*"))}
    one_line = {name: raw for name, raw in files.items() if b"\n" not in raw}
    lines = [line(run_id=name)[:-1] + b',"x":' + raw + b"}" for name, raw in one_line.items()]
    made = maker.make("outcomes", {KEY: b"\n".join(lines)})
    assert [r["run_id"] for r in made.records] == [name for name in one_line if name.startswith("y_")]


def test_rewards_of_published_trajectories_arrive(maker: Maker, shared_data: Path) -> None:
    runs = json.loads((shared_data / "taubench" / "gpt-4o-airline.json").read_bytes())
    lines = [
        orjson.dumps(
            {
                "run_id": f"taubench/gpt-4o-airline/{run['task_id']}/{run['trial']}",
                "task_id": f"taubench/airline/{run['task_id']}",
                "recorded_at": "2026-03-04T10:00:00Z", "trial": run["trial"], "reward": run["reward"],
                "messages": run["traj"], "tools": None, "model": "gpt-4o", "provider": "openai",
                "source": "taubench/gpt-4o-airline.json", "licence": "MIT", "info": run["info"],
            }
        )
        for run in runs
    ]  # fmt: skip
    made = maker.make("agent_trajectories", {"raw/agent_trajectories/dt=2026-03-04/a.jsonl": b"\n".join(lines)})
    assert made.refused == []
    assert [r["reward"] for r in made.records] == [run["reward"] for run in runs]
    for record, run in zip(made.records, runs, strict=True):
        assert json.loads(record["input_text"]) + json.loads(record["output_text"]) == run["traj"]
        assert json.loads(record["metadata"])["info"] == run["info"]


def test_small_files_that_wait_together_hold_no_more_than_their_bytes(tmp_path: Path) -> None:
    import tracemalloc

    from lakehouse.adapters.evidence_lines import RawFile, read_blocks

    files = []
    for number in range(50):
        (tmp_path / str(number)).write_bytes(b'{"a":1}\n' * 10)
        files.append(RawFile(f"raw/outcomes/dt=2026-03-04/{number:03}.jsonl", tmp_path / str(number)))
    tracemalloc.start()
    [block] = read_blocks(files, block_bytes=1 << 20)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(block) == 500
    assert peak < 1 << 20
