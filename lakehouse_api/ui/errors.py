"""What a browser is shown when something goes wrong: what happened, and what to do.

Belongs here: pages and fragments of errors, the way to the login. Not here: which error it is (see
lakehouse/errors.py), problem documents (see lakehouse_api/errors.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

from starlette.responses import Response
from starlette.types import Scope

from lakehouse_api.request_headers import header
from lakehouse_api.ui.paths import LOGIN, LOGOUT, MOST_TARGET_CHARACTERS, PREFIX, local_target
from lakehouse_api.ui.rendering import asks_for_part, render_page

_UNAUTHORIZED = 401
_READING = frozenset({"GET", "HEAD"})
_SAID = frozenset({"retry_after_s", "scope", "errors"})


def page_error(
    scope: Scope, status: int, title: str, detail: str, *, fields: Mapping[str, Any], headers: Mapping[str, str]
) -> Response:
    """The page for an error, the fragment for a part of a page, or the way to the login."""
    is_part = asks_for_part(scope)
    if status == _UNAUTHORIZED:
        return _to_login(scope, is_part=is_part)
    return render_page(
        scope,
        "_error.html" if is_part else "error.html",
        status=status,
        headers=headers,
        title=title,
        detail=detail,
        fields={name: value for name, value in fields.items() if name not in _SAID},
        request_id=scope.get("state", {}).get("request_id", ""),
        form=None if is_part or scope["method"] in _READING else _page_of_form(scope),
    )


def _page_of_form(scope: Scope) -> str | None:
    """The page of ours that a form was sent from."""
    page = _address(scope, b"referer")
    target = local_target(f"{page.path.removeprefix(scope.get('root_path', ''))}?{page.query}".removesuffix("?"))
    return None if target == PREFIX else target


def _address(scope: Scope, name: bytes) -> SplitResult:
    """The address in a header; an empty one where it is none, as a browser never sends it."""
    try:
        return urlsplit(header(scope, name) or "")
    except ValueError:
        return urlsplit("")


def _to_login(scope: Scope, *, is_part: bool) -> Response:
    root = scope.get("root_path", "")
    asked, is_change = scope["path"].removeprefix(root), scope["method"] not in _READING
    if is_part:
        page = _address(scope, b"hx-current-url")  # where the part would have stood
        path, query = page.path.removeprefix(root), page.query
    else:
        path = PREFIX if is_change else asked
        query = scope.get("query_string", b"").decode("ascii", "replace")
    target = f"{path}?{query}" if query and len(path) + len(query) < MOST_TARGET_CHARACTERS else path
    told = ([f"next={quote(target)}"] if target else []) + (["unsent=true"] if is_change and asked != LOGOUT else [])
    login = "?".join((f"{root}{LOGIN}", "&".join(told))).removesuffix("?")
    if is_part:
        return Response(status_code=_UNAUTHORIZED, headers={"HX-Redirect": login})
    return Response(status_code=303, headers={"Location": login, "Cache-Control": "no-store"})
