"""The edge where errors become answers: RFC 9457 problem documents, and OpenAI's shape on OpenAI's routes.

Belongs here: the mapping, and `problems` that documents it. Not here: the errors (see lakehouse/errors.py), OpenAI's
shape (see openai_errors.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from lakehouse.errors import BadInput, LakehouseError, TooLarge, Unauthorized
from lakehouse_api.openai_errors import SPOKEN, is_absent, is_openai, openai_response
from lakehouse_api.ranges import RangeNotSatisfiable
from lakehouse_api.schemas.problem import Problem
from lakehouse_api.struct_bodies import no_json
from lakehouse_api.ui.paths import is_page

_METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
MEDIA_TYPE = "application/problem+json"
_RESERVED = frozenset(Problem.model_fields)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI `responses` for error statuses: a route lists those that are its own.

    400, 401, 403, 413, 500 and 503 of the door in front of every route, and 415 of those that take JSON, are added by
    `lakehouse_api/openapi.py`.
    """
    return {status: _documented(status) for status in statuses}


def _documented(status: int) -> dict[str, Any]:
    title = HTTPStatus(status).phrase
    example = Problem.model_config["json_schema_extra"]["example"] | {  # type: ignore[index, operator]
        "title": title,
        "status": status,
        "detail": f"{title}: what is wrong, where, and what to do next",
    }
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": title, "content": {MEDIA_TYPE: {"schema": schema, "example": example}}}


def problem_response(error: LakehouseError, scope: Scope) -> Response:
    """The answer for one of our errors."""
    headers: dict[str, str] = {}
    if "retry_after_s" in error.fields:
        headers["Retry-After"] = str(max(1, round(error.fields["retry_after_s"])))
    if isinstance(error, RangeNotSatisfiable):
        headers["Content-Range"] = f"bytes */{error.fields['size']}"
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = 'Bearer realm="lakehouse"'
    return render(scope, error.status, error.title, error.detail, fields=error.fields, headers=headers)


def internal_error(scope: Scope) -> Response:
    """The answer to a fault of ours: no details, but the id under which the log has them."""
    detail = "the server failed at this request; its log has the details under the request id"
    return render(scope, 500, LakehouseError.title, detail)


def render(
    scope: Scope,
    status: int,
    title: str,
    detail: str,
    *,
    fields: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """One problem document, or on OpenAI's routes one of its errors."""
    if is_openai(scope):
        return openai_response(status, detail, fields=fields or {}, headers=headers or {})
    if is_page(scope):
        from lakehouse_api.ui.errors import page_error

        return page_error(scope, status, title, detail, fields=fields or {}, headers=headers or {})
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": instance_of(scope),
        "request_id": scope.get("state", {}).get("request_id", ""),
    }
    document |= {name: value for name, value in (fields or {}).items() if name not in _RESERVED}
    return Response(_json_bytes(document), status, media_type=MEDIA_TYPE, headers=dict(headers or {}))


def _json_bytes(document: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(document, default=str)
    except TypeError:  # a lone surrogate in quoted input: UTF-8 has no bytes for it, but JSON can escape it
        return json.dumps(document, default=str).encode()


def instance_of(scope: Scope) -> str:
    """Path of the request as the client sees it: under the sub-path, whether or not the proxy strips it."""
    raw: bytes = scope.get("raw_path") or b""
    path = raw.decode("ascii", "replace")
    root = scope.get("root_path", "")
    return path if not root or path == root or path.startswith(f"{root}/") else f"{root}{path}"


def add_error_handlers(app: FastAPI) -> None:
    """Map our errors, the framework's, and refused parameters; what is left is a fault and answered with 500."""
    app.add_exception_handler(LakehouseError, _on_lakehouse_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)


async def _on_lakehouse_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, LakehouseError)
    return problem_response(error, request.scope)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    scope, cause = request.scope, error.__cause__
    if isinstance(cause, ValueError | RecursionError):
        # FastAPI says only that the body could not be read; the cause says why.
        return problem_response(no_json(await request.body(), cause), scope)
    status, detail, headers = HTTPStatus(error.status_code), str(error.detail), dict(error.headers or {})
    if status == HTTPStatus.NOT_FOUND:
        instead = SPOKEN if is_absent(scope) else "/openapi.json lists those there are"
        what = f"route {request.method} {instance_of(scope)}; {instead}"
        detail = f"there is no {f'page {instance_of(scope)}' if is_page(scope) else what}"
    elif status == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = _methods_of(request)
        headers["Allow"] = ", ".join(allowed)
        detail = f"{request.method} is not allowed here; {headers['Allow']} {'is' if len(allowed) == 1 else 'are'}"
    title = TooLarge.title if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE else status.phrase.capitalize()
    return render(scope, error.status_code, title, detail, headers=headers)


def _methods_of(request: Request) -> list[str]:
    """Methods that any route takes at this path; FastAPI would name only those of the first route that matches it."""
    routes, scope = request.app.router.routes, request.scope
    found = [
        method
        for method in _METHODS
        if any(route.matches({**scope, "method": method})[0] == Match.FULL for route in routes)
    ]
    # What answers GET answers HEAD, but for pages (see head_requests.py).
    return found if "GET" not in found or is_page(scope) else sorted({*found, "HEAD"})


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found, sent = error.errors(), request.headers.get("content-type", "")
    if any(tuple(one["loc"]) == ("body",) for one in found) and isinstance(error.body, bytes) and not _is_json(sent):
        came = f"as {sent[:80]!r}" if sent else "without one"
        detail = f"the body is read with the header 'Content-Type: application/json' alone; this one came {came}"
        return problem_response(BadInput(detail), request.scope)
    return problem_response(bad_fields(found, known=_fields_of(request), of="body"), request.scope)


def _fields_of(request: Request) -> Iterable[str]:
    """Names of the fields of the body that a route takes."""
    body = getattr(request.scope.get("route"), "body_field", None)
    model = getattr(getattr(body, "field_info", None), "annotation", None)
    return fields_of(model) if isinstance(model, type) and issubclass(model, BaseModel) else ()


def fields_of(model: type[BaseModel]) -> Iterable[str]:
    """Names under which a model's fields are sent, of those that its schema shows."""
    names: Iterable[str] = model.model_json_schema().get("properties", ())
    return names


def _is_json(media_type: str) -> bool:
    name = media_type.partition(";")[0].strip().lower()
    return name == "application/json" or (name.startswith("application/") and name.endswith("+json"))


def bad_fields(errors: Sequence[Mapping[str, Any]], *, known: Iterable[str] = (), of: str = "") -> BadInput:
    """What pydantic found, as our error: every field with what is wrong with it.

    Args:
        errors: What it found.
        known: The fields there are, to be named where one was sent that is none.
        of: The part of the request that they are of, where places begin with it.
    """
    found = [{"field": _where(e["loc"]), "reason": e["msg"]} for e in errors]
    told = [_no_json(e) or f"{one['field']}: {one['reason']}" for one, e in zip(found[:5], errors, strict=False)]
    depth = 2 if of else 1
    if any(e["type"] == "extra_forbidden" and len(e["loc"]) == depth for e in errors) and (names := ", ".join(known)):
        told.append(f"fields of the {of} are {names}" if of else f"the fields are {names}")
    return BadInput("; ".join(told), errors=found[:50])


def _no_json(error: Mapping[str, Any]) -> str | None:
    if error["type"] != "json_invalid":
        return None
    return f"the body is not JSON: {error['ctx']['error']} at character {error['loc'][-1]}"


def _where(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "request"
