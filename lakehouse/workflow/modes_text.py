"""Modes that make text: `llm.chat`, `extract`, `render`.

Belongs here: what they ask for, what they give. Not here: asking (see structured.py), judging (see modes_judging.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from lakehouse.chat.schema_bounds import check_schema
from lakehouse.errors import BadInput
from lakehouse.workflow.fields import Field
from lakehouse.workflow.mode import Mode, ModeCall
from lakehouse.workflow.structured import MODEL_FIELDS, ask_json, ask_text, asking_of, misfit_of

_EXTRACT = (
    "You copy facts out of a text into JSON. Take words and numbers exactly as they stand in the text."
    " What the text does not say is an empty text."
)
_FIELD_CHARACTERS = 80
_MAX_FIELDS = 30
_WORDS = re.compile(r"[^\W_]+")


async def _chat(given: Mapping[str, Any], call: ModeCall) -> dict[str, Any]:
    prompt, messages = given.get("prompt"), given.get("messages")
    if (prompt is None) == (messages is None):
        raise BadInput("llm.chat takes 'prompt' or 'messages', and not both", field="prompt")
    asked = list(messages) if messages is not None else [{"role": "user", "content": prompt}]
    if given.get("system"):
        asked.insert(0, {"role": "system", "content": given["system"]})
    said = await ask_text(call, asking_of(given, call), asked, role=given.get("role") or "executor")
    return {"content": said.answer.content, "finish_reason": said.answer.finish_reason}


async def _extract(given: Mapping[str, Any], call: ModeCall) -> dict[str, Any]:
    schema = _schema_of(given)
    told = f"{given['instructions']}\n\n" if given.get("instructions") else ""
    prompt = f"{told}Text:\n{given['text']}\n\nCopy these facts: {', '.join(_names(schema)) or 'all of the schema'}."
    data = await ask_json(
        call, asking_of(given, call), system=_EXTRACT, prompt=prompt, schema=schema, name="facts", role="extractor"
    )
    said = _folded(given["text"])
    # What a model made up looks like what it read: whether it stands in the text is looked up, not asked.
    absent = [path for path, value in _leaves(data, "") if _folded(str(value)) not in said]
    return {"data": data, "not_in_text": absent}


async def _render(given: Mapping[str, Any], call: ModeCall) -> dict[str, Any]:
    text = given["text"]
    if not isinstance(text, str):
        text = orjson.dumps(text, option=orjson.OPT_INDENT_2).decode()
    return {"text": text, "characters": len(text)}


def _schema_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """The schema that was given, or that of the fields that were named."""
    schema, names = given.get("schema"), given.get("fields")
    if (schema is None) == (names is None):
        raise BadInput("extract takes 'schema' or 'fields', and not both", field="schema")
    if schema is not None:
        check_schema(schema, where="with.schema")
        misfit_of({}, schema)
        return dict(schema)
    is_fit = isinstance(names, list) and 0 < len(names) <= _MAX_FIELDS and all(isinstance(n, str) for n in names)
    if not is_fit:
        raise BadInput(f"'fields' is a list of 1 to {_MAX_FIELDS} names", field="fields")
    assert names is not None
    return {
        "type": "object",
        "properties": {name: {"type": "string", "maxLength": _FIELD_CHARACTERS} for name in names},
        "required": list(names),
        "additionalProperties": False,
    }


def _names(schema: Mapping[str, Any]) -> list[str]:
    properties = schema.get("properties")
    return list(properties) if isinstance(properties, Mapping) else []


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Texts and numbers with their places; empty ones say nothing."""
    if isinstance(value, Mapping):
        for name, one in value.items():
            yield from _leaves(one, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for place, one in enumerate(value):
            yield from _leaves(one, f"{path}[{place}]")
    elif not isinstance(value, bool) and value not in (None, ""):
        yield path, value


def _folded(text: str) -> str:
    return f" {' '.join(_WORDS.findall(text.casefold()))} "


def _check_schema(given: Mapping[str, Any]) -> None:
    if isinstance(given.get("schema"), Mapping) and b"{{" not in orjson.dumps(given["schema"]):
        _schema_of({"schema": given["schema"]})


TEXT_MODES = (
    Mode(
        "llm.chat",
        "Asks a model for text.",
        {
            "prompt": Field("text", "what is asked; or send `messages`"),
            "messages": Field("list", "a conversation in OpenAI's form"),
            "system": Field("text", "the system prompt"),
            "role": Field("text", "what the model is called for, in the log; default executor"),
            **MODEL_FIELDS,
        },
        _chat,
    ),
    Mode(
        "extract",
        "Copies facts out of a text into JSON, and says which of them do not stand in the text.",
        {
            "text": Field("text", "what is read", is_required=True),
            "schema": Field("object", "JSON schema of the facts; or name `fields`"),
            "fields": Field("list", "names of facts, each a text"),
            "instructions": Field("text", "what else the model is told"),
            **MODEL_FIELDS,
        },
        _extract,
        _check_schema,
    ),
    Mode(
        "render",
        "Gives the text that its template makes; what is not text becomes JSON.",
        {"text": Field("any", "a template", is_required=True)},
        _render,
    ),
)
