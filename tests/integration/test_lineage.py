"""`/v1/lineage` and `lakehouse lineage` on the real store: down to the bytes, up to builds and memory."""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.catalog.partitioned import PartitionedTable
from lakehouse_api.app import create_app
from tests.api import TOKEN, RunningApi, api_settings, clean_environ, running_api, serving
from tests.commands import run_command
from tests.fakes.services import services_with_fakes
from tests.lineage import ACCEPTED, RAW, REJECTED, SECOND, make_lake, raw_lines
from tests.pathways import pathway_api, post
from tests.retrieving import STATIC
from tests.servers import StoreServer
from tests.tokens import write_tokens_file


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def objects(store_process: StoreServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3ObjectStore]:
    """A bucket with one lake for all tests here; those that damage it mend it."""
    store = store_process.objects(bucket="lineage")
    make_lake(store, tmp_path_factory.mktemp("lineage"), kinds=("sft", "preference", "rag"))
    yield store
    store_process.drop_bucket("lineage")


@pytest.fixture
async def api(objects: S3ObjectStore, tmp_path: Path) -> AsyncIterator[RunningApi]:
    tokens = write_tokens_file(tmp_path / "tokens.json", reader=["read"])
    async with running_api(api_settings(objects, tmp_path / "data", tokens_file=tokens, **STATIC)) as running:
        yield running


@pytest.fixture
async def client(api: RunningApi) -> AsyncIterator[httpx.AsyncClient]:
    async with api.client() as opened:
        yield opened


async def lineage(client: httpx.AsyncClient, of: str) -> dict[str, Any]:
    answer = await client.get(f"/v1/lineage/{of.replace('#', '%23')}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.anyio
async def test_run_leads_down_to_its_bytes_and_up_to_scores_builds_and_receipts(
    client: httpx.AsyncClient, objects: S3ObjectStore
) -> None:
    found = await lineage(client, ACCEPTED)
    assert (found["kind"], found["is_sound"]) == ("run", True)
    [run] = found["runs"]
    [line] = run["lines"]
    expected = hashlib.sha256(raw_lines()[1].rstrip(b"\n")).hexdigest()
    assert (line["source_key"], line["line"], line["sha256"], line["check"]) == (RAW, 2, expected, "verified")
    assert objects.head(line["evidence_key"]) is not None
    assert [score["score"] for score in run["scores"]] == ["accepted"]
    assert {sample["kind"] for sample in run["samples"]} == {"sft", "preference", "rag"}
    receipts = {one["asset"]: orjson.loads(objects.get(one["key"]).body) for one in run["receipts"]}
    assert set(receipts) == {
        "evidence/agent_trajectories", "scored", "exports/sft", "exports/preference", "exports/rag",
    }  # fmt: skip
    assert line["evidence_key"] in [item["key"] for item in receipts["evidence/agent_trajectories"]["outputs"]]


@pytest.mark.anyio
async def test_sample_and_chunk_lead_to_their_runs(client: httpx.AsyncClient) -> None:
    [run] = (await lineage(client, ACCEPTED))["runs"]
    by_kind = {(sample["kind"], sample["form"]): sample for sample in run["samples"]}
    pair = await lineage(client, by_kind["preference", "pair"]["sample_id"])
    assert (pair["kind"], pair["is_sound"]) == ("sample", True)
    assert {sample["side"] for sample in pair["samples"]} == {"origin", "other"}
    assert {run["run_id"] for run in pair["runs"]} == {ACCEPTED, REJECTED}
    chunk = await lineage(client, by_kind["rag", "document"]["sample_id"] + "#0")
    assert (chunk["kind"], [run["run_id"] for run in chunk["runs"]]) == ("chunk", [ACCEPTED])
    beyond = by_kind["rag", "document"]["sample_id"] + "%239999"
    unknown = await client.get(f"/v1/lineage/{beyond}")
    assert unknown.status_code == 404
    assert "provenance.parquet" in unknown.text  # a build that gave way leaves samples behind that nothing here knows


@pytest.mark.anyio
async def test_build_says_what_it_is_and_leads_to_its_samples(client: httpx.AsyncClient) -> None:
    [run] = (await lineage(client, ACCEPTED))["runs"]
    placed = next(sample for sample in run["samples"] if sample["kind"] == "sft")
    entry = f"sft/{placed['build_id']}"
    for named in (placed["build_id"], entry, f"exports/{entry}/manifest.json"):
        answer = await client.get(f"/v1/lineage/{named}")
        problem = answer.json()
        assert (answer.status_code, problem["build"]) == (404, entry)
        assert f"exports/{entry}/provenance.parquet" in problem["detail"]
        example = re.search(r"such as ([0-9a-f]{32})", problem["detail"])
        assert example is not None
        assert (await lineage(client, example[1]))["kind"] == "sample"
    for nothing in ("0" * 32, "workers", "sft/" + "0" * 32):
        detail = (await client.get(f"/v1/lineage/{nothing}")).json()["detail"]
        assert "nothing is known of" in detail
        assert "/v1/catalog/<name>" in detail
        assert "lakehouse corpus stats" in detail


@pytest.mark.anyio
async def test_raw_line_leads_to_its_run_whatever_became_of_it(client: httpx.AsyncClient) -> None:
    assert [run["run_id"] for run in (await lineage(client, f"{RAW}:2"))["runs"]] == [ACCEPTED]
    refused = await lineage(client, f"{RAW}:13")
    assert (refused["runs"], refused["is_sound"]) == ([], False)
    assert [(line["status"], line["check"]) for line in refused["lines"]] == [("quarantined", "verified")]
    corrected = await lineage(client, f"raw/agent_trajectories/dt={SECOND}/b.jsonl:1")
    lines = {line["status"]: line for line in corrected["runs"][0]["lines"]}
    assert set(lines) == {"serves", "corrected"} or {one["status"] for one in corrected["lines"]} == {"corrected"}
    assert {line["check"] for line in lines.values()} == {"verified"}


@pytest.mark.anyio
async def test_flipped_byte_and_gone_object_are_told(client: httpx.AsyncClient, objects: S3ObjectStore) -> None:
    assert (await lineage(client, ACCEPTED))["is_sound"]
    body = b"".join(raw_lines())
    objects.put(RAW, body.replace(b"Number 1:", b"Number 7:"))
    found = await lineage(client, ACCEPTED)
    [line] = found["runs"][0]["lines"]
    assert (line["check"], found["is_sound"]) == ("differs", False)
    assert line["found_sha256"] not in (None, line["sha256"])
    assert (await lineage(client, REJECTED))["is_sound"]
    objects.delete(RAW)
    assert {line["check"] for line in (await lineage(client, REJECTED))["runs"][0]["lines"]} == {"gone"}
    objects.put(RAW, body)
    assert (await lineage(client, REJECTED))["is_sound"]


@pytest.mark.anyio
async def test_memory_that_came_of_a_run_is_named(client: httpx.AsyncClient) -> None:
    record = {
        "query": "weld",
        "answer_id": "w-1",
        "answer_corpus": "workers",
        "score": 1.0,
        "tags": [f"run:{ACCEPTED}"],
    }
    answer = await client.post("/v1/matrix/playbooks/record", json=record)
    trace = await client.post("/v1/pathway/add", json={"content": "how to weld", "tags": [f"run:{ACCEPTED}"]})
    [run] = (await lineage(client, ACCEPTED))["runs"]
    assert run["playbooks"] == [answer.json()["playbook_id"]]
    assert run["pathways"] == [trace.json()["uid"]]
    assert (await lineage(client, REJECTED))["runs"][0]["pathways"] == []


@pytest.mark.anyio
async def test_traces_that_gave_way_say_since_when_and_why(objects: S3ObjectStore, tmp_path: Path) -> None:
    tags = [f"run:{REJECTED}"]
    async with pathway_api(objects, tmp_path / "data") as api, api.client() as client:
        old, gone, kept = [
            (await post(client, "add", content=content, tags=tags))["uid"]
            for content in ("weld at night", "ask the foreman", "call twice")
        ]
        revised = await post(client, "revise", predecessor_uid=old, content="weld by day")
        await post(client, "retire", uid=gone, reason="he has left")
        [run] = (await lineage(client, REJECTED))["runs"]
    assert set(run["pathways"]) >= {old, kept, gone}
    away = {one["uid"]: one for one in run["withdrawn"]}
    assert set(away) == {old, gone}
    assert (away[gone]["state"], away[gone]["reason"]) == ("retired", "he has left")
    assert (away[old]["state"], away[old]["revised_by"]) == ("revised", [revised["uid"]])
    assert away[old]["at"] is not None


@pytest.mark.anyio
async def test_build_that_is_gone_is_named_no_more(client: httpx.AsyncClient, objects: S3ObjectStore) -> None:
    before = (await lineage(client, ACCEPTED))["runs"][0]["samples"]
    gone = next(sample for sample in before if sample["kind"] == "sft")
    entry, builds = f"sft/{gone['build_id']}", PartitionedTable(objects, "builds")
    partition = builds.read().partitions[entry]
    builds.commit(lambda _: {entry: None})
    after = (await lineage(client, ACCEPTED))["runs"][0]["samples"]
    assert {sample["kind"] for sample in after} == {"preference", "rag"}
    builds.commit(lambda _: {entry: partition})
    assert (await lineage(client, ACCEPTED))["runs"][0]["samples"] == before


@pytest.mark.anyio
async def test_scope_read_is_enough_and_unknown_is_not_found(client: httpx.AsyncClient, api: RunningApi) -> None:
    async with api.client(token="reader") as reader:
        answer = await reader.get(f"/v1/lineage/{ACCEPTED}")
        assert answer.status_code == 200
        assert "Number 1" not in answer.text
    assert (await client.get("/v1/lineage/nobody")).status_code == 404
    assert (await client.get(f"/v1/lineage/{RAW}:9999")).status_code == 404
    assert (await client.get("/v1/lineage/a%00b")).status_code == 400
    async with api.client(token=None) as nobody:
        assert (await nobody.get(f"/v1/lineage/{ACCEPTED}")).status_code == 401


@pytest.mark.anyio
async def test_empty_bucket_knows_nothing(store_process: StoreServer, tmp_path: Path) -> None:
    objects = store_process.objects(bucket="lineage-empty")
    async with running_api(api_settings(objects, tmp_path / "data", **STATIC)) as running, running.client() as client:
        for of in ("run", "0c1d2e3f405162738495a6b7c8d9eaf0", f"{RAW}:1"):
            assert (await client.get(f"/v1/lineage/{of}")).status_code == 404
    store_process.drop_bucket("lineage-empty")


def test_command_shows_it_and_exits_by_soundness(objects: S3ObjectStore, tmp_path: Path) -> None:
    settings = api_settings(objects, tmp_path / "data", **STATIC)
    with serving(create_app(settings, compose=services_with_fakes)) as url:
        environ = {
            **clean_environ(),
            "LAKEHOUSE_API_PORT": url.rpartition(":")[2],
            "LAKEHOUSE_DATA_DIR": str(tmp_path / "data"),
            "LAKEHOUSE_AUTH_TOKEN": TOKEN,
        }

        def run(*arguments: str) -> subprocess.CompletedProcess[str]:
            return run_command("lineage", *arguments, environ=environ, cwd=tmp_path)

        shown = run(ACCEPTED)
        assert (shown.returncode, shown.stderr) == (0, "")
        assert f"{RAW}:2" in shown.stdout
        assert "verified, serves" in shown.stdout
        objects.delete(RAW)
        unsound = run(ACCEPTED, "--json")
        objects.put(RAW, b"".join(raw_lines()))
        assert (unsound.returncode, orjson.loads(unsound.stdout)["is_sound"]) == (1, False)
