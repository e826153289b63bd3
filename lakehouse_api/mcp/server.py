"""The protocol, by the official SDK: the only module that knows it, loaded with the first request to `/mcp`.

Belongs here: tools as the SDK lists them, calls as it hands them over. Not here: what they do (see tool_table.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    ToolAnnotations,
)
from mcp_types import Tool as ListedTool
from starlette.requests import Request

from lakehouse_api.mcp.tool import Tool, ToolCall, ToolResult, object_of, run_tool
from lakehouse_api.mcp.tool_table import INSTRUCTIONS, offered_tools
from lakehouse_api.middleware_body import MAX_JSON_BYTES
from lakehouse_api.services import Services

Context = ServerRequestContext[Any, Any]


def make_manager(services: Services) -> StreamableHTTPSessionManager:
    """What answers `/mcp`: without sessions, and with whole JSON answers."""
    tools = {tool.name: tool for tool in offered_tools()}
    listed = listed_tools(tools.values())

    async def list_tools(_: Context, __: PaginatedRequestParams | None) -> ListToolsResult:
        return listed

    async def call_tool(context: Context, params: CallToolRequestParams) -> CallToolResult:
        tool = tools.get(params.name)
        if tool is None:
            raise MCPError(INVALID_PARAMS, f"there is no tool {params.name[:100]!r}; there are {', '.join(tools)}")
        request: Request = context.request  # type: ignore[assignment]  # over HTTP there always is one
        return _answered(await run_tool(tool, ToolCall(services, request, params.arguments or {})))

    server: Server[Any] = Server(
        "lakehouse",
        version=version("lakehouse"),
        title="Lakehouse",
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        get_tool_input_schema=lambda name: tools[name].takes if name in tools else None,
    )
    return StreamableHTTPSessionManager(
        server, json_response=True, stateless=True, max_request_body_size=MAX_JSON_BYTES
    )


def listed_tools(tools: Iterable[Tool] | None = None) -> ListToolsResult:
    """The answer to `tools/list`, which is the same for everybody."""
    return ListToolsResult(tools=[_listed(tool) for tool in (offered_tools() if tools is None else tools)])


def _listed(tool: Tool) -> ListedTool:
    return ListedTool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=tool.takes,
        output_schema=tool.gives,
        annotations=ToolAnnotations(
            title=tool.title,
            read_only_hint=tool.is_read_only,
            destructive_hint=False,
            idempotent_hint=tool.is_read_only,  # what writes adds a line each time
            open_world_hint=tool.is_open_world,
        ),
    )


def _answered(result: ToolResult) -> CallToolResult:
    texts = [result.body.decode(), result.note]
    return CallToolResult(
        content=[TextContent(type="text", text=text) for text in texts if text is not None],
        # An error has none: clients hold structured content against the schema of a success.
        structured_content=None if result.is_error else object_of(result.body),
        is_error=result.is_error,
    )
