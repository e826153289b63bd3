"""HEAD for every route that has GET: the same answer without its body.

Belongs here: asking the route as GET, and keeping its body back. Not here: objects, whose HEAD reads no byte of them
(see routes/storage.py).

Source: RFC 9110, section 9.3.2.
"""

from __future__ import annotations

from fastapi.routing import APIRouter
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lakehouse_api.ui.paths import is_page


class HeadRequestsMiddleware:
    """Stands around the router; pages are left alone, for some of them are streams without an end.

    Args:
        app: What answers GET.
        router: Its routes; one that has a HEAD of its own answers that.
    """

    def __init__(self, app: ASGIApp, *, router: APIRouter) -> None:
        self._app = app
        self._router = router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD" or is_page(scope) or self._is_own(scope):
            await self._app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        # A copy: the server and the logs go on knowing it as HEAD.
        asked = {**scope, "method": "GET"}
        try:
            await self._app(asked, receive, without_body)
        finally:
            if "route" in asked:
                scope["route"] = asked["route"]

    def _is_own(self, scope: Scope) -> bool:
        return any(route.matches(scope)[0] == Match.FULL for route in self._router.routes)
