"""Errors in OpenAI's shape, for the routes that OpenAI's clients call.

Belongs here: which routes, the shape. Not here: which error becomes which status (see errors.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response
from starlette.types import Scope

OPENAI_PATHS = frozenset({"/v1/embeddings", "/v1/chat/completions", "/v1/models", "/v1/models/{model}"})
_BELOW = "/v1/models/"
# OpenAI's clients read no error but in its shape, so those of its routes that are not here are refused in it, too.
_ABSENT = ("/v1/responses", "/v1/completions")
SPOKEN = "of OpenAI's API there are /v1/chat/completions, /v1/embeddings and /v1/models"
"""What a client is told that calls another of its routes."""
_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_CODES = {401: "invalid_api_key"}
_EXAMPLE: dict[str, Any] = {
    "message": "there is no embedder 'gpt'; there are minilm, static",
    "type": "invalid_request_error",
    "param": "model",
    "code": "model_not_found",
}


class OpenAiErrorDetail(BaseModel):
    """What went wrong."""

    message: str = Field(description="What is wrong and what to do next.")
    type: str = Field(description="The kind of error.")
    param: str | None = Field(description="The member of the request that is wrong.")
    code: str | None = Field(description="A word for it, where there is one.")


class OpenAiError(BaseModel):
    """An error as OpenAI's clients read it."""

    model_config = ConfigDict(json_schema_extra={"example": {"error": _EXAMPLE}})

    error: OpenAiErrorDetail


def is_openai(scope: Scope) -> bool:
    """True for a request to one of these routes, under a sub-path or not."""
    path = _path(scope)
    return path in OPENAI_PATHS or path.startswith(_BELOW) or is_absent(scope)


def is_absent(scope: Scope) -> bool:
    """Whether a request is for a route of OpenAI's API that this one does not have."""
    path = _path(scope)
    return any(path == absent or path.startswith(f"{absent}/") for absent in _ABSENT)


def _path(scope: Scope) -> str:
    path: str = scope.get("path", "")  # a head that does not end has none
    root: str = scope.get("root_path", "")
    return path.removeprefix(root) if root else path


def openai_response(status: int, detail: str, *, fields: Mapping[str, Any], headers: Mapping[str, str]) -> Response:
    """One error; `param` and `code` come from the error's fields."""
    refused = fields.get("errors") or [{"field": None}]
    error = {
        "message": detail,
        "type": _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error"),
        "param": fields.get("param", _parameter(refused[0]["field"])),
        "code": fields.get("code", _CODES.get(status)),
    }
    return Response(orjson.dumps({"error": error}), status, media_type="application/json", headers=dict(headers))


def documented_openai_error(status: int) -> dict[str, Any]:
    """How OpenAPI describes such an answer."""
    error = {**_EXAMPLE, "type": _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")}
    schema = {"$ref": "#/components/schemas/OpenAiError"}
    content = {"application/json": {"schema": schema, "example": {"error": error}}}
    return {"description": HTTPStatus(status).phrase, "content": content}


def _parameter(field: str | None) -> str | None:
    parts = (field or "").split(".")
    is_member = len(parts) > 1 and parts[0] == "body" and not parts[1].isdecimal()
    return parts[1] if is_member else None
