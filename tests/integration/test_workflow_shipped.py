"""The workflows that ship, end to end on the embedded model; the cheapest twice, with the same rows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.adapters.workflow_files import SHIPPED
from tests.api import RunningApi, api_settings, running_api
from tests.servers import StoreServer

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
TEXT = "Ann Lee is a welder in Toledo."
WORKERS = (
    "worker_id,name,role,city,state,status,reliability,certifications\n"
    "1,Ann Lee,Welder,Toledo,OH,active,0.9,AWS\n2,Bo Ray,Welder,Toledo,OH,active,0.8,\n"
)
DIFF = """\
--- a/lakehouse/rules.py
+++ b/lakehouse/rules.py
@@ -1,2 +1,3 @@
 import re
+import boto3

"""
IDS = frozenset({"run_id", "parent_run_id", "trace_id", "calls", "about", "started_at", "ended_at", "recorded_at"})


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def store(store_process: StoreServer) -> Iterator[S3ObjectStore]:
    made = store_process.objects(bucket="shipped")
    yield made
    store_process.drop_bucket("shipped")


@pytest.fixture(scope="module")
async def api(store: S3ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningApi]:
    async with running_api(api_settings(store, tmp_path_factory.mktemp("shipped"))) as running:
        async with running.client() as client:
            sent = await client.post(
                "/v1/ingest?name=workers", files={"file": ("workers.csv", WORKERS.encode(), "text/csv")}
            )
            assert sent.status_code == 201, sent.text
        yield running


async def run(api: RunningApi, name: str, given: dict[str, Any]) -> dict[str, Any]:
    async with api.client() as client:
        answer = await client.post(
            "/v1/observer/workflow/run", json={"workflow": name, "input": given}, timeout=httpx.Timeout(120)
        )
    assert answer.status_code == 200, answer.text
    done: dict[str, Any] = answer.json()
    return done


def states(done: dict[str, Any]) -> dict[str, str]:
    return {
        node["id"]: f"{node['state']}: {node['error']}" if node["error"] else node["state"] for node in done["nodes"]
    }


def without_ids(value: Any) -> Any:
    """A row without times and ids."""
    if isinstance(value, dict):
        return {name: without_ids(one) for name, one in value.items() if name not in IDS}
    return [without_ids(one) for one in value] if isinstance(value, list) else value


def node_rows(api: RunningApi) -> list[Any]:
    lines = api.services.events.lines  # type: ignore[attr-defined]
    return [without_ids(line) for stream, line in lines if stream == "workflow_nodes"]


async def test_the_whole_chain_leaves_a_row_for_each_node(api: RunningApi) -> None:
    lines = api.services.events.lines  # type: ignore[attr-defined]
    lines.clear()
    done = await run(api, "review-chain", {"text": TEXT, "rules": ["It names a person."]})
    assert done["success"], states(done)
    rows = node_rows(api)
    assert [row["mode"] for row in rows] == [
        "extract", "validator", "hallucination", "consensus", "redteam", "render", "workflow", "pipeline", "render",
        "workflow",
    ]  # fmt: skip
    assert all(row["success"] and row["workflow_sha256"] for row in rows)
    assert {row["model"] for row in rows} == {None, api.services.chat.default_model}
    # Judgements name the run that they are about, so that they become its evidence.
    calls = {line["run_id"]: line for stream, line in lines if stream == "chat_calls"}
    told = [event for event in api.services.observer.ring.events() if event.kind == "validator"]
    assert calls[told[-1].subject]["role"] == "extractor"
    assert told[-1].verdict in ("accept", "reject")


async def test_a_fill_is_reviewed_with_the_same_rows_each_time(api: RunningApi) -> None:
    order = {"target_count": 1, "role": "Welder", "city": "Toledo", "state": "OH", "client_id": "c-1"}
    both: list[list[Any]] = []
    for _ in range(2):
        api.services.events.lines.clear()  # type: ignore[attr-defined]
        done = await run(api, "fill-review", {"fills": [{"candidate_id": "1", "name": "Ann Lee"}], "order": order})
        assert done["success"], states(done)
        both.append(node_rows(api))
    assert both[0] == both[1]
    assert [row["mode"] for row in both[0]] == ["validate", "sql", "llm.chat", "hallucination", "render", "workflow"]
    assert done["output"]["passed"] is True
    assert done["nodes"][2]["output"]["content"]
    assert done["output"]["note_is_borne_out"] in (True, False)
    refused = await run(api, "fill-review", {"fills": [{"candidate_id": "9", "name": "Nobody"}], "order": order})
    assert refused["success"], states(refused)
    assert (refused["output"]["passed"], refused["output"]["note_is_borne_out"]) == (False, False)
    assert states(refused)["note"].startswith("skipped")
    assert "no worker with the id" in refused["output"]["report"]


@pytest.mark.parametrize("name", sorted(path.stem for path in SHIPPED.glob("*.yaml")))
def test_no_shipped_workflow_asks_above_temperature_0(name: str) -> None:
    assert "temperature" not in (SHIPPED / f"{name}.yaml").read_text()


async def test_samples_of_a_corpus_are_reviewed(api: RunningApi) -> None:
    samples = [
        {"run_id": "a", "input_text": "When is the shift?", "output_text": "On Monday at 7 am.", "reward": 1.0},
        {"run_id": "b", "input_text": "Who is he?", "output_text": "His SSN is 123-45-6789.", "reward": 0.0},
    ]
    done = await run(api, "corpus-quality-review", {"samples": samples, "rules": ["It is polite."]})
    assert done["success"], states(done)
    assert done["output"]["scores"] == {"accepted": 1, "rejected": 1}
    assert done["output"]["private"] == "reject"
    assert "Social Security" in done["output"]["report"]


async def test_a_diff_is_reviewed_and_what_was_cut_is_no_approval(api: RunningApi) -> None:
    done = await run(api, "architecture-review", {"diff": DIFF, "shown": 60, "rules": ["It is small."]})
    assert done["success"], states(done)
    assert (done["output"]["is_whole"], done["output"]["answer"] in ("merge", "change", None)) == (False, True)
    assert "no approval of the rest" in done["output"]["report"]
