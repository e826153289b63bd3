"""The page Docs: every route of the API, to be read and tried, by Swagger UI from a package and not from elsewhere.

The document comes with the session, as a page does. What is tried there goes to the API itself, which takes a token
and no cookie: it is given under *Authorize*, and is kept nowhere but in the page.

Belongs here: the page, its document, the way there. Not here: the document (see lakehouse_api/openapi.py), the files
(see static_files.py).
"""

from __future__ import annotations

import orjson
from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from lakehouse_api.ui.paths import DOCS
from lakehouse_api.ui.rendering import CSP, HEADERS, render_page

router = APIRouter(include_in_schema=False)
# Its style sheet holds its icons.
_CSP = CSP.replace("img-src 'self'", "img-src 'self' data:")
_SEE_OTHER = 303


@router.get(DOCS)
async def ui_way_to_docs(request: Request) -> Response:
    """The way to the page, from where people look for it."""
    return RedirectResponse(f"{request.scope.get('root_path', '')}/ui/docs", _SEE_OTHER)


@router.get("/ui/docs")
async def ui_docs(request: Request) -> Response:
    """The page."""
    return render_page(request.scope, "docs.html", headers={"Content-Security-Policy": _CSP})


@router.get("/ui/docs/openapi.json")
async def ui_openapi(request: Request) -> Response:
    """The document that it shows."""
    return Response(orjson.dumps(request.app.openapi()), media_type="application/json", headers=HEADERS)
