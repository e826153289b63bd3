"""The quick way: a fast path within ASGI, one middleware that does for plain requests what all others would do.

It calls their functions in their order: the door, the body with its limit, the route, the audit line of a refusal. A
request with anything out of the ordinary (an `Origin`, a proxy, a body without a length or larger than JSON may be)
goes through the middlewares themselves. So do all requests when pages of other origins may call, as every answer then
has CORS headers. A plain request whose body is small and comes soon does not even get here (see plain_way.py).

Belongs here: the one step. Not here: which requests are plain (see short_way.py), what a layer does (see
middleware_door.py, middleware_body.py, middleware_audit.py), hot routes (see hot_routes.py).
"""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from lakehouse.errors import LakehouseError
from lakehouse_api.errors import problem_response
from lakehouse_api.hot_routes import answer_of, send_reply
from lakehouse_api.limits import IDLE_TIMEOUT_S, BodyPace
from lakehouse_api.middleware_audit import append_audit
from lakehouse_api.receiving import receive_at_pace
from lakehouse_api.request_headers import headers_of
from lakehouse_api.short_way import ShortWay


class QuickWayMiddleware:
    """Answers plain requests of hot routes; outermost but for the middleware that gives ids and logs.

    Args:
        app: The other middlewares.
        way: Which requests are plain, and what their routes work with.
    """

    def __init__(self, app: ASGIApp, *, way: ShortWay) -> None:
        self._app = app
        self._way = way

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        way = self._way
        route = way.table.plain(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if route is None or scope["query_string"] or not way.is_plain(headers_of(scope), scope.get("client")):
            await self._app(scope, receive, send)
            return
        scope["root_path"] = way.root_path
        state = scope["state"]
        status = 0
        try:
            state["principal"] = way.door.enter(scope)
            body = await _body(receive)
            scope["route"] = route
            reply = await answer_of(route, way.services, scope, body)
            status = reply.status
            await send_reply(reply, send)
        except LakehouseError as error:
            response = problem_response(error, scope)
            status = response.status_code
            await response(scope, receive, send)
        finally:
            if not state.get("is_audited"):
                await append_audit(way.services, scope, status)


async def _body(receive: Receive) -> bytes:
    """The body; its declared length has been checked, and the server reads no more than that."""
    parts: list[bytes] = []
    pace = BodyPace(IDLE_TIMEOUT_S)
    while True:
        message = await receive_at_pace(receive, pace)
        if not message.get("more_body", False):
            last = bytes(message.get("body", b""))
            return last if not parts else b"".join([*parts, last])
        parts.append(message.get("body", b""))
