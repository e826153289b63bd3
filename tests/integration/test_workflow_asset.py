"""The asset `workflow_batch`: a batch of inputs run by a running API, with results, a receipt and rows."""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.storage.objects import list_all
from lakehouse_assets.workflows import workflow_batch
from tests.api import TOKEN, api_process
from tests.dagster_lake import lake_store

SPEC = """\
name: shout
version: 1
inputs: {text: text}
nodes:
  - {id: shown, mode: render, with: {text: "{{ inputs.text | upper }}"}}
output: "{{ nodes.shown.output.text }}"
"""


def test_a_batch_runs_through_the_api_and_each_line_has_its_result(objects: S3ObjectStore, tmp_path: Path) -> None:
    named = tmp_path / "workflows"
    named.mkdir()
    (named / "shout.yaml").write_text(SPEC)
    objects.put("files/workflows/b.jsonl", b'{"text": "hi"}\n{"text": 7}\n{rubbish\n\n{"text": "there"}\n')
    with api_process(objects, tmp_path / "api", workflows_dir=named) as api:
        settings = {"LAKEHOUSE_API_PORT": str(api.port), "LAKEHOUSE_AUTH_TOKEN": TOKEN}
        done = dg.materialize(
            [workflow_batch],
            resources={"store": lake_store(objects, tmp_path / "dagster", **settings)},
            run_config={
                "ops": {"workflow_batch": {"config": {"workflow": "shout", "inputs": "files/workflows/b.jsonl"}}}
            },
        )
    [event] = done.asset_materializations_for_node("workflow_batch")
    told = {name: value.value for name, value in event.metadata.items()}
    assert (told["dagster/row_count"], told["succeeded"], told["failed"]) == (4, 2, 2)
    with objects.open(str(told["results"])) as reader:
        rows = [json.loads(line) for line in b"".join(reader.chunks()).splitlines()]
    assert [(row["line"], row["success"], row["output"]) for row in rows] == [
        (1, True, "HI"), (2, False, None), (3, False, None), (4, True, "THERE"),
    ]  # fmt: skip
    assert "must be of type text" in rows[1]["error"]
    keys = [info.key for info in list_all(objects, "")]
    assert any(key.startswith("receipts/workflow_batch/shout/") for key in keys)
    [part] = [key for key in keys if key.startswith("raw/workflow_nodes/")]
    with objects.open(part) as reader:
        lines = [json.loads(line) for line in b"".join(reader.chunks()).splitlines()]
    assert sorted({line["run_id"] for line in lines}) == sorted(row["run_id"] for row in rows if row["run_id"])


def test_without_a_batch_nothing_is_run_and_half_of_one_is_refused(objects: S3ObjectStore, tmp_path: Path) -> None:
    store = lake_store(objects, tmp_path / "dagster")
    done = dg.materialize([workflow_batch], resources={"store": store})
    assert done.success
    assert not done.asset_materializations_for_node("workflow_batch")
    half = {"ops": {"workflow_batch": {"config": {"workflow": "shout"}}}}
    refused = dg.materialize([workflow_batch], resources={"store": store}, run_config=half, raise_on_error=False)
    assert not refused.success
    assert "inputs is missing" in str(refused.failure_data_for_node("workflow_batch"))


def test_every_asset_can_be_materialized_without_config() -> None:
    """One that asks for some has "materialize all", which sends none, cancelled whole."""
    from lakehouse_assets.definitions import build_defs

    defs = build_defs()
    everything = defs.resolve_implicit_global_asset_job_def()
    for key in defs.resolve_asset_graph().executable_asset_keys:
        dg.validate_run_config(everything.get_subset(asset_selection={key}), {})  # raises where some is needed
