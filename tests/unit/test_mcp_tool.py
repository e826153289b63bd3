"""A call of a tool that fails: what the caller reads, and what stays in the log."""

from __future__ import annotations

from typing import Any, cast

import orjson
import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message
from structlog.testing import capture_logs

from lakehouse.errors import BadInput, NotFound, Unavailable
from lakehouse_api.auth import Principal
from lakehouse_api.mcp.endpoint import GONE
from lakehouse_api.mcp.tool import Run, Tool, ToolCall, ToolResult, run_tool
from lakehouse_api.schemas.mcp import SqlToolQuery

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def tool_that(run: Run, *scopes: str) -> Tool:
    return Tool(name="t", title="T", description="", scopes=scopes, takes={}, gives={}, run=run)


def call_of(*scopes: str, body: bytes = b"{}") -> ToolCall:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    state = {"principal": Principal("jo", frozenset(scopes), "127.0.0.1"), "request_id": "r-1"}
    scope = {"type": "http", "method": "POST", "path": "/mcp", "raw_path": b"/mcp", "headers": [], "state": state}
    nothing: Any = None
    return ToolCall(nothing, Request(scope, receive), {})


def failing(error: Exception) -> Run:
    async def run(_: ToolCall) -> ToolResult:
        raise error

    return run


async def outcome(run: Run, call: ToolCall) -> tuple[ToolResult, dict[str, Any]]:
    result = await run_tool(tool_that(run), call)
    return result, orjson.loads(result.body)


async def test_platform_error_is_the_problem_that_http_answers() -> None:
    call = call_of()
    result, problem = await outcome(failing(NotFound("there is no corpus 'x'", corpus="x")), call)
    assert result.is_error
    assert problem == {
        "type": "about:blank", "title": "Not found", "status": 404, "detail": "there is no corpus 'x'",
        "instance": "/mcp", "request_id": "r-1", "corpus": "x",
    }  # fmt: skip
    assert call.request.scope["state"]["tool_status"] == 404


async def test_error_that_may_pass_says_when_to_come_back() -> None:
    _, problem = await outcome(failing(Unavailable("later", retry_after_s=5)), call_of())
    assert (problem["status"], problem["retry_after_s"]) == (503, 5)


async def test_unexpected_error_is_logged_and_says_nothing_of_itself() -> None:
    with capture_logs() as logs:
        result, problem = await outcome(failing(RuntimeError("password=hunter2 in /srv/secret.py")), call_of())
    assert result.is_error
    assert (problem["status"], problem["request_id"]) == (500, "r-1")
    assert b"hunter2" not in result.body
    assert b"secret" not in result.body
    assert b"Traceback" not in result.body
    assert [(line["event"], line["tool"], line["request_id"]) for line in logs] == [("tool failed", "t", "r-1")]


async def test_client_that_has_gone_is_marked() -> None:
    call = call_of()
    result, _ = await outcome(failing(ClientDisconnect()), call)
    assert result.is_error
    assert call.request.scope["state"][GONE] is True


async def test_scopes_are_asked_before_anything_runs() -> None:
    result = await run_tool(tool_that(failing(AssertionError("ran")), "read", "pii"), call_of("read"))
    assert "'pii'" in orjson.loads(result.body)["detail"]
    assert orjson.loads(result.body)["scope"] == "pii"


async def echo(call: ToolCall) -> ToolResult:
    return ToolResult(await call.raw())


@pytest.mark.parametrize(
    ("params", "given"),
    [
        (b'{"name": "t", "arguments": {"n": 1234567890123456789.10, "t": "\\u00e4"}}', None),
        (b'{"arguments": {}}', b"{}"),
        (b'{"arguments": null}', b"{}"),
        (b"{}", b"{}"),
    ],
)
async def test_arguments_are_handed_on_as_they_were_written(params: bytes, given: bytes | None) -> None:
    result = await run_tool(tool_that(echo), call_of(body=b'{"id": 1, "params": %b}' % params))
    assert result.body == (given or b'{"n": 1234567890123456789.10, "t": "\\u00e4"}')


@pytest.mark.parametrize("arguments", [b'{"n": NaN}', b"[" * 200_000, b"{"])
async def test_arguments_that_are_no_json_are_refused(arguments: bytes) -> None:
    result = await run_tool(tool_that(echo), call_of(body=b'{"params": {"arguments": %b}}' % arguments))
    assert (result.is_error, orjson.loads(result.body)["status"]) == (True, 400)


async def test_unknown_argument_is_told_with_those_there_are() -> None:
    call = ToolCall(cast("Any", None), call_of().request, {"sql": "SELECT 1", "rows": 1})
    with pytest.raises(BadInput, match=r"rows: .*; the fields are sql, max_rows, as_of$"):
        call.read(SqlToolQuery)
