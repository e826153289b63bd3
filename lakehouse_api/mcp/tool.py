"""A tool, a call of it, and how calls end.

Belongs here: scopes, errors, what goes away. Not here: which tools there are (see tool_table.py), the protocol (see
server.py).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import orjson
import structlog
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from lakehouse.errors import BadInput, LakehouseError
from lakehouse_api.auth import Principal
from lakehouse_api.errors import bad_fields, fields_of, internal_error, problem_response
from lakehouse_api.hot_routes import Asked
from lakehouse_api.mcp.endpoint import GONE, McpRoute

if TYPE_CHECKING:
    from lakehouse_api.services import Services

Model = TypeVar("Model", bound=BaseModel)


class _Params(msgspec.Struct):
    arguments: msgspec.Raw = msgspec.Raw(b"{}")


class _Message(msgspec.Struct):
    params: _Params


_MESSAGE = msgspec.json.Decoder(_Message)
_log = structlog.get_logger("lakehouse.mcp")


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call: the arguments, and the HTTP request that brought them through the door."""

    services: Services
    request: Request
    arguments: dict[str, Any]

    @property
    def principal(self) -> Principal:
        """Who calls."""
        found: Principal = self.request.scope["state"]["principal"]
        return found

    def asked(self, body: Any = None) -> Asked:
        """The call as a hot route takes it."""
        state = self.request.scope["state"]
        return Asked(self.services, self.principal, state, body, receive=self.request.receive)

    async def raw(self) -> bytes:
        """The arguments as they were written: with every digit of every number, which parsing them would round.

        Raises:
            BadInput: They are no JSON.
        """
        try:
            message = _MESSAGE.decode(await self.request.body())
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise BadInput(f"the arguments are not JSON: {error}") from None
        given = bytes(message.params.arguments)
        return b"{}" if given == b"null" else given

    def read(self, model: type[Model]) -> Model:
        """The arguments as a model.

        Raises:
            BadInput: A field is unknown, missing or of another type; the message names it.
        """
        try:
            return model.model_validate(self.arguments)
        except ValidationError as error:
            raise bad_fields(error.errors(), known=fields_of(model)) from None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a call gives: a JSON object, whether it is an error, and a sentence for who reads it."""

    body: bytes
    is_error: bool = False
    note: str | None = None


Run = Callable[[ToolCall], Awaitable[ToolResult]]


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as it is listed and called.

    Args:
        name: As it is called.
        title: For people.
        description: For a language model: what it does, when to use it, what to do with the answer.
        scopes: All that a token needs.
        takes: JSON schema of the arguments.
        gives: JSON schema of the answer.
        run: Does it.
        is_read_only: It changes nothing.
        is_open_world: It may ask others than this platform.
    """

    name: str
    title: str
    description: str
    scopes: tuple[str, ...]
    takes: dict[str, Any]
    gives: dict[str, Any]
    run: Run
    is_read_only: bool = False
    is_open_world: bool = False


async def run_tool(tool: Tool, call: ToolCall) -> ToolResult:
    """Run a call; whatever goes wrong becomes an error that the caller can read."""
    scope = call.request.scope
    scope["route"] = McpRoute(f"mcp.{tool.name}", f"/mcp {tool.name}")
    try:
        for needed in tool.scopes:
            call.principal.require(needed)
        return await tool.run(call)
    except LakehouseError as error:
        scope["state"]["tool_status"] = error.status
        return ToolResult(bytes(problem_response(error, scope).body), is_error=True)
    except ClientDisconnect:
        scope["state"][GONE] = True
        return ToolResult(b"{}", is_error=True)  # nobody reads it
    except Exception:
        _log.exception("tool failed", tool=tool.name, request_id=scope["state"]["request_id"])
        scope["state"]["tool_status"] = 500
        return ToolResult(bytes(internal_error(scope).body), is_error=True)


def object_of(body: bytes) -> dict[str, Any]:
    """A result's JSON object."""
    document: dict[str, Any] = orjson.loads(body)
    return document
