"""What of an answer is validated: the artifact of a kind, and the form that the model is asked for.

Belongs here: the way from an answer's text to an artifact. Not here: the rules (see lakehouse/validation).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from lakehouse.errors import BadInput

_NAME = {"type": "string", "maxLength": 80}
_FILL = {
    "type": "object",
    "properties": {
        "fills": {
            "type": "array",
            "minItems": 1,
            "maxItems": 20,
            "items": {
                "type": "object",
                "properties": {"candidate_id": {"type": "string", "maxLength": 40}, "name": _NAME},
                "required": ["candidate_id", "name"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["fills"],
    "additionalProperties": False,
}
_PLAYBOOK = {
    "type": "object",
    "properties": {
        "operation": {"type": "string", "maxLength": 120},
        "endorsed_names": {"type": "array", "minItems": 1, "maxItems": 20, "items": _NAME},
        "score": {"type": "number"},
    },
    "required": ["operation", "endorsed_names", "score"],
    "additionalProperties": False,
}
_SCHEMAS = {"fill": _FILL, "playbook": _PLAYBOOK}
_FROM_CONTEXT = {"email": ("to", "subject"), "sms": ("to",)}


def form_of(kind: str | None, context: Mapping[str, Any]) -> dict[str, Any] | None:
    """The response format that a kind needs; None for text."""
    schema: Any = _SCHEMAS.get(kind or "")
    if schema is None:
        return None
    count = context.get("target_count")
    if kind == "fill" and isinstance(count, int) and not isinstance(count, bool) and 1 <= count <= 20:
        fills = {**_FILL["properties"]["fills"], "minItems": count, "maxItems": count}  # type: ignore[index]
        schema = {**_FILL, "properties": {"fills": fills}}
    return {"type": "json_schema", "json_schema": {"name": str(kind), "schema": schema}}


def artifact_of(kind: str, answer: str, context: Mapping[str, Any]) -> Mapping[str, Any]:
    """The artifact of an answer: a message takes its address and subject from the context, a fill is JSON.

    Raises:
        BadInput: The answer is no JSON object, where the kind is one.
    """
    if kind in _FROM_CONTEXT:
        return {**{name: context.get(name) for name in _FROM_CONTEXT[kind]}, "body": answer}
    try:
        artifact = orjson.loads(answer)
    except orjson.JSONDecodeError:
        artifact = None
    if not isinstance(artifact, Mapping):
        raise BadInput("the model answered no JSON object, where one was asked for")
    return artifact
