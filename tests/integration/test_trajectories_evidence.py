"""From published files to evidence: every line fits, the published measure comes out, judgements are no rewards."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from lakehouse.adapters.duckdb_engine import parse
from lakehouse.query.gate import check_tree
from lakehouse.tables.evidence import evidence_schema
from tests.evidence import Made, Maker
from tests.fakes.objects import MemoryObjects
from tests.trajectories import import_bytes, json_lines, pair, tau_file, tau_run

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "trajectories.md"
PASS_K = "\n".join(re.findall(r"```sql\n(.*?)```", GUIDE.read_text(), re.DOTALL))


@pytest.fixture(scope="module")
def maker() -> Iterator[Maker]:
    made = Maker(block_bytes=4 << 20)
    yield made
    made.close()


def evidence_of(maker: Maker, folder: Path, format_: str, files: dict[str, bytes], **told: str) -> Made:
    store = MemoryObjects()
    done = import_bytes(format_, files, folder, objects=store, **told)
    assert [one.error for one in done if one.error] == []
    return maker.make("agent_trajectories", {str(one.key): store.get(str(one.key)).body for one in done if one.key})


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder.parent)): p.read_bytes() for p in sorted(folder.rglob("*.json"))}


def test_pass_k_of_tau_bench_is_as_published(maker: Maker, shared_data: Path, tmp_path: Path) -> None:
    files = {"gpt-4o-airline.json": (shared_data / "taubench" / "gpt-4o-airline.json").read_bytes()}
    made = evidence_of(maker, tmp_path, "tau_bench", files)
    assert (made.counts.new, made.counts.quarantined) == (200, 0)
    with duckdb.connect() as engine:
        assert check_tree(parse(engine, PASS_K)[0]).tables >= {"evidence"}  # a query may ask it
        engine.register("evidence", pa.Table.from_pylist(made.records, schema=evidence_schema()))
        assert engine.sql(PASS_K).fetchall() == [(1, 0.42), (2, 0.273), (3, 0.22), (4, 0.2)]


def test_outcomes_of_the_openhands_index_are_evidence_without_words(
    maker: Maker, shared_data: Path, tmp_path: Path
) -> None:
    files = files_of(shared_data / "agent_outcomes")
    made = evidence_of(maker, tmp_path, "openhands_index", files)
    assert (made.counts.new, made.counts.quarantined) == (12_046, 0)
    assert {(r["input_text"], r["output_text"]) for r in made.records} == {(None, None)}
    rewards = [r["reward"] for r in made.records]
    unknown = sum(row["resolved"] is None for name in files if "instance_results" in name for row in rows(files[name]))
    assert rewards.count(None) == unknown
    assert len({r["task_id"] for r in made.records if "/swe-bench/" in r["task_id"]}) == 500


def rows(data: bytes) -> list[dict[str, Any]]:
    return list(json.loads(data).values())


def test_judgements_of_code_review_bench_are_no_rewards(maker: Maker, shared_data: Path, tmp_path: Path) -> None:
    judge = "anthropic/claude-sonnet-4-5-20250929"
    made = evidence_of(maker, tmp_path, "code_review_bench", files_of(shared_data / "reviews"), judge=judge)
    assert (made.counts.new, made.counts.quarantined) == (600, 0)
    assert {r["reward"] for r in made.records} == {None}
    assert {tuple(r["success_markers"] + r["failure_markers"]) for r in made.records} == {()}
    assert {r["observer"]["verdict"] for r in made.records} == {None}
    assert {r["observer"]["notes"][0] for r in made.records} == {f"judge {judge}"}
    assert {r["model_role"] for r in made.records} == {"reviewer"}
    golden = {r["task_id"]: json.loads(r["metadata"])["golden_comments"] for r in made.records}
    assert sum(map(len, golden.values())) == 137


def test_hostile_ids_and_texts_are_evidence(maker: Maker, tmp_path: Path) -> None:
    runs = [tau_run(task, text="NUL \x00, 任务, \u2028") for task in ("a/b", "x\x00y", "任务", "%", "a\nb")]
    made = evidence_of(maker, tmp_path, "tau_bench", {"m-retail.json": tau_file(*runs)})
    assert made.refused == []
    assert [r["run_id"] for r in made.records] == [
        f"taubench/m-retail/{task}/0" for task in ("a%2Fb", "x%00y", "任务", "%25", "a%0Ab")
    ]
    assert json.loads(made.records[0]["input_text"])[0]["content"] == "NUL \x00, 任务, \u2028"


def test_pairs_are_evidence_with_hidden_rewards(maker: Maker, tmp_path: Path) -> None:
    calls = [pair(), pair(timestamp=1_772_616_600_500, workload_id="a\x00b"), pair()]
    made = evidence_of(maker, tmp_path, "openai_pairs", {"a.jsonl": json_lines(*calls)})
    assert (made.counts.new, made.counts.quarantined) == (2, 0)
    first, second = made.records
    assert json.loads(first["output_text"]) == [{"role": "assistant", "content": "42"}]
    assert (first["reward"], first["model_name"], first["prompt_tokens"]) == (None, "small-1", 5)
    assert str(second["timestamp"]) == "2026-03-04 09:30:00.500000"
