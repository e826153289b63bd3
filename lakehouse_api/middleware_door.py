"""The door: which proxies are believed, which hosts and origins are answered, and who is asking.

Belongs here: reading the headers that decide. Not here: the rules on tokens and addresses (see auth.py).
"""

from __future__ import annotations

from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from lakehouse.errors import Forbidden, LakehouseError
from lakehouse_api.auth import Authenticator, Network, Principal, is_within
from lakehouse_api.errors import problem_response
from lakehouse_api.request_headers import header
from lakehouse_api.ui.door import PageDoor
from lakehouse_api.ui.paths import is_page, leads_to_page

OPEN_PATHS = frozenset({"/health"})


class ProxyMiddleware:
    """Puts the sub-path into the scope, and the client's address and scheme when a trusted proxy says what they are.

    The sub-path may be stripped by the proxy or not: the router takes both.
    """

    def __init__(self, app: ASGIApp, *, trusted: Iterable[Network], root_path: str = "") -> None:
        self._app = app
        self._trusted = tuple(trusted)
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["root_path"] = self._root_path
        peer = scope.get("client")
        if scope["type"] == "http" and peer is not None and is_within(peer[0], self._trusted):
            headers = Headers(scope=scope)
            address = self._client(headers.getlist("x-forwarded-for"))
            if address is not None:
                scope["client"] = (address, 0)
            proto = headers.get("x-forwarded-proto", "").split(",")[-1].strip().lower()
            if proto in ("http", "https"):
                scope["scheme"] = proto
        await self._app(scope, receive, send)

    def _client(self, forwarded: Iterable[str]) -> str | None:
        """The last address that is not of a trusted proxy; those left of it may be forged."""
        hops = [hop.strip() for line in forwarded for hop in line.split(",") if hop.strip()]
        for hop in reversed(hops):
            if not is_within(hop, self._trusted):
                return hop
        return hops[0] if hops else None


class Door:
    """Which hosts and origins are answered, and who is asking.

    Args:
        authenticator: Knows the tokens.
        hosts: Names that requests may be addressed to; `*`: any.
        origins: Of web pages that may call.
    """

    def __init__(self, authenticator: Authenticator, *, hosts: Iterable[str], origins: Iterable[str]) -> None:
        self._authenticator = authenticator
        self._hosts = frozenset(host.lower() for host in hosts)
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)

    def check(self, scope: Scope) -> None:
        """Raise `Forbidden` for a foreign host or origin."""
        host = self._check_host(header(scope, b"host") or "")
        self._check_origin(header(scope, b"origin"), host)

    def enter(self, scope: Scope) -> Principal:
        """Check, and say who is asking.

        Raises:
            Unauthorized, Forbidden: As `Authenticator.authenticate`, or the host or the origin is foreign.
        """
        self.check(scope)
        return self._authenticator.authenticate(header(scope, b"authorization"), address_of(scope))

    def enter_plainly(self, host: str | None, authorization: str | None, address: str) -> Principal:
        """The same for a request that names no origin; raises the same."""
        self._check_host(host or "")
        return self._authenticator.authenticate(authorization, address)

    def _check_host(self, host: str) -> str:
        name = _host_name(host)
        if name not in self._hosts and "*" not in self._hosts:
            raise Forbidden(f"host {host[:100]!r} is not answered to; LAKEHOUSE_ALLOWED_HOSTS lists those that are")
        return host.lower()

    def _check_origin(self, origin: str | None, host: str) -> None:
        # Browsers send the origin of the page. A page of another site must not use an API that the browser can reach.
        if origin is None or origin.lower() in self._origins:
            return
        # An origin is scheme://host[:port] and no more (RFC 6454, section 6.2).
        if origin.lower().partition("://")[2] != host:
            raise Forbidden(
                f"web pages of {origin[:100]!r} may not call this API; LAKEHOUSE_ALLOWED_ORIGINS lists those that may"
            )


class DoorMiddleware:
    """Refuses foreign hosts and origins, then finds out who is asking; only `/health` is open to all."""

    def __init__(self, app: ASGIApp, *, door: Door, pages: PageDoor) -> None:
        self._app = app
        self._door = door
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            if is_page(scope):
                self._door.check(scope)
                # A browser's pages go by its session; the API itself takes no cookie, so no page can drive it.
                scope["state"]["principal"] = self._pages.enter(scope, address_of(scope))
            elif _is_open(scope) or leads_to_page(scope):
                self._door.check(scope)
            else:
                scope["state"]["principal"] = self._door.enter(scope)
        except LakehouseError as error:
            await problem_response(error, scope)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def address_of(scope: Scope) -> str:
    """The client's address; empty for a Unix socket."""
    return str((scope.get("client") or ("",))[0])


def _is_open(scope: Scope) -> bool:
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path in OPEN_PATHS or (root != "" and path.removeprefix(root) in OPEN_PATHS)


def _host_name(host: str) -> str:
    """The name without the port; an IPv6 address keeps its brackets."""
    lowered = host.strip().lower()
    if lowered.startswith("["):
        return lowered.partition("]")[0] + "]"
    return lowered.partition(":")[0]
