"""`/mcp` on the real store, served over HTTP, asked by the official client in both of the protocol's eras."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import httpx
import httpx2
import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.settings import Settings
from lakehouse_api.app import create_app
from lakehouse_api.middleware_body import MAX_JSON_BYTES
from tests.api import TOKEN, api_process, api_settings, serving
from tests.fakes.chat_endpoint import ChatEndpointServer, Reply, chat_endpoint, completion
from tests.fakes.services import FakeEventLog, services_with_fakes
from tests.golden.test_mcp_tools import GOLDEN
from tests.memory_logs import wait_until
from tests.retrieving import NOTES, STATIC
from tests.servers import StoreServer
from tests.tokens import write_tokens_file

if TYPE_CHECKING:
    from mcp import Client
    from mcp_types import CallToolResult

pytestmark = pytest.mark.anyio
ERAS = ("legacy", "2026-07-28")
READ_ONLY = {"matrix_search", "sql", "validate", "pathway_search", "pathway_history"}
OPEN_WORLD = {"chat", "answer"}
NAMES = [*sorted(READ_ONLY), *sorted(OPEN_WORLD), "outcome", "playbook_record", "pathway_add"]
ENDLESS = "SELECT count(*) FROM range(100000000000000)"
# What differs between two calls that do the same.
CHANGING = {"timings_ms", "trace_id", "elapsed_ms", "latency_ms", "run_id", "revision", "playbook_id", "links"}
SMS = {"to": "+14155550132", "body": "We have a shift on Monday at 7 am, reply YES to confirm."}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def store(store_process: StoreServer) -> Iterator[S3ObjectStore]:
    yield store_process.objects(bucket="mcp")
    store_process.drop_bucket("mcp")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ChatEndpointServer]:
    with chat_endpoint() as server:
        yield server


@pytest.fixture(autouse=True)
def fresh(endpoint: ChatEndpointServer) -> None:
    endpoint.replies = [Reply(document=completion("A forklift driver with OSHA-30 [1]."))]


@pytest.fixture(scope="module")
def settings(store: S3ObjectStore, endpoint: ChatEndpointServer, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("mcp")
    tokens = write_tokens_file(folder / "tokens.json", reader=["read"], writer=["write"])
    return api_settings(
        store, folder, tokens_file=tokens, chat_providers=json.dumps({"ollama": {"url": endpoint.url}}),
        chat_attempts=1, memory_poll_s=0.05, sql_workers=2, **STATIC,
    )  # fmt: skip


@dataclass
class Served:
    """The API behind a socket, the lines of its event log, and a plain HTTP client."""

    url: str
    events: FakeEventLog
    http: httpx.Client

    def lines(self, stream: str) -> list[dict[str, Any]]:
        return [line for name, line in self.events.lines if name == stream]

    def count_gone(self, name: str) -> float:
        """How many clients of a tool have gone before its answer, by the metrics."""
        found = re.search(rf'_count{{.*route="/mcp {name}",status="499"}} (.+)', self.http.get("/metrics").text)
        return 0 if found is None else float(found[1])

    def post(self, path: str, body: object) -> dict[str, Any]:
        return dict(self.http.post(path, json=body).json())


@pytest.fixture(scope="module")
def api(settings: Settings) -> Iterator[Served]:
    app = create_app(settings, compose=services_with_fakes)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with serving(app) as url, httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False) as http:
        rows = "\n".join(f"{n},{'OH' if n % 2 else 'TX'},w{n}@example.com" for n in range(1500))
        loaded = http.post("/v1/ingest?name=workers", files={"file": ("w.csv", f"worker_id,state,email\n{rows}\n")})
        assert loaded.status_code < 300, loaded.text
        assert http.post("/v1/vectors/index", json={"name": "notes"}).status_code < 300
        assert http.post("/v1/vectors/index/notes/add", json={"items": NOTES}).status_code == 200
        services = app.state.services
        wait_until(lambda: services.retrieval.log.stats()["is_replayed"] and services.pathways.log.is_replayed)
        yield Served(url, services.events, http)


@asynccontextmanager
async def connected(url: str, *, token: str = TOKEN, era: str = "auto") -> AsyncIterator[Client]:
    from mcp import Client  # a second, that every worker would spend when it collects
    from mcp.client.streamable_http import streamable_http_client

    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60, trust_env=False) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=era) as client,
    ):
        yield client


def texts(result: CallToolResult) -> list[str]:
    from mcp_types import TextContent

    assert all(isinstance(block, TextContent) for block in result.content)
    return [block.text for block in result.content if isinstance(block, TextContent)]


async def call(api: Served, name: str, arguments: dict[str, Any], **options: Any) -> dict[str, Any]:
    """What a tool gives, the same twice: as structured content and as text."""
    async with connected(api.url, **options) as client:
        result = await client.call_tool(name, arguments)
    assert not result.is_error, texts(result)
    assert json.loads(texts(result)[0]) == result.structured_content
    return dict(result.structured_content)


async def refused(api: Served, name: str, arguments: dict[str, Any], **options: Any) -> dict[str, Any]:
    """The problem that a tool answers."""
    async with connected(api.url, **options) as client:
        result = await client.call_tool(name, arguments)
    assert result.is_error
    assert result.structured_content is None
    return dict(json.loads(texts(result)[0]))


def lasting(document: Any) -> Any:
    """A document without what is another at each call."""
    if isinstance(document, dict):
        return {k: lasting(v) for k, v in document.items() if k not in CHANGING}
    return [lasting(one) for one in document] if isinstance(document, list) else document


@pytest.mark.parametrize("era", ERAS)
async def test_client_that_connects_is_told_what_is_offered(api: Served, era: str) -> None:
    async with connected(api.url, era=era) as client:
        listed = await client.list_tools()
        if era == "legacy":  # a client that names its version is told nothing before its first call
            assert client.server_info is not None
            assert client.server_info.name == "lakehouse"
            assert "SHOW TABLES" in (client.instructions or "")
    assert sorted(tool.name for tool in listed.tools) == sorted(NAMES)
    assert listed.next_cursor is None
    for tool in listed.tools:
        hints = tool.annotations
        assert hints is not None
        assert hints.read_only_hint is (tool.name in READ_ONLY)
        assert hints.idempotent_hint is (tool.name in READ_ONLY)
        assert hints.open_world_hint is (tool.name in OPEN_WORLD)
        assert hints.destructive_hint is False


async def test_client_that_probes_agrees_on_the_newest_version(api: Served) -> None:
    async with connected(api.url) as client:
        assert client.protocol_version == "2026-07-28"
        assert client.server_capabilities.tools is not None
        assert client.server_capabilities.resources is None


def rpc(api: Served, method: str, params: dict[str, Any] | None = None, **headers: str) -> httpx.Response:
    """A message without the SDK."""
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}
    return api.http.post("/mcp", json=body, headers={"Accept": "application/json, text/event-stream", **headers})


async def test_tools_on_the_wire_are_the_golden_ones(api: Served) -> None:
    answer = rpc(api, "tools/list")
    assert answer.headers["content-type"] == "application/json"
    assert "mcp-session-id" not in answer.headers
    assert answer.headers["x-request-id"]
    assert answer.json()["result"]["tools"] == json.loads(GOLDEN.read_text())


SAME_AS_HTTP: list[tuple[str, str, dict[str, Any]]] = [
    ("matrix_search", "/v1/matrix/search", {"query": "forklift", "corpora": ["notes"], "filter": {"state": "OH"}}),
    ("sql", "/v1/sql", {"sql": "SELECT state, count(*) AS n, NULL AS nothing FROM workers GROUP BY state ORDER BY 1"}),
    ("chat", "/v1/chat", {"model": "m", "messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 9}),
    ("answer", "/v1/answer", {"task": "Who drives a forklift?", "corpora": ["notes"], "model": "m"}),
    ("outcome", "/v1/outcomes", {"run_id": "r-1", "success": True, "note": "it was"}),
    ("playbook_record", "/v1/matrix/playbooks/record", {"query": "lift", "answer_id": "c", "answer_corpus": "notes"}),
    ("pathway_add", "/v1/pathway/add", {"content": {"task": "fill 3 welders", "steps": ["ask"]}, "tags": ["fill"]}),
    ("pathway_search", "/v1/pathway/search", {"text": "who welds", "tags": ["fill"], "k": 2}),
]


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(("name", "path", "arguments"), SAME_AS_HTTP, ids=[one[0] for one in SAME_AS_HTTP])
async def test_tool_gives_what_http_answers_and_leaves_the_same_lines(
    api: Served, name: str, path: str, arguments: dict[str, Any], era: str
) -> None:
    api.post(path, arguments)  # the first of its kind may be new, and the second one known
    api.events.lines.clear()
    by_http = api.post(path, arguments)
    http_lines = list(api.events.lines)
    api.events.lines.clear()
    by_tool = await call(api, name, arguments, era=era)
    tool_lines = [line for line in api.events.lines if line[1].get("action") != "mcp"]
    assert lasting(by_tool) == lasting(by_http)
    assert set(by_tool) == set(by_http)
    assert [(stream, set(line)) for stream, line in tool_lines] == [(stream, set(line)) for stream, line in http_lines]
    for (_, by_tool_line), (_, by_http_line) in zip(tool_lines, http_lines, strict=True):
        assert by_tool_line.get("actor") == by_http_line.get("actor") == "primary"


async def test_valid_artifact_passes(api: Served) -> None:
    by_http = api.post("/v1/validate", {"kind": "sms", "artifact": SMS})
    verdict = await call(api, "validate", {"kind": "sms", "artifact": SMS})
    assert (verdict["passed"], verdict["error"], verdict["findings"]) == (True, None, by_http["findings"])
    assert len(api.lines("validations")) >= 2


async def test_invalid_artifact_is_a_verdict_and_no_error(api: Served) -> None:
    artifact = {**SMS, "body": "Your SSN is 219-09-9999."}
    by_http = api.http.post("/v1/validate", json={"kind": "sms", "artifact": artifact})
    verdict = await call(api, "validate", {"kind": "sms", "artifact": artifact})
    assert by_http.status_code == 422
    assert (verdict["passed"], verdict["error"]) == (False, by_http.json())


async def test_trace_of_a_search_takes_its_outcome(api: Served) -> None:
    recorded = await call(api, "playbook_record", {"query": "who can weld", "answer_id": "a", "answer_corpus": "notes"})
    found = await call(api, "matrix_search", {"query": "who can weld", "corpora": ["notes"], "use_playbook": True})
    assert found["results"][0]["playbook"]["playbook_ids"] == [recorded["playbook_id"]]
    taken = await call(api, "outcome", {"trace_id": found["trace_id"], "success": True, "answer_id": "a"})
    assert taken["credited"] == [recorded["playbook_id"]]


@pytest.mark.parametrize(("asked", "rows"), [({}, 200), ({"max_rows": 1000}, 1000), ({"max_rows": 7}, 7)])
async def test_sql_that_has_more_rows_says_so(api: Served, asked: dict[str, Any], rows: int) -> None:
    async with connected(api.url) as client:
        result = await client.call_tool("sql", {"sql": "SELECT worker_id FROM workers", **asked})
    assert (len(result.structured_content["rows"]), result.structured_content["truncated"]) == (rows, True)
    assert f"Cut after {rows:,} rows" in texts(result)[1]


async def test_sql_that_is_whole_says_nothing_more(api: Served) -> None:
    async with connected(api.url) as client:
        result = await client.call_tool("sql", {"sql": "SELECT worker_id FROM workers LIMIT 200"})
    assert (result.structured_content["row_count"], result.structured_content["truncated"]) == (200, False)
    assert len(texts(result)) == 1


async def test_personal_data_is_masked_for_a_token_without_the_scope(api: Served) -> None:
    sql = {"sql": "SELECT email FROM workers LIMIT 1"}
    assert "@example.com" in json.dumps(await call(api, "sql", sql))
    assert "@example.com" not in json.dumps(await call(api, "sql", sql, token="reader"))


MISSING_SCOPES = [
    ("matrix_search", "writer", "read"), ("sql", "writer", "read"), ("validate", "writer", "read"),
    ("chat", "reader", "write"), ("answer", "reader", "write"), ("answer", "writer", "read"),
    ("outcome", "reader", "write"), ("playbook_record", "reader", "write"), ("pathway_add", "reader", "write"),
    ("pathway_search", "writer", "read"), ("pathway_search", "reader", "pii"), ("pathway_history", "reader", "pii"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "token", "scope"), MISSING_SCOPES)
async def test_missing_scope_is_an_error_of_the_tool_that_names_it(
    api: Served, name: str, token: str, scope: str
) -> None:
    before = len(api.events.lines)
    problem = await refused(api, name, {}, token=token)
    assert (problem["title"], problem["status"], problem["scope"]) == ("Forbidden", 403, scope)
    assert repr(scope) in problem["detail"]
    audits = [line for _, line in api.events.lines[before:] if line["action"] == f"mcp.{name}"]
    assert [(a["status"], a["http_status"], a["actor"]) for a in audits] == [("refused", 403, token)]


BAD_ARGUMENTS: list[tuple[str, dict[str, Any], str]] = [
    ("matrix_search", {"corpora": ["notes"]}, "query"),
    ("matrix_search", {"query": "x", "corpora": ["notes"], "k": "ten"}, "$.k"),
    ("matrix_search", {"query": "x", "corpora": ["notes"], "sort": 1}, "sort"),
    ("matrix_search", {"query": "x", "corpora": ["notes"], "filter": {"planet": 1}}, "planet"),
    ("sql", {}, "sql"),
    ("sql", {"sql": "SELECT 1", "max_rows": 1001}, "max_rows"),
    ("sql", {"sql": "SELECT 1", "format": "csv"}, "format"),
    ("sql", {"sql": "SELECT nothing FROM workers"}, "nothing"),
    ("validate", {"kind": "fax", "artifact": {}}, "fax"),
    ("chat", {"messages": []}, "messages"),
    ("chat", {"messages": [{"role": "user", "content": "x"}], "temperature": 9}, "temperature"),
    ("answer", {"task": "x"}, "corpora"),
    ("outcome", {"trace_id": "t", "success": True, "score": 1}, "score"),
    ("playbook_record", {"query": "x", "answer_id": "c", "score": 5}, "$.score"),
    ("playbook_record", {"query": "x", "answer_id": "c", "score": 10**30}, "$.score"),
    ("pathway_add", {"content": {"task": "x"}, "tags": "fill"}, "$.tags"),
    ("pathway_add", {}, "content"),
    ("pathway_search", {"since": "yesterday"}, "$.since"),
    ("pathway_history", {}, "uid"),
]


@pytest.mark.parametrize(("name", "arguments", "named"), BAD_ARGUMENTS)
async def test_bad_argument_is_an_error_of_the_tool_that_names_it(
    api: Served, name: str, arguments: dict[str, Any], named: str
) -> None:
    problem = await refused(api, name, arguments)
    assert (problem["status"], problem["title"]) == (400, "Bad request")
    assert named in problem["detail"]


async def test_statement_that_writes_is_refused(api: Served) -> None:
    problem = await refused(api, "sql", {"sql": "DROP TABLE workers"})
    assert problem["status"] == 403


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("matrix_search", {"query": "x", "corpora": ["nothing"]}),
        ("answer", {"task": "x", "corpora": ["nothing"], "model": "m"}),
    ],
)
async def test_unknown_corpus_is_answered_with_those_there_are(
    api: Served, name: str, arguments: dict[str, Any]
) -> None:
    problem = await refused(api, name, arguments)
    assert (problem["status"], problem["corpus"], problem["corpora"]) == (404, "nothing", ["notes"])
    assert "there are notes" in problem["detail"]


async def test_pathway_is_added_with_every_digit_and_its_history_read(api: Served) -> None:
    content = b'{"task": "pay", "rate": 123456789012345678901234567890.10}'
    params = b'{"name": "pathway_add", "arguments": {"content": %b}}' % content
    message = b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": %b}' % params
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    added = api.http.post("/mcp", content=message, headers=headers).json()["result"]["structuredContent"]
    by_http = api.http.get(f"/v1/pathway/{added['uid']}/history")
    assert content.partition(b'"rate": ')[2][:-1] in by_http.content
    history = await call(api, "pathway_history", {"uid": added["uid"], "min_revision": added["revision"]})
    assert history == by_http.json()
    assert [change["event"] for change in history["changes"]] == ["add"]


async def test_unknown_pathway_is_not_found(api: Served) -> None:
    assert (await refused(api, "pathway_history", {"uid": "none"}))["status"] == 404


async def test_pathway_that_does_not_pass_its_gate_is_not_remembered(api: Served) -> None:
    gate = {"kind": "sms", "artifact": {**SMS, "body": "Your SSN is 219-09-9999."}}
    problem = await refused(api, "pathway_add", {"content": {"task": "send"}, "validate": gate})
    assert (problem["status"], set(problem["refusal"])) == (422, {"Policy"})


async def test_forged_trace_is_not_found(api: Served) -> None:
    assert (await refused(api, "outcome", {"trace_id": "WzEsIjAx.x", "success": True}))["status"] == 404


async def test_provider_that_fails_is_an_error_with_its_status(api: Served, endpoint: ChatEndpointServer) -> None:
    endpoint.replies = [Reply(status=418, document={"error": {"message": "I am a teapot"}})]
    problem = await refused(api, "chat", {"model": "m", "messages": [{"role": "user", "content": "x"}]})
    assert (problem["status"], problem["provider_status"]) == (502, 418)


@pytest.mark.parametrize("era", ERAS)
async def test_unknown_tool_is_an_error_that_lists_the_tools(api: Served, era: str) -> None:
    from mcp import MCPError

    async with connected(api.url, era=era) as client:
        with pytest.raises(MCPError, match="there is no tool 'drop_everything'; there are matrix_search"):
            await client.call_tool("drop_everything", {})


@pytest.mark.parametrize("headers", [{}, {"MCP-Protocol-Version": "2026-07-28"}])
def test_request_without_a_known_token_is_refused(api: Served, headers: dict[str, str]) -> None:
    answer = rpc(api, "tools/list", Authorization="Bearer wrong", **headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert httpx.post(f"{api.url}/mcp", json={}, headers=headers, trust_env=False).status_code == 401


async def test_client_with_a_wrong_token_cannot_connect(api: Served) -> None:
    from mcp import MCPError

    with pytest.RaisesGroup(MCPError, allow_unwrapped=True, flatten_subgroups=True):
        async with connected(api.url, token="wrong", era="legacy"):
            pass


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Host": "evil.example"}])
def test_foreign_page_or_host_is_refused(api: Served, headers: dict[str, str]) -> None:
    assert rpc(api, "tools/list", **headers).status_code == 403


def test_body_over_the_limit_is_refused(api: Served) -> None:
    arguments = {"query": "x" * MAX_JSON_BYTES, "corpora": ["notes"]}
    answer = rpc(api, "tools/call", {"name": "matrix_search", "arguments": arguments})
    assert (answer.status_code, answer.json()["max_bytes"]) == (413, MAX_JSON_BYTES)


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT"])
def test_what_is_no_post_is_refused_and_holds_no_connection(api: Served, method: str) -> None:
    answer = api.http.request(method, "/mcp", headers={"Accept": "text/event-stream"})
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"\xff", b'{"jsonrpc": "2.0"}', b"[" * 5000])
def test_what_is_no_message_is_refused(api: Served, body: bytes) -> None:
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    for version in ({}, {"MCP-Protocol-Version": "2026-07-28"}):
        answer = api.http.post("/mcp", content=body, headers={**headers, **version})
        assert answer.status_code in (400, 202), answer.text
        assert "Traceback" not in answer.text


async def test_two_clients_at_once_get_their_own_answers(api: Served) -> None:
    async def ask(client: Client, number: int) -> Any:
        result = await client.call_tool("sql", {"sql": f"SELECT {number} AS n"})
        return result.structured_content["rows"]

    async with connected(api.url, era=ERAS[0]) as one, connected(api.url, era=ERAS[1]) as other:
        answers = await asyncio.gather(*(ask(client, n) for n in range(12) for client in (one, other)))
    assert answers == [[[n]] for n in range(12) for _ in range(2)]


ENDLESS_CALLS: list[tuple[str, dict[str, Any]]] = [
    ("sql", {"sql": ENDLESS}),
    ("chat", {"model": "m", "messages": [{"role": "user", "content": "x"}]}),
    ("answer", {"task": "Who drives a forklift?", "corpora": ["notes"], "model": "m"}),
]


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(("name", "arguments"), ENDLESS_CALLS, ids=[one[0] for one in ENDLESS_CALLS])
def test_client_that_goes_away_ends_its_call(
    api: Served, endpoint: ChatEndpointServer, name: str, arguments: dict[str, Any], era: str
) -> None:
    endpoint.replies = [Reply(hang=True)]
    asked, gone = len(endpoint.requests), api.count_gone(name)
    params: dict[str, Any] = {"name": name, "arguments": arguments}
    headers = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
    headers["Authorization"] = f"Bearer {TOKEN}"
    if era != "legacy":
        prefix = "io.modelcontextprotocol/"
        params["_meta"] = {f"{prefix}protocolVersion": era, f"{prefix}clientCapabilities": {}}
        headers |= {"MCP-Protocol-Version": era, "Mcp-Method": "tools/call", "Mcp-Name": name}
    connection = http.client.HTTPConnection(api.url.removeprefix("http://"))
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    connection.request("POST", "/mcp", json.dumps(message), headers)
    if name == "sql":  # the server has read the request when it has answered the next one
        assert api.post("/v1/sql", {"sql": "SELECT 1"})["row_count"] == 1
    else:
        wait_until(lambda: len(endpoint.requests) > asked)
    connection.close()
    wait_until(lambda: api.count_gone(name) == gone + 1)
    if name == "sql":
        assert api.lines("audits")[-1]["status"] == "cancelled"


async def test_api_that_restarts_between_calls_is_not_noticed(store: S3ObjectStore, tmp_path: Path) -> None:
    with api_process(store, tmp_path) as process:
        url = process.url
        async with connected(url, era="legacy") as one, connected(url) as other:
            # The first requests of a process, at once: the SDK is loaded for them.
            results = await asyncio.gather(*(c.call_tool("sql", {"sql": "SELECT 1"}) for c in (one, other) * 4))
            assert not any(result.is_error for result in results)
            assert await anyio.to_thread.run_sync(process.stop) == 0
            await anyio.to_thread.run_sync(lambda: process.start(port=process.port))
            for client in (one, other):
                result = await client.call_tool("sql", {"sql": "SELECT 2 AS n"})
                assert result.structured_content["rows"] == [[2]]
        assert "Traceback" not in process.log.read_text()
