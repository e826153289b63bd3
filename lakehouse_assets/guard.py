"""The guard in front of Dagster's webserver, which has no auth, takes any Host and runs mutations from a plain GET.

Belongs here: the ASGI middleware and its rules. Not here: the server (see webserver.py).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any
from urllib.parse import urlsplit

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

GRAPHQL = "/graphql"


class Guard:
    """Lets through what the UI itself sends, answers 403 to what another web page could make a browser send.

    Args:
        app: The webserver's ASGI application.
        allowed_hosts: Host names, without port, that requests may be addressed to.
    """

    def __init__(self, app: App, *, allowed_hosts: Sequence[str]) -> None:
        self._app = app
        self._allowed_hosts = frozenset(h.strip("[]").lower() for h in allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] in ("http", "websocket"):
            reason = self.reason_against(scope)
            if reason is not None:
                await _refuse(scope, send, reason)
                return
        await self._app(scope, receive, send)

    def reason_against(self, scope: Scope) -> str | None:
        """Why a connection is refused; None when it may pass."""
        headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        hosts, origins = headers.get("host", []), headers.get("origin", [])
        if len(hosts) != 1 or _host_name(hosts[0]) not in self._allowed_hosts:
            return "this host name is not served here; add it to LAKEHOUSE_ALLOWED_HOSTS"
        if len(origins) > 1 or any(o.lower().partition("://")[2] != hosts[0].lower() for o in origins):
            return "another web page may not drive this server"
        if scope["type"] == "websocket":
            return None if origins else "a websocket without an Origin"
        return _reason_against_http(scope, headers)


def _reason_against_http(scope: Scope, headers: dict[str, list[str]]) -> str | None:
    if headers.get("sec-fetch-site", ["none"])[0] == "cross-site" and scope["method"] != "GET":
        return "another web page may not drive this server"
    if GRAPHQL in scope["path"]:
        kind = headers.get("content-type", [""])[0].partition(";")[0].strip().lower()
        if scope["method"] != "POST" or kind != "application/json":
            return "GraphQL is only taken as POST of application/json"
    elif scope["method"] not in ("GET", "HEAD"):
        return "only GraphQL takes anything but GET"
    return None


def _host_name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


async def _refuse(scope: Scope, send: Send, reason: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": reason})  # answered as 403 by the server
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"x-content-type-options", b"nosniff")]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": reason.encode()})
