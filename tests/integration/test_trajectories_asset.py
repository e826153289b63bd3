"""The asset `agent_trajectories`, its check and its receipt, materialized on the real store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import orjson
import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.storage.objects import list_all
from lakehouse_assets.trajectories import agent_trajectories
from tests.dagster_lake import lake_store
from tests.trajectories import json_lines, pair, tau_file, tau_run

FILES = "files/trajectories"
TAU = f"{FILES}/tau_bench/gpt-4o-airline.json"


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral(str(tmp_path)) as made:
        yield made


def materialize(instance: dg.DagsterInstance, objects: S3ObjectStore, folder: Path) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        [agent_trajectories],
        instance=instance,
        resources={"store": lake_store(objects, folder)},
        raise_on_error=False,
    )


def shown(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    (event,) = result.get_asset_materialization_events()
    return {name: value.value for name, value in event.step_materialization_data.materialization.metadata.items()}


def check_of(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    (evaluation,) = result.get_asset_check_evaluations()
    return evaluation


def raw(objects: S3ObjectStore) -> list[dict[str, Any]]:
    return [
        orjson.loads(line)
        for info in list_all(objects, "raw/agent_trajectories/")
        for line in objects.get(info.key).body.splitlines()
    ]


def test_files_become_lines_once_and_the_receipt_balances(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    objects.put(TAU, tau_file(tau_run(0), tau_run(0), tau_run(1)))
    objects.put(f"{FILES}/openai_pairs/source.json", b'{"source": "support", "licence": "LicenseRef-internal"}')
    objects.put(f"{FILES}/openai_pairs/2026/a.jsonl", json_lines(pair(), pair(workload_id=None)))
    first = materialize(instance, objects, tmp_path)
    assert first.success
    metadata = shown(first)
    assert {n: metadata[n] for n in ("runs", "refused", "files_new", "files_known", "files_failed")} == {
        "runs": 3, "refused": 1, "files_new": 2, "files_known": 0, "files_failed": 0,
    }  # fmt: skip
    assert f"| {TAU} | 2 | 0 |" in metadata["files"]
    assert {(n["source"], n["licence"]) for n in raw(objects)} == {
        ("taubench/gpt-4o-airline", "MIT"), ("support", "LicenseRef-internal"),
    }  # fmt: skip
    assert (check_of(first).passed, check_of(first).severity) == (False, dg.AssetCheckSeverity.WARN)
    receipt = orjson.loads(objects.get(f"receipts/agent_trajectories/all/{first.run_id}.json").body)
    assert receipt["counts"] == {"in": 5, "new": 3, "corrected": 0, "duplicate": 1, "quarantined": 1, "out": 3}
    assert (receipt["ok"], len(receipt["inputs"]), len(receipt["outputs"])) == (True, 2, 2)

    again = materialize(instance, objects, tmp_path)
    assert (shown(again)["runs"], shown(again)["files_known"]) == (0, 2)
    assert check_of(again).passed
    assert len(raw(objects)) == 3
    objects.put(f"{FILES}/tau_bench/gpt-4o-retail.json", tau_file(tau_run(7)))
    assert (shown(materialize(instance, objects, tmp_path))["files_new"], len(raw(objects))) == (1, 4)
    assert list((tmp_path / "tmp" / "dagster").iterdir()) == []


def test_file_without_a_licence_or_of_another_format_fails_and_others_go_on(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    objects.put(f"{FILES}/openai_pairs/a.jsonl", json_lines(pair()))
    objects.put(f"{FILES}/otlp_genai/source.json", b'{"licence": "MIT", "author": "x"}')
    objects.put(f"{FILES}/otlp_genai/a.jsonl", b'{"resourceSpans": []}')
    objects.put(f"{FILES}/tau_bench/wrong.json", b"{}")
    objects.put(f"{FILES}/tau_bench/notes.txt", b"notes")
    objects.put(TAU, tau_file(tau_run(0)))
    result = materialize(instance, objects, tmp_path)
    assert result.success
    assert [n["run_id"] for n in raw(objects)] == ["taubench/gpt-4o-airline/0/0"]
    assert (shown(result)["files_new"], shown(result)["files_failed"]) == (1, 4)
    check = check_of(result)
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    said = str(check.description)
    assert f"Put it into {FILES}/openai_pairs/source.json" in said
    assert "field 'author' is unknown; fields are judge, licence, model, source" in said
    assert f"{FILES}/tau_bench/wrong.json is not a file of tau_bench" in said
    assert f"{FILES}/tau_bench/notes.txt is not a file of tau_bench" in said
    receipt = orjson.loads(objects.get(f"receipts/agent_trajectories/all/{result.run_id}.json").body)
    assert (receipt["ok"], len(receipt["errors"])) == (False, 4)


def test_figures_that_rows_contradict_are_shown(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    folder = f"{FILES}/openhands_index/M"
    objects.put(f"{folder}/instance_results/gaia.json", b'{"a": {"cost": 1.0, "resolved": true}}')
    objects.put(f"{folder}/scores.json", b'[{"benchmark": "gaia", "metric": "accuracy", "score": 50.0}]')
    metadata = shown(materialize(instance, objects, tmp_path))
    assert metadata["contradicted"] == 1
    assert "| gaia | M | score | 50 | 100 |" in metadata["contradictions"]


def test_empty_folder_is_in_order(instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path) -> None:
    result = materialize(instance, objects, tmp_path)
    assert (result.success, shown(result)["runs"], check_of(result).passed) == (True, 0, True)
