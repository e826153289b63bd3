"""Drift on published answers (LLMDrift): GPT-4 of March as the baseline, then itself, then GPT-4 of June."""

from __future__ import annotations

import csv
import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse_cli.main import app
from tests import drift as lake
from tests.dagster_lake import lake_environ
from tests.drift import day

MARCH, JUNE = "openaichat/gpt-4-0314", "openaichat/gpt-4-0613"


@pytest.fixture
def lakehouse(objects: S3ObjectStore, shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    with (shared_data / "drift" / "PRIME_FULL_EVAL.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for number, (model, half) in enumerate([(MARCH, 0), (MARCH, 1), (JUNE, 0), (JUNE, 1)], start=1):
        chosen = [row for row in rows if row["model"] == model]
        random.Random(7).shuffle(chosen)
        put_runs(objects, number, chosen[half::2])
    for name, value in lake_environ(objects, tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    for command in (["materialize"], ["score"]):
        assert runner.invoke(app, command).exit_code == 0
    return runner


def put_runs(objects: S3ObjectStore, number: int, rows: list[dict[str, str]]) -> None:
    begin = datetime(day(number).year, day(number).month, day(number).day, 9, tzinfo=UTC)
    calls, outcomes = [], []
    for place, row in enumerate(rows):
        moment = begin + timedelta(seconds=place)
        run_id = f"{row['model']}/{row['id']}"
        is_right = ("[yes]" if row["ref_answer"].lower() == "yes" else "[no]") in row["answer"].lower()
        calls.append(
            lake.line(
                run_id, moment, status="ok", role="executor", provider="openai", provider_model=row["model"],
                messages=[{"role": "user", "content": row["query"]}], content=row["answer"], finish_reason="stop",
                completion_tokens=int(row["answer_token"]), latency_ms=1000 * float(row["latency"]),
                cost_usd=float(row["cost"]),
            )
        )  # fmt: skip
        outcomes.append(lake.outcome(run_id, moment, 1.0 if is_right else -1.0))
    lake.put(objects, "chat_calls", number, calls, part="published")
    lake.put(objects, "outcomes", number, outcomes, part="published")


def run(lakehouse: CliRunner, number: int) -> tuple[int, dict[str, object]]:
    done = lakehouse.invoke(app, ["drift", "run", "outcome", "--day", str(day(number)), "--json"])
    return done.exit_code, json.loads(done.output)[0]


def test_new_version_is_found_and_the_same_one_is_not(lakehouse: CliRunner) -> None:
    told = ["--from", str(day(1)), "--to", str(day(1)), "--by", "dana", "--why", "March"]
    assert lakehouse.invoke(app, ["drift", "baseline", "outcome", *told]).exit_code == 0
    code, same = run(lakehouse, 2)
    assert (code, same["verdict"]) == (0, "stable")
    code, first = run(lakehouse, 3)
    assert (code, first["verdict"], first["is_confirmed"]) == (0, "drift", False)
    code, second = run(lakehouse, 4)
    assert (code, second["verdict"], second["confirmed_by"]) == (1, "drift", "days")
    found = {one["name"]: one for one in second["report"]["findings"]}  # type: ignore[index]
    assert {name for name, one in found.items() if one["verdict"] == "drift"} == {
        "success", "accepted", "length", "latency_ms", "cost_usd",
    }  # fmt: skip
    assert found["success"]["baseline"] == pytest.approx(0.84, abs=0.03)
    assert found["success"]["now"] == pytest.approx(0.511, abs=0.04)
    assert found["success"]["group"] == JUNE
    assert lakehouse.invoke(app, ["export", "sft"]).exit_code != 0
