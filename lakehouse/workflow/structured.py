"""Asking a model from a node: for text, or for JSON of a schema, which is held against the schema.

Belongs here: the request, reading the answer, counting repairs. Not here: what modes ask (see modes_text.py,
modes_judging.py), routing (see lakehouse/chat).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lakehouse.chat.request import ChatRequest
from lakehouse.chat.service import ChatResult
from lakehouse.counted import counted
from lakehouse.errors import BadInput
from lakehouse.workflow.fields import Field
from lakehouse.workflow.mode import Misfit, ModeCall
from lakehouse.workflow.repair import read_json

SEED = 7
MAX_TOKENS = 256
MODEL_FIELDS: Mapping[str, Field] = {
    "model": Field("text", "the model to ask; default: the platform's"),
    "temperature": Field("number", "how freely it answers; default 0"),
    "seed": Field("integer", f"of its answer; default {SEED}, one more with each further attempt"),
    "max_tokens": Field("integer", f"most tokens of its answer; default {MAX_TOKENS}"),
}
"""Fields of every mode that asks a model."""


@dataclass(frozen=True, slots=True)
class Asking:
    """How a model is asked."""

    model: str
    temperature: float
    seed: int
    max_tokens: int


def asking_of(given: Mapping[str, Any], call: ModeCall) -> Asking:
    """How a node's values say that a model is asked."""

    def value(name: str, default: Any) -> Any:
        return default if given.get(name) is None else given[name]

    seed = value("seed", SEED) + call.attempt - 1
    most = value("max_tokens", MAX_TOKENS)
    if most < 1:
        raise BadInput("max_tokens must be 1 or more", field="max_tokens")
    return Asking(value("model", call.services.default_model), value("temperature", 0), seed, most)


async def ask_text(
    call: ModeCall,
    asking: Asking,
    messages: Sequence[Mapping[str, Any]],
    *,
    role: str,
    response_format: Mapping[str, Any] | None = None,
) -> ChatResult:
    """Ask, and note who answered.

    Raises:
        BadInput, NotFound, ProviderFailed, TimedOut, Unavailable: As chat says.
    """
    request = ChatRequest(
        model=asking.model,
        messages=messages,
        temperature=asking.temperature,
        max_tokens=asking.max_tokens,
        response_format=response_format,
        role=role,
        # With a seed the embedded model takes nothing from its cache of prompts, and repeats itself exactly.
        extras={"seed": asking.seed},
    )
    result = await call.services.chat.chat(request, call.caller)
    call.calls.append(result.run_id)
    call.model, call.provider = result.route.model, result.route.provider
    return result


async def ask_json(
    call: ModeCall, asking: Asking, *, system: str, prompt: str, schema: Mapping[str, Any], name: str, role: str
) -> Any:
    """Ask for JSON of a schema.

    Raises:
        Misfit: The answer was cut, is no JSON that could be repaired, or does not fit the schema.
        BadInput, NotFound, ProviderFailed, TimedOut, Unavailable: As chat says.
    """
    form = {"type": "json_schema", "json_schema": {"name": name, "schema": dict(schema), "strict": True}}
    messages = [{"role": "system", "content": system}, {"role": "user", "content": prompt}]
    said = await ask_text(call, asking, messages, role=role, response_format=form)
    answer = said.answer
    if answer.finish_reason == "length":
        raise Misfit(
            f"{said.route}: the answer was cut at {counted(asking.max_tokens, 'token')}, and half of JSON is none;"
            " raise max_tokens"
        )
    try:
        value, repairs = read_json(answer.content)
    except ValueError as problem:
        raise Misfit(f"{said.route}: the answer {problem}; it begins {answer.content[:80]!r}") from None
    misfit = misfit_of(value, schema)
    if misfit is not None:
        raise Misfit(f"{said.route}: the answer is not what was asked for: {misfit}")
    call.repairs += repairs
    return value


def misfit_of(value: Any, schema: Mapping[str, Any]) -> str | None:
    """Why a value does not fit a schema; None when it does.

    Raises:
        BadInput: The schema is none.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError, _WrappedReferencingError
    from referencing import Registry

    try:
        Draft202012Validator.check_schema(dict(schema))
        # A registry of its own: no reference is ever fetched from anywhere.
        found = next(Draft202012Validator(dict(schema), registry=Registry()).iter_errors(value), None)
    except SchemaError as error:
        raise BadInput(f"the schema is not a JSON schema: {error.message[:200]}", field="schema") from None
    except (_WrappedReferencingError, RecursionError):
        raise BadInput("the schema refers to what is not in it, or to itself without an end", field="schema") from None
    if found is None:
        return None
    where = ".".join(str(part) for part in found.absolute_path)
    return f"{where + ': ' if where else ''}{found.message[:200]}"
