"""The busiest routes without the framework's router, dependencies and models: they cost more than a search does.

A hot route is a coroutine that takes a request's bytes and gives an answer's. It is declared once: FastAPI knows it too
(for the document, and for whoever asks with another spelling of the path), and both ways run the same coroutine, behind
the same door, with the same log lines.

Belongs here: the table, the middleware that answers from it. Not here: the routes (see routes/).
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lakehouse.errors import LakehouseError
from lakehouse_api.auth import Principal
from lakehouse_api.errors import problem_response, problems
from lakehouse_api.request_headers import header
from lakehouse_api.struct_bodies import Body

if TYPE_CHECKING:
    from lakehouse_api.services import Services

_WITHOUT_NAME = inspect.Signature([inspect.Parameter("request", inspect.Parameter.KEYWORD_ONLY, annotation=Request)])


async def _stay() -> Message:
    """Never return: the `receive` of a request whose client nobody watches."""
    return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]


class Asked(msgspec.Struct):
    """A request of a hot route: who asks, the request's state (its ids), its decoded body, the name in its path.

    `receive` gives what comes after the body, which tells when the client goes away. `accept` is the header `Accept`.
    """

    services: Services
    principal: Principal
    state: dict[str, Any]
    body: Any
    name: str = ""
    receive: Receive = _stay
    accept: str | None = None


class Reply(msgspec.Struct, frozen=True):
    """An answer with a status of its own; a route that gives bytes has the one that it was declared with."""

    body: bytes
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ((b"content-type", b"application/json"),)


HotRoute = Callable[[Asked], Awaitable[bytes | Reply]]
Fit = Callable[[Scope, bytes], Any]


@dataclass(frozen=True, slots=True)
class Declared:
    """A hot route: what it is asked, the scope that a token needs, its coroutine, the status of its answer."""

    body: Body
    scope: str
    run: HotRoute
    status: int
    path_format: str
    name: str

    async def answer(self, asked: Asked, raw: bytes) -> Reply:
        """Answer a request, whichever way it came.

        Args:
            asked: The request; its body is put in here.
            raw: The body as it came.

        Raises:
            LakehouseError: The scope is missing, the body does not fit, or the route refuses.
        """
        asked.principal.require(self.scope)
        asked.body = self.body.decode(raw)
        return _replied(await self.run(asked), self.status)


@dataclass(frozen=True, slots=True)
class _Shortcut:
    """A POST route of FastAPI's whose ordinary requests are answered here."""

    fit: Fit
    scope: str
    run: HotRoute
    path_format: str
    name: str
    status: int = 200


class HotTable:
    """Hot routes by path; all of them are POST with a JSON body. A path may hold one `{name}`."""

    def __init__(self) -> None:
        self._routes: dict[str, Declared] = {}
        self._named: list[tuple[str, str, Declared]] = []
        self._shortcuts: dict[str, _Shortcut] = {}

    def add_shortcut(self, path: str, run: HotRoute, *, fit: Fit, scope: str, name: str) -> None:
        """Answer the ordinary requests of a POST route of FastAPI's without the framework.

        Args:
            path: The route's.
            run: Answers the requests that fit.
            fit: Decodes the body of an ordinary request; None hands the request on to FastAPI, which also says what
                is wrong with it.
            scope: The scope that a token needs.
            name: The route's name.
        """
        self._shortcuts[path] = _Shortcut(fit, scope, run, path, name)

    def declared(self, path: str) -> Declared:
        """The hot route that was declared under a path without a name in it; `KeyError` when there is none."""
        return self._routes[path]

    def plain(self, path: str) -> Declared | None:
        """The same; None when there is none."""
        return self._routes.get(path)

    def by_url(self) -> dict[bytes, Declared]:
        """All of them by their path as it stands in a request."""
        return {path.encode(): route for path, route in self._routes.items()}

    def find(self, path: str) -> tuple[Declared | _Shortcut, str] | None:
        """The route of a path, and the name in it."""
        route = self._routes.get(path) or self._shortcuts.get(path)
        if route is not None:
            return route, ""
        for head, tail, named in self._named:
            if path.startswith(head) and path.endswith(tail):
                name = path[len(head) : len(path) - len(tail)]
                if name and "/" not in name:
                    return named, name
        return None

    def declare(
        self, router: APIRouter, path: str, run: HotRoute, *, body: Body, scope: str, status: int = 200, **openapi: Any
    ) -> None:
        """Declare a route here and with FastAPI.

        Args:
            router: Where it is documented; its prefix counts.
            path: Below the router's prefix.
            run: The route.
            body: What it is asked.
            scope: The scope that a token needs.
            status: Of its answer.
            openapi: `responses`, `summary` and so on, for the document.
        """
        declared = Declared(body, scope, run, status, router.prefix + path, run.__name__)
        head, is_named, tail = declared.path_format.partition("{name}")
        if is_named:
            self._named.append((head, tail, declared))
        else:
            self._routes[declared.path_format] = declared

        async def by_framework(request: Request, name: str = "") -> Response:
            reply = await answer_of(declared, request.app.state.services, request.scope, await request.body(), name)
            response = Response(reply.body, reply.status)
            response.raw_headers.extend(reply.headers)
            return response

        if not is_named:
            by_framework.__signature__ = _WITHOUT_NAME  # type: ignore[attr-defined]
        by_framework.__name__ = run.__name__
        by_framework.__doc__ = run.__doc__
        extra = {"responses": {**problems(404), **openapi.pop("responses", {})}, **openapi}
        router.post(path, status_code=status, openapi_extra=body.openapi, **extra)(by_framework)


class HotRoutesMiddleware:
    """Answers hot routes itself and hands everything else on; stands inside the door, which has authenticated them."""

    def __init__(self, app: ASGIApp, *, table: HotTable, services: Services) -> None:
        self._app = app
        self._table = table
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._table.find(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if found is None or scope["query_string"]:  # no hot route takes a parameter: FastAPI's says so
            await self._app(scope, receive, send)
            return
        route, name = found
        body = await _read(receive)
        scope["route"] = route
        try:
            if isinstance(route, _Shortcut):
                given = route.fit(scope, body)
                if given is None:
                    await self._app(scope, _again(body, receive), send)
                    return
                principal: Principal = scope["state"]["principal"]
                principal.require(route.scope)
                asked = Asked(
                    self._services, principal, scope["state"], given, receive=receive, accept=header(scope, b"accept")
                )
                reply = _replied(await route.run(asked), route.status)
            else:
                reply = await answer_of(route, self._services, scope, body, name)
        except LakehouseError as error:
            await problem_response(error, scope)(scope, receive, send)
            return
        await send_reply(reply, send)


async def send_reply(reply: Reply, send: Send) -> None:
    """Send an answer."""
    headers = [*reply.headers, (b"content-length", b"%d" % len(reply.body))]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


async def answer_of(route: Declared, services: Services, scope: Scope, body: bytes, name: str = "") -> Reply:
    """The answer of a hot route to a request that has passed the door; raises as `Declared.answer`."""
    state = scope["state"]
    asked = Asked(services, state["principal"], state, None, name, accept=header(scope, b"accept"))
    return await route.answer(asked, body)


def _replied(answer: bytes | Reply, status: int) -> Reply:
    return answer if isinstance(answer, Reply) else Reply(answer, status)


async def _read(receive: Receive) -> bytes:
    """The body; its size was checked on the way in."""
    message: Message = await receive()
    if not message.get("more_body", False):
        return bytes(message.get("body", b""))
    parts = [message.get("body", b"")]
    while message.get("more_body", False):
        message = await receive()
        parts.append(message.get("body", b""))
    return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body once more, for FastAPI's route."""
    first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return first.pop() if first else await receive()

    return receive_again


HOT = HotTable()
