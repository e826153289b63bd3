"""Which paths are pages, and which of them are open to who has not logged in.

Belongs here: paths. Not here: what is behind them (see the other modules of this folder).
"""

from __future__ import annotations

from starlette.types import Scope

from lakehouse_api.request_headers import header

DOCS = "/docs"
PREFIX = "/ui"
LOGIN = "/ui/login"
LOGOUT = "/ui/logout"
STATIC = "/ui/static/"
MOST_TARGET_CHARACTERS = 2000
"""Of the page that a login leads back to; a longer one is led to without its query."""


def is_page(scope: Scope) -> bool:
    """True for a path of the pages."""
    path = _path(scope)
    return path == PREFIX or path.startswith(f"{PREFIX}/")


def is_open_page(scope: Scope) -> bool:
    """True for the login form and the files that pages are made of."""
    path = _path(scope)
    return path == LOGIN or path.startswith(STATIC)


def leads_to_page(scope: Scope) -> bool:
    """True for a browser that asks for the API's documentation where people look for it: it is sent on to the page."""
    return _path(scope) == DOCS and scope.get("method") == "GET" and "text/html" in (header(scope, b"accept") or "")


def is_static(scope: Scope) -> bool:
    """True for the files that pages are made of."""
    return _path(scope).startswith(STATIC)


def local_target(target: str) -> str:
    """Where a login leads: a page of ours, whatever was asked for."""
    is_ours = target == PREFIX or target.startswith((f"{PREFIX}/", f"{PREFIX}?"))
    has_trap = "\\" in target or any(ord(character) < 32 for character in target)
    return target if is_ours and not has_trap and not target.startswith(LOGIN) else PREFIX


def _path(scope: Scope) -> str:
    root: str = scope.get("root_path", "")
    path: str = scope.get("path", "")  # a head that does not end has none
    return path.removeprefix(root) if root and path.startswith(f"{root}/") else path
