"""Templates to answers: what every page gets, and the headers that keep foreign scripts out.

Belongs here: the environment of the templates, Content-Security-Policy. Not here: what a page shows (see the pages).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from starlette.responses import HTMLResponse, Response
from starlette.types import Scope

from lakehouse_api.request_headers import header
from lakehouse_api.ui.formats import FILTERS
from lakehouse_api.ui.sessions import COOKIE
from lakehouse_api.ui.static_files import asset_versions

if TYPE_CHECKING:
    import jinja2

    from lakehouse_api.ui.site import Site

# Nothing inline, nothing from elsewhere: markup that slipped through could neither run nor call home.
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'; object-src 'none'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
}
NAVIGATION = (
    ("fill", "Fill"), ("search", "Search"), ("datasets", "Datasets"), ("memory", "Memory"), ("runs", "Runs"),
    ("corpora", "Corpora"), ("triage", "Triage"), ("drift", "Drift"), ("replay", "Replay"), ("health", "Health"),
)  # fmt: skip


def render_page(
    scope: Scope, template: str, *, status: int = 200, headers: Mapping[str, str] | None = None, **context: Any
) -> HTMLResponse:
    """Answer with a template.

    Args:
        scope: Of the request: who asks, the sub-path, the session.
        template: Its file; names that begin with `_` are parts of pages, and pages of their own where none asks for
            a part.
        status: Of the answer.
        headers: On top of those that every page has.
        context: What the template shows; all of it is escaped.
    """
    if template.startswith("_") and not asks_for_part(scope):  # a browser without scripts asks for no parts
        template, context = "part.html", {**context, "part": template}
    site: Site = scope["app"].state.site
    state = scope.get("state", {})
    session = state.get("ui_session")
    text = (
        environment()
        .get_template(template)
        .render(
            root=scope.get("root_path", ""),
            principal=state.get("principal"),
            csrf="" if session is None else site.sessions.csrf(session),
            is_open=site.is_open,
            navigation=NAVIGATION,
            active=_page_name(scope),
            dagster=site.dagster_url(scope),
            assets=asset_versions(),
            **context,
        )
    )
    answer = HTMLResponse(text, status, headers={**HEADERS, **(headers or {})})
    if session is not None and state.get("ui_session_is_new"):
        set_session(answer, scope, site.sessions.cookie(session))
    return answer


def asks_for_part(scope: Scope) -> bool:
    """True when a page asks for a part of itself; one that is gone back to asks for all of it."""
    is_back = header(scope, b"hx-history-restore-request") == "true"
    return header(scope, b"hx-request") == "true" and not is_back


def set_session(answer: Response, scope: Scope, cookie: str) -> None:
    """Give the browser its session: no script can read it, and no other site can send it."""
    answer.set_cookie(
        COOKIE, cookie, path=f"{scope.get('root_path', '')}/ui", httponly=True, samesite="strict",
        secure=scope.get("scheme") == "https",
    )  # fmt: skip


@lru_cache(maxsize=1)
def environment() -> jinja2.Environment:
    """The templates: everything is escaped, and a name that is not there is an error."""
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.PackageLoader("lakehouse_api.ui", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update(FILTERS)
    return made


def _page_name(scope: Scope) -> str:
    path = scope["path"].removeprefix(scope.get("root_path", "")).split("/")
    return path[2] if len(path) > 2 else ""
