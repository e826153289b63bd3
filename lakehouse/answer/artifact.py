"""What of an answer is validated: the artifact of a kind, and the form that the model is asked for.

Belongs here: the way from an answer's text to an artifact. Not here: the rules (see lakehouse/validation).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
_MOST_CHOICES = 50
_FROM_CONTEXT = {"email": ("to", "subject"), "sms": ("to",)}


def form_of(
    kind: str | None, context: Mapping[str, Any], people: Sequence[tuple[str, str]] = ()
) -> dict[str, Any] | None:
    """The response format that a kind needs; None for text.

    Args:
        kind: What the answer is validated as.
        context: Of the validation.
        people: Id and name of those who were shown: a fill proposes some of them, each under the own name.
    """
    schema: Any = _SCHEMAS.get(kind or "")
    if schema is None:
        return None
    choices = [_item(person_id, name) for person_id, name in people[:_MOST_CHOICES]]
    count = context.get("target_count")
    if kind == "fill" and isinstance(count, int) and not isinstance(count, bool) and 1 <= count <= 20:
        schema = _with_fills(schema, {"minItems": count, "maxItems": count})
    if kind == "fill" and choices:
        schema = _with_fills(schema, {"items": {"anyOf": choices}})
    return {"type": "json_schema", "json_schema": {"name": str(kind), "schema": schema}}


def _item(person_id: str, name: str) -> dict[str, Any]:
    properties = {"candidate_id": {"type": "string", "enum": [person_id]}, "name": {"type": "string", "enum": [name]}}
    return {
        "type": "object", "properties": properties, "required": ["candidate_id", "name"], "additionalProperties": False,
    }  # fmt: skip


def _with_fills(schema: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {**schema, "properties": {"fills": {**schema["properties"]["fills"], **changes}}}


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
