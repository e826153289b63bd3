"""The OpenAPI document: complete enough to generate a client from.

Belongs here: what holds for all routes (security, common errors, operation ids). Not here: a route's own answers.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel

from lakehouse_api.errors import problems
from lakehouse_api.middleware_door import OPEN_PATHS
from lakehouse_api.openai_errors import OPENAI_PATHS, OpenAiError, OpenAiErrorDetail, documented_openai_error
from lakehouse_api.schemas.problem import Problem
from lakehouse_api.struct_bodies import components as components_of_structs

DESCRIPTION = """\
Files in a bucket are the truth; this API answers from them, and what it does becomes the next files.

Every error is an RFC 9457 problem document (`application/problem+json`) whose `detail` says what to do next; on the
routes of OpenAI's form it is OpenAI's `{"error": {…}}`. HEAD is answered wherever GET is.
Requests carry `Authorization: Bearer <token>`; `X-Request-Id` is taken when it is sane and always returned.
"""
_BEHIND_THE_DOOR = (400, 401, 403, 413, 500, 503)
_WITH_JSON = (415,)
_OPEN = (400, 403, 500)


def describe(app: FastAPI, *, root_path: str) -> None:
    """Give the app a document that says what the door adds to each route."""

    def build() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app, root_path)
        return app.openapi_schema

    app.openapi = build  # type: ignore[method-assign]


def operation_id(route: APIRoute) -> str:
    """The name of the route's function: what a generated client calls its method."""
    return route.name


def _document(app: FastAPI, root_path: str) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=DESCRIPTION,
        routes=app.routes,
        servers=[{"url": root_path or "/"}],
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas.update(components_of_structs())
    schemas["Problem"] = Problem.model_json_schema()
    schemas["OpenAiErrorDetail"] = OpenAiErrorDetail.model_json_schema()
    schemas["OpenAiError"] = _without_definitions(OpenAiError)
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "Scopes: read, write, admin, pii."}
    }
    for path, operations in document["paths"].items():
        for operation in operations.values():
            _complete(operation, is_open=path in OPEN_PATHS)
            if path in OPENAI_PATHS:
                errors = {s: documented_openai_error(int(s)) for s in operation["responses"] if int(s) >= 400}
                operation["responses"] |= errors
    return document


def _without_definitions(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs")
    return schema


def _complete(operation: dict[str, Any], *, is_open: bool) -> None:
    """Add what the door may answer; the framework's own 422 never comes, refused parameters are 400 here."""
    responses = operation["responses"]
    refused = responses.get("422", {}).get("content", {}).get("application/json", {}).get("schema", {})
    if refused.get("$ref", "").endswith("HTTPValidationError"):
        del responses["422"]
    takes_json = "application/json" in operation.get("requestBody", {}).get("content", {})
    common = (*(_OPEN if is_open else _BEHIND_THE_DOOR), *(_WITH_JSON if takes_json else ()))
    for status, documented in problems(*common).items():
        responses.setdefault(str(status), documented)
    operation["responses"] = dict(sorted(responses.items()))
    operation["security"] = [] if is_open else [{"bearer": []}]
