"""Logging in and out: the same tokens as everywhere, shown once and kept as a session.

Belongs here: the form and its two actions. Not here: sessions (see sessions.py), who may do what (see ../auth.py).
"""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from lakehouse.errors import LakehouseError
from lakehouse_api.dependencies import ServicesDep
from lakehouse_api.ui.dependencies import FormDep, SiteDep
from lakehouse_api.ui.paths import LOGIN, LOGOUT, MOST_TARGET_CHARACTERS, PREFIX, local_target
from lakehouse_api.ui.rendering import render_page, set_session
from lakehouse_api.ui.sessions import COOKIE, digest_of

router = APIRouter(include_in_schema=False)
_SEE_OTHER = 303


@router.get(PREFIX)
async def ui_home(request: Request) -> Response:
    """The first page."""
    return RedirectResponse(f"{request.scope.get('root_path', '')}/ui/search", _SEE_OTHER)


@router.get(LOGIN)
async def ui_login(
    request: Request,
    to: Annotated[str, Query(alias="next", max_length=MOST_TARGET_CHARACTERS)] = PREFIX,
    *,
    unsent: Annotated[bool, Query()] = False,
) -> Response:
    """The form; `unsent` says that a change was refused because its session had ended."""
    return render_page(request.scope, "login.html", target=local_target(to), refusal=None, is_unsent=unsent)


@router.post(LOGIN)
async def ui_log_in(request: Request, services: ServicesDep, site: SiteDep) -> Response:
    """Open a session for a token; what is wrong with it is said on the form.

    There is no session yet whose secret could come along; that the form is sent from our own page is seen by its
    origin, which the door has checked.
    """
    form = await request.form(max_files=0, max_fields=8)
    token, target = str(form.get("token", "")), local_target(str(form.get("next", PREFIX)))
    root = request.scope.get("root_path", "")
    if site.is_open:
        return RedirectResponse(f"{root}{target}", _SEE_OTHER)
    address = request.client.host if request.client is not None else ""
    try:
        services.auth.authenticate(f"Bearer {token}", address)
    except LakehouseError as error:
        said = "this token is not known: paste the whole token" if error.status == 401 else error.detail
        return render_page(
            request.scope, "login.html", status=error.status, target=target, refusal=said, is_unsent=False
        )
    answer = RedirectResponse(f"{root}{target}", _SEE_OTHER)
    session = site.sessions.open(digest_of(token), now_s=time.time())
    set_session(answer, request.scope, site.sessions.cookie(session))
    return answer


@router.post(LOGOUT)
async def ui_log_out(request: Request, _: FormDep) -> Response:
    """Forget the session."""
    root = request.scope.get("root_path", "")
    answer = RedirectResponse(f"{root}{LOGIN}", _SEE_OTHER)
    answer.delete_cookie(COOKIE, path=f"{root}/ui", httponly=True, samesite="strict")
    answer.headers["Clear-Site-Data"] = '"storage"'  # nothing of this person stays in the browser
    return answer
