"""JSON schemas of tools, from the types that the HTTP routes read and write: the two cannot disagree.

Belongs here: making them stand alone. Not here: the types (see lakehouse_api/schemas).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from pydantic import BaseModel

from lakehouse_api.struct_bodies import components

_LITERAL = frozenset({"const", "default", "enum", "examples"})


def struct_schema(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """The schema of a struct, with the example that the HTTP route documents."""
    _, found = msgspec.json.schema_components([struct], ref_template="#/$defs/{name}")
    schema = _standing_alone(found[struct.__name__], found)
    documented = components().get(struct.__name__, {})
    return {**schema, "examples": [documented["example"]]} if "example" in documented else schema


def model_schema(model: type[BaseModel], *, mode: Literal["validation", "serialization"]) -> dict[str, Any]:
    """The schema of a pydantic model: of what it takes, or of what it gives."""
    schema = model.model_json_schema(mode=mode)
    return _standing_alone(schema, schema.get("$defs", {}))


def _standing_alone(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """A schema with its references replaced by what they refer to, as many clients do not follow them."""
    if "$ref" in node:
        target = definitions[node["$ref"].rpartition("/")[2]]
        node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
    made: dict[str, Any] = {}
    for key, value in node.items():
        if key in ("$defs", "title", "discriminator"):
            continue
        if key == "example":
            made["examples"] = [value]
        elif key in _LITERAL:
            made[key] = value
        elif key == "properties":
            made[key] = {name: _standing_alone(schema, definitions) for name, schema in value.items()}
        elif isinstance(value, dict):
            made[key] = _standing_alone(value, definitions)
        elif isinstance(value, list):
            made[key] = [_standing_alone(v, definitions) if isinstance(v, dict) else v for v in value]
        else:
            made[key] = value
    return _described(made)


def _described(schema: dict[str, Any]) -> dict[str, Any]:
    """What is said of an optional field, said of the field rather than of one of its forms."""
    said = [form for form in schema.get("anyOf", ()) if "description" in form]
    if len(said) == 1 and "description" not in schema:
        return {"description": said[0].pop("description"), **schema}
    return schema
