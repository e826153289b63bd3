"""`/v1/observer`: events over HTTP, the view in SQL, workflows run, streamed, read back and refused."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.errors import Unavailable
from lakehouse.settings import Settings
from lakehouse_api.compose import compose_services
from tests.api import RunningApi, api_settings, running_api
from tests.fakes.chat_endpoint import ChatEndpointServer, Reply, chat_endpoint, completion
from tests.servers import StoreServer
from tests.tokens import write_tokens_file

pytestmark = pytest.mark.anyio
NODE = {"id": "facts", "mode": "extract", "with": {"text": "{{ inputs.text }}", "fields": ["name"], "model": "m"}}
SHOWN = {"id": "shown", "mode": "render", "needs": ["facts"], "with": {"text": "{{ nodes.facts.output.data.name }}"}}
READS = {"id": "rows", "mode": "sql", "with": {"query": "SELECT 1"}}
SPEC: dict[str, Any] = {"name": "facts", "version": 1, "inputs": ["text"], "nodes": [NODE, SHOWN]}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def store(store_process: StoreServer) -> Iterator[S3ObjectStore]:
    made = store_process.objects(bucket="observer")
    yield made
    store_process.drop_bucket("observer")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ChatEndpointServer]:
    with chat_endpoint() as server:
        yield server


@pytest.fixture(scope="module")
def settings(store: S3ObjectStore, endpoint: ChatEndpointServer, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("observer")
    named = folder / "workflows"
    named.mkdir()
    (named / "facts.yaml").write_text(json.dumps(SPEC))
    (named / "outer.yaml").write_text(
        "name: outer\nversion: 2\ninputs: {text: text}\nnodes:\n"
        "  - {id: inner, mode: pipeline, with: {workflow: facts, input: {text: '{{ inputs.text }}'}}}\n"
        '  - {id: counted, mode: sql, needs: [inner], with: {query: "SELECT {{ inputs.text | sql }} AS said"}}\n'
        "  - {id: scored, mode: distillation.score, with: {records: [{run_id: r, output_text: hi, reward: 1.0}]}}\n"
    )
    narrow = write_tokens_file(folder / "tokens.json", narrow=["read", "write"], blind=["write"])
    return api_settings(
        store, folder / "data", chat_providers=json.dumps({"ollama": {"url": endpoint.url}}), tokens_file=narrow,
        chat_attempts=1, chat_timeout_s=20, workflows_dir=named, observer_ring_size=50, workflow_runs_in_flight=1,
    )  # fmt: skip


@pytest.fixture(scope="module")
async def api(settings: Settings) -> AsyncIterator[RunningApi]:
    async with running_api(settings, compose=compose_services) as running:
        yield running


@pytest.fixture(autouse=True)
def fresh(endpoint: ChatEndpointServer) -> None:
    endpoint.replies = [Reply(document=completion('{"name": "Ann Lee"}'))]


async def post(api: RunningApi, path: str, body: Any, **headers: str) -> httpx.Response:
    async with api.client() as client:
        return await client.post(f"/v1/observer{path}", json=body, headers=headers)


async def get(api: RunningApi, path: str, **options: Any) -> httpx.Response:
    async with api.client(**options) as client:
        return await client.get(f"/v1/observer{path}")


async def sql(api: RunningApi, query: str, **options: Any) -> list[list[Any]]:
    async with api.client(**options) as client:
        answer = await client.post("/v1/sql", json={"sql": query})
    assert answer.status_code == 200, answer.text
    rows: list[list[Any]] = answer.json()["rows"]
    return rows


async def test_events_are_taken_listed_counted_and_in_sql(api: RunningApi) -> None:
    ids = []
    for number in range(60):
        event = {
            "source": "agent",
            "kind": "even" if number % 2 == 0 else "odd",
            "subject": f"run {number}",
            "model": "m",
        }
        taken = await post(
            api, "/event", {**event, **({"verdict": "accept", "confidence": 0.5} if number % 3 == 0 else {})}
        )
        assert taken.status_code == 202, taken.text
        ids.append(taken.json()["event_id"])
    listed = (await get(api, "/events?kind=odd&limit=3")).json()["events"]
    assert [one["subject"] for one in listed] == ["run 59", "run 57", "run 55"]
    since = listed[-1]["recorded_at"]
    assert [e["subject"] for e in (await get(api, f"/events?kind=odd&since={since}")).json()["events"]][-1] == "run 55"
    stats = (await get(api, "/stats")).json()
    assert (stats["total"], stats["in_ring"], stats["dropped"], stats["persist_errors"]) == (60, 50, 10, 0)
    assert (stats["by_verdict"], stats["by_kind"]) == ({"accept": 20}, {"even": 30, "odd": 30})
    rows = await sql(api, "SELECT event_id, subject, verdict FROM observer_events ORDER BY event_id DESC LIMIT 2")
    assert rows == [[ids[59], "run 59", None], [ids[58], "run 58", None]]


async def test_events_of_other_processes_are_in_sql_once(api: RunningApi, store: S3ObjectStore) -> None:
    mine = (await post(api, "/event", {"source": "mine", "kind": "k", "subject": "both"})).json()["event_id"]
    at = "2026-03-04T09:30:00.125000Z"
    lines: list[dict[str, Any]] = [
        {"run_id": mine, "event_id": mine, "source": "mine", "kind": "k", "recorded_at": at},  # shipped meanwhile
        {
            "run_id": "other-1",
            "event_id": "other-1",
            "source": "theirs",
            "kind": "k",
            "data": {"x": [1]},
            "recorded_at": at,
        },
        {"run_id": "other-2", "source": "theirs", "kind": "k", "confidence": 0.5, "recorded_at": at},
    ]
    raw = "\n".join(json.dumps(line) for line in lines) + "\n{half a li\n"
    store.put("raw/observer_events/dt=2026-03-04/part.jsonl", raw.encode())
    query = (
        "SELECT event_id, source, confidence FROM observer_events WHERE source IN ('mine', 'theirs') ORDER BY event_id"
    )
    assert await sql(api, query) == [[mine, "mine", None], ["other-1", "theirs", None], ["other-2", "theirs", 0.5]]


async def test_free_text_is_masked_without_the_scope(api: RunningApi) -> None:
    await post(api, "/event", {"source": "s", "kind": "k", "subject": "Ann Lee", "data": {"x": 1}})
    [event] = (await get(api, "/events?limit=1", token="narrow")).json()["events"]
    assert (event["subject"], event["data"], event["source"]) == ("[masked]", "[masked]", "s")
    assert await sql(api, "SELECT subject FROM observer_events LIMIT 1", token="narrow") == [["[masked]"]]


@pytest.mark.parametrize(
    "event",
    [
        {}, {"source": "s"}, {"source": "", "kind": "k"}, {"source": "s", "kind": "k", "verdict": "maybe"},
        {"source": "s", "kind": "k", "confidence": 1.5}, {"source": "s", "kind": "k", "other": 1},
        {"source": "s", "kind": "k", "latency_ms": -1},
    ],
)  # fmt: skip
async def test_what_is_no_event_is_refused(api: RunningApi, event: Any) -> None:
    assert (await post(api, "/event", event)).status_code == 400


@pytest.mark.parametrize("data", [f'{{"n": {1 << 64}}}', "[" * 300 + "]" * 300])
async def test_data_that_cannot_be_kept_as_json_is_refused(api: RunningApi, data: str) -> None:
    body = f'{{"source": "agent", "kind": "k", "data": {data}}}'
    async with api.client() as client:
        answer = await client.post("/v1/observer/event", content=body.encode())
    assert answer.status_code == 400, answer.text
    assert answer.json()["detail"].startswith("data cannot be kept as JSON")


async def test_large_data_is_refused(api: RunningApi) -> None:
    answer = await post(api, "/event", {"source": "s", "kind": "k", "data": "x" * 300_000})
    assert answer.status_code == 413


async def test_a_workflow_runs_and_is_read_back(api: RunningApi) -> None:
    answer = await post(api, "/workflow/run", {"workflow": SPEC, "input": {"text": "Ann Lee is here."}})
    assert answer.status_code == 200, answer.text
    run = answer.json()
    assert (run["success"], run["output"]["text"], run["state"]) == (True, "Ann Lee", "ended")
    assert [(node["id"], node["success"], node["attempts"]) for node in run["nodes"]] == [
        ("facts", True, 1),
        ("shown", True, 1),
    ]
    assert (await get(api, f"/workflow/runs/{run['run_id']}")).json() == run
    # ... and from the lines alone, as after a restart.
    api.services.workflows.ended.clear()
    assert (await get(api, f"/workflow/runs/{run['run_id']}")).json() == run
    masked = (await get(api, f"/workflow/runs/{run['run_id']}", token="narrow")).json()
    assert (masked["output"], masked["nodes"][0]["output"], masked["nodes"][0]["success"]) == (
        "[masked]",
        "[masked]",
        True,
    )


async def test_a_named_workflow_runs_over_the_services_there_are(api: RunningApi) -> None:
    answer = await post(api, "/workflow/run", {"workflow": "outer", "input": {"text": "it's Ann"}})
    run = answer.json()
    assert run["success"], run
    by_id = {node["id"]: node["output"] for node in run["nodes"]}
    assert by_id["inner"]["output"]["text"] == "Ann Lee"
    assert by_id["counted"]["rows"] == [{"said": "it's Ann"}]
    assert by_id["scored"]["scores"][0]["score"] == "accepted"
    inner = (await get(api, f"/workflow/runs/{by_id['inner']['run_id']}")).json()
    assert (inner["workflow"], inner["success"]) == ("facts", True)


async def test_states_are_streamed_as_they_change(api: RunningApi) -> None:
    asked = {"workflow": "facts", "input": {"text": "Ann Lee is here."}}
    answer = await post(api, "/workflow/run", asked, accept="application/x-ndjson")
    assert answer.headers["content-type"] == "application/x-ndjson"
    events = [json.loads(line) for line in answer.text.splitlines()]
    assert [(e["event"], e.get("id"), e.get("state")) for e in events] == [
        ("run", None, "running"), ("node", "facts", "running"), ("node", "facts", "succeeded"),
        ("node", "shown", "running"), ("node", "shown", "succeeded"), ("end", None, None),
    ]  # fmt: skip
    assert events[-1]["run"]["success"]


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"workflow": "facts"}, 400, "needs the input 'text'"),
        ({"workflow": "facts", "input": {"text": 1, "x": 2}}, 400, "no input 'x'"),
        ({"workflow": "no-such"}, 404, "there are facts, outer"),
        ({"workflow": "../facts"}, 404, "there is no workflow"),
        ({"workflow": {**SPEC, "nodes": [{**NODE, "mode": "nope"}]}}, 400, "line 10: there is no mode 'nope'"),
        ({"workflow": {**SPEC, "nodes": [{**NODE, "needs": ["shown"]}, SHOWN]}}, 400, "in a circle"),
        ({"workflow": {**SPEC, "nodes": [{**NODE, "with": {"text": "{{ ''.__class__ }}"}}]}}, 400, "reach"),
        ({"workflow": 7}, 400, "workflow"),
    ],
)  # fmt: skip
async def test_what_cannot_run_is_refused_before_anything_runs(
    api: RunningApi, body: Any, status: int, says: str
) -> None:
    for accept in ("application/json", "application/x-ndjson"):
        answer = await post(api, "/workflow/run", body, accept=accept)
        assert (answer.status_code, says in answer.json()["detail"]) == (status, True), answer.text


async def test_too_large_an_input_is_refused_before_a_stream_begins(api: RunningApi) -> None:
    for accept in ("application/json", "application/x-ndjson"):
        asked = {"workflow": "facts", "input": {"text": "x" * 400_000}}
        answer = await post(api, "/workflow/run", asked, accept=accept)
        assert (answer.status_code, "the input of a workflow has" in answer.text) == (413, True), answer.text[:300]


async def test_a_token_that_may_not_read_does_not_read_by_a_workflow(api: RunningApi) -> None:
    asked = {"workflow": {**SPEC, "inputs": {}, "nodes": [READS], "output": None}}
    async with api.client(token="blind") as client:
        answer = await client.post("/v1/observer/workflow/run", json=asked)
    assert (answer.status_code, "lacks the scope 'read'" in answer.text) == (403, True), answer.text


async def test_a_provider_that_fails_is_in_its_node(api: RunningApi, endpoint: ChatEndpointServer) -> None:
    endpoint.replies = [Reply(status=500, document={"error": "down"})]
    run = (await post(api, "/workflow/run", {"workflow": "facts", "input": {"text": "Ann"}})).json()
    assert (run["success"], run["nodes"][0]["error"]["kind"], run["nodes"][1]["state"]) == (
        False,
        "ProviderFailed",
        "skipped",
    )
    endpoint.replies = [Reply(document=completion("Sorry, I cannot do that."))]
    run = (await post(api, "/workflow/run", {"workflow": "facts", "input": {"text": "Ann"}})).json()
    assert (run["success"], run["error"]["kind"], run["error"]["node"]) == (False, "Misfit", "facts")


async def test_modes_are_listed_with_what_they_take(api: RunningApi) -> None:
    listed = (await get(api, "/workflow/modes")).json()
    assert listed["workflows"] == ["facts", "outer"]
    assert [mode["name"] for mode in listed["modes"]] == [
        "consensus", "distillation.score", "drift.scorer", "extract", "hallucination", "llm.chat", "matrix.search",
        "pathway.search", "pipeline", "redteam", "render", "sql", "validate", "validator",
    ]  # fmt: skip


async def test_an_unknown_run_is_not_found(api: RunningApi) -> None:
    for run_id in ("nobody", "0198f0c2-7c1e-7f43-9a51-0f6a3a1d2b3c"):
        assert (await get(api, f"/workflow/runs/{run_id}")).status_code == 404


async def test_one_run_too_many_is_told_to_come_back(api: RunningApi) -> None:
    with api.services.workflows.gate.hold():
        for accept in ("application/json", "application/x-ndjson"):
            answer = await post(api, "/workflow/run", {"workflow": "facts", "input": {"text": "a"}}, accept=accept)
            assert answer.status_code == 503


async def test_events_that_are_not_on_disk_are_refused_where_that_is_required(
    settings: Settings, tmp_path: Path
) -> None:
    changed = settings.model_copy(update={"observer_persist_required": True, "data_dir": tmp_path})
    async with running_api(changed) as api:
        api.services.observer.events.failure = Unavailable("the run-log spool is full")  # type: ignore[attr-defined]
        assert (await post(api, "/event", {"source": "s", "kind": "k"})).status_code == 503
        assert (await get(api, "/stats")).json()["persist_errors"] == 1
