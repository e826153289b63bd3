"""The files that pages are made of: styles, our few scripts, and those of packages.

Small ones of packages are kept here with their licences; Swagger UI, which is large and of one page, is read where it
is installed. They are read once; their addresses change when they do, so browsers keep them until then.

Belongs here: `/ui/static`. Not here: which page uses them (see templates/base.html, templates/docs.html). How files of
packages are brought up to date: docs/decisions/0041-pages.md.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.metadata import version
from importlib.resources import files

from fastapi import APIRouter
from starlette.responses import Response

from lakehouse.errors import NotFound

router = APIRouter(prefix="/ui/static", include_in_schema=False)
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_NAMES = (
    "pages.css", "pages.js", "heard.js", "unsent.js", "drafts.js", "docs.css", "docs.js", "icon.svg",
    "vendor/htmx.min.js", "vendor/sse.min.js",
)  # fmt: skip
_SWAGGER = ("swagger/swagger-ui.css", "swagger/swagger-ui-bundle.js")
_HEADERS = {"Cache-Control": "public, max-age=31536000, immutable", "Cross-Origin-Resource-Policy": "same-origin"}


@lru_cache(maxsize=1)
def _assets() -> dict[str, bytes]:
    folder = files("lakehouse_api.ui") / "static"
    return {name: (folder / name).read_bytes() for name in _NAMES}


@lru_cache(maxsize=len(_SWAGGER))
def _swagger(name: str) -> bytes:
    return (files("fastapi_swagger.resources") / name.removeprefix("swagger/")).read_bytes()


@lru_cache(maxsize=1)
def asset_versions() -> dict[str, str]:
    """For each file the address under `/ui/static/` that changes with it."""
    ours = {name: f"{name}?v={hashlib.sha256(body).hexdigest()[:12]}" for name, body in _assets().items()}
    return ours | {name: f"{name}?v={version('fastapi-swagger')}" for name in _SWAGGER}


@router.get("/{name:path}")
async def ui_static(name: str) -> Response:
    """A file by its name; nothing else can be reached."""
    body = _swagger(name) if name in _SWAGGER else _assets().get(name)
    if body is None:
        raise NotFound(f"there is no file {name[:80]!r} of the pages")
    kind = _TYPES[name[name.rindex(".") :]]
    return Response(body, media_type=kind, headers=_HEADERS)
