"""What pages are given: the site, the principal, and for changes the check that a page of this session sent them.

Belongs here: FastAPI dependencies, reading forms. Not here: rules (see door.py), those of the API (see
../dependencies.py).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData

from lakehouse.errors import BadInput
from lakehouse_api.errors import bad_fields
from lakehouse_api.hot_routes import HOT, Asked, Reply
from lakehouse_api.services import Services
from lakehouse_api.ui.door import SESSION
from lakehouse_api.ui.rendering import asks_for_part
from lakehouse_api.ui.site import Site

CSRF_FIELD = "csrf"
CSRF_HEADER = "X-CSRF-Token"
_MOST_FIELDS = 400
_MOST_FILES = 2
_REFUSED = 400
_MOST_DIGITS = 20
Model = TypeVar("Model", bound=BaseModel)


async def _site(request: Request) -> Site:
    site: Site = request.app.state.site
    return site


async def checked_form(request: Request) -> FormData:
    """The form of a change, once it has shown that a page of this session sent it.

    Raises:
        Forbidden: It has not.
    """
    return await _checked(request, most_files=0)


async def checked_file_form(request: Request) -> AsyncIterator[FormData]:
    """The same with files, small as all bodies of forms are.

    Raises:
        Forbidden: No page of this session sent it.
    """
    form = await _checked(request, most_files=_MOST_FILES)
    try:
        yield form
    finally:
        await form.close()


async def _checked(request: Request, *, most_files: int) -> FormData:
    form = await request.form(max_files=most_files, max_fields=_MOST_FIELDS)
    given = request.headers.get(CSRF_HEADER) or str(form.get(CSRF_FIELD, ""))
    require_csrf(request, given)
    return form


def require_csrf(request: Request, given: str) -> None:
    """Refuse a change that no page of this session sent.

    Raises:
        Forbidden: It is one.
    """
    site: Site = request.app.state.site
    site.door.require_csrf(request.scope["state"].get(SESSION), given)


SiteDep = Annotated[Site, Depends(_site)]
FormDep = Annotated[FormData, Depends(checked_form)]
FileFormDep = Annotated[FormData, Depends(checked_file_form)]


async def ask_route(request: Request, services: Services, path: str, body: Mapping[str, Any]) -> bytes | Reply:
    """Ask a route of the API as a client would: its scope, the limits of its body, and its coroutine are the same.

    Args:
        request: The page's.
        services: The open services.
        path: Of a hot route.
        body: As JSON.

    Raises:
        LakehouseError: What the route refuses.
    """
    state = request.scope["state"]
    asked = Asked(services, state["principal"], state, None, receive=request.receive)
    reply = await HOT.declared(path).answer(asked, orjson.dumps(body))
    return reply if reply.status >= _REFUSED else reply.body


async def answer_of(request: Request, services: Services, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """The document that a hot route answers with.

    Raises:
        LakehouseError: What the route refuses.
    """
    reply = await ask_route(request, services, path, body)
    document: dict[str, Any] = orjson.loads(reply.body if isinstance(reply, Reply) else reply)
    return document


def read_model(model: type[Model], **fields: Any) -> Model:
    """A body of a route that pydantic checks.

    Raises:
        BadInput: A field does not fit; the message names it.
    """
    try:
        return model(**fields)
    except ValidationError as error:
        raise bad_fields(error.errors()) from None


def is_part(request: Request) -> bool:
    """True when a page asks for a part of itself."""
    return asks_for_part(request.scope)


def field(form: FormData, name: str, default: str | None = None) -> str:
    """A text of a form.

    Raises:
        BadInput: It is missing, and there is no default.
    """
    value = form.get(name)
    if not isinstance(value, str) or (not value.strip() and default is None):
        if default is not None:
            return default
        raise BadInput(f"fill in {name.replace('_', ' ')}: it is empty", field=name)
    return value


def whole_number(text: str, name: str, *, least: int, most: int) -> int:
    """A whole number that somebody typed.

    Raises:
        BadInput: It is none, or out of its range.
    """
    digits = text.strip()
    # More digits than any range has are no number to Python either, which refuses them in its own way.
    if not digits.isdecimal() or len(digits) > _MOST_DIGITS or not least <= int(digits) <= most:
        raise BadInput(f"{name} must be a whole number from {least} to {most:,}, not {text[:40]!r}", field=name)
    return int(digits)
