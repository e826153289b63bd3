"""The quick way: plain requests of hot routes pass all layers before a route in one step.

What it does is what the layers do, by their own functions, in their order: the door, the body with its limit, the
route, the line of whoever was refused. A request with anything out of the ordinary (a browser's origin, a proxy, a body
in pieces without a length or larger than JSON may be) goes through the layers themselves; where pages of other origins
may call, all do, since every answer then says that it varies by origin. A plain request that a connection has soon
read as a whole does not even come here (see plain_way.py).

Belongs here: which requests are plain, the one step. Not here: what a layer does (see middleware_door.py,
middleware_body.py, middleware_audit.py), hot routes (see hot_routes.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Receive, Scope, Send

from lakehouse.errors import LakehouseError
from lakehouse_api.auth import Network, is_within
from lakehouse_api.errors import problem_response
from lakehouse_api.hot_routes import HotTable, answer_of, send_reply
from lakehouse_api.limits import IDLE_TIMEOUT_S, body_timeout
from lakehouse_api.middleware_audit import append_audit
from lakehouse_api.middleware_body import MAX_JSON_BYTES
from lakehouse_api.middleware_door import Door
from lakehouse_api.receiving import receive_within
from lakehouse_api.request_headers import body_length, header

if TYPE_CHECKING:
    from lakehouse_api.services import Services


class QuickWayMiddleware:
    """Answers plain requests of hot routes; stands outside of all layers but the one that gives ids and logs.

    Args:
        app: The layers.
        table: The hot routes.
        services: What they work with.
        door: Who may come in.
        trusted: Proxies whose requests are not plain.
        root_path: The sub-path.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        table: HotTable,
        services: Services,
        door: Door,
        trusted: Iterable[Network],
        root_path: str = "",
    ) -> None:
        self._app = app
        self._table = table
        self._services = services
        self._door = door
        self._trusted = tuple(trusted)
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._table.plain(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if route is None or not self._is_plain(scope):
            await self._app(scope, receive, send)
            return
        scope["root_path"] = self._root_path
        state = scope["state"]
        status = 0
        try:
            state["principal"] = self._door.enter(scope)
            body = await _body(receive)
            scope["route"] = route
            reply = await answer_of(route, self._services, scope, body)
            status = reply.status
            await send_reply(reply, send)
        except LakehouseError as error:
            response = problem_response(error, scope)
            status = response.status_code
            await response(scope, receive, send)
        finally:
            if not state.get("is_audited"):
                await append_audit(self._services, scope, status)

    def _is_plain(self, scope: Scope) -> bool:
        if header(scope, b"origin") is not None or header(scope, b"transfer-encoding") is not None:
            return False
        if not 0 < (body_length(header(scope, b"content-length")) or 0) <= MAX_JSON_BYTES:
            return False
        peer = scope.get("client")
        return not self._trusted or peer is None or not is_within(peer[0], self._trusted)


async def _body(receive: Receive) -> bytes:
    """The body, whose length has been looked at; the server gives no more than that."""
    parts: list[bytes] = []
    while True:
        try:
            message = await receive_within(receive, IDLE_TIMEOUT_S)
        except TimeoutError:
            raise body_timeout(IDLE_TIMEOUT_S) from None
        if not message.get("more_body", False):
            last = bytes(message.get("body", b""))
            return last if not parts else b"".join([*parts, last])
        parts.append(message.get("body", b""))
