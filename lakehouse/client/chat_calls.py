"""The calls about models: chat, answers, providers, what was spent. Each function is one route.

Belongs here: what is asked, typed for users. Not here: sending (see transport.py), retrieval (see retrieval_calls.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

from lakehouse.client.call import Call, encode, listed, member, read_json

Role = Literal[
    "executor", "reviewer", "extractor", "verifier", "categorizer", "tiebreaker", "applier", "embedder", "other"
]


class ChatReply(TypedDict):
    """What a model said; `cost_usd` is None for a model whose price is not known."""

    model: str
    provider: str
    content: str
    finish_reason: str
    usage: dict[str, int]
    latency_ms: float
    cost_usd: float | None
    trace_id: str
    tool_calls: list[dict[str, Any]] | None
    escalated_from: str | None


class AnswerReply(TypedDict):
    """An answer with what it rests on; `answer` is None when it was refused, and `validation["error"]` says why."""

    answer: str | None
    citations: list[dict[str, Any]]
    validation: dict[str, Any]
    model: str | None
    provider: str | None
    usage: dict[str, int]
    cost_usd: float | None
    config_version: str
    trace_id: str
    arm: str
    downgraded: bool
    bundle: dict[str, int]
    stale: list[str]
    unjudged: dict[str, str]
    timings_ms: dict[str, float]


def chat(
    messages: str | Sequence[Mapping[str, Any]],
    *,
    model: str | None = None,
    temperature: float | None = None,
    max_tokens: int | None = None,
    think: bool | None = None,
    response_format: Mapping[str, Any] | None = None,
    role: Role | None = None,
    tools: Sequence[Mapping[str, Any]] | None = None,
    tool_choice: str | Mapping[str, Any] | None = None,
    seed: int | None = None,
) -> Call[ChatReply]:
    """Ask a model.

    Args:
        messages: In OpenAI's form, oldest first; a text is one message of the user's.
        model: `provider/name`, `name:cloud`, the embedded model's name, or one of Ollama's; default: the platform's.
        temperature: 0 to 2.
        max_tokens: Most tokens of the answer.
        think: Whether a thinking model thinks first.
        response_format: OpenAI's: text, json_object or json_schema.
        role: What the model is called for; usage is metered by it.
        tools: OpenAI's, handed on.
        tool_choice: OpenAI's.
        seed: The embedded model then repeats itself exactly.
    """
    body = encode(
        messages=[{"role": "user", "content": messages}] if isinstance(messages, str) else list(messages),
        model=model,
        temperature=temperature,
        max_tokens=max_tokens,
        think=think,
        response_format=response_format,
        role=role,
        tools=tools,
        tool_choice=tool_choice,
        seed=seed,
    )
    return Call("POST", "/v1/chat", read_json, body=body, is_repeatable=False, has_deadline=False)


def answer(
    task: str,
    corpora: str | Sequence[str] = (),
    *,
    budget_tokens: int | None = None,
    max_tokens: int | None = None,
    model: str | None = None,
    use_playbook: bool | Literal["auto"] = "auto",
    use_pathway: bool = False,
    filter: Mapping[str, Any] | None = None,  # noqa: A002 - as on the wire
    exclude_ids: Sequence[str] = (),
    validate: Mapping[str, Any] | None = None,
    config: int | str | None = None,
) -> Call[AnswerReply]:
    """Answer a task from what is found; what is not grounded, or not valid, does not leave.

    Args:
        task: What is to be answered.
        corpora: Where to look; none switches retrieval off.
        budget_tokens: Of the whole prompt; default: the config's.
        max_tokens: Of the answer; default: the config's.
        model: As in `chat`.
        use_playbook: As in `search`.
        use_pathway: Show traces of how like tasks were solved, too; needs the scope `pii`.
        filter: On metadata, as in `search`.
        exclude_ids: Never shown.
        validate: `{"kind": "email" | "sms" | "fill" | "playbook", "context": {…}}`.
        config: A version of the answer config other than the live one.
    """
    body = encode(
        task=task,
        corpora=listed(corpora),
        budget_tokens=budget_tokens,
        max_tokens=max_tokens,
        model=model,
        use_playbook=use_playbook,
        use_pathway=use_pathway or None,
        filter=filter,
        exclude_ids=listed(exclude_ids) or None,
        validate=validate,
        config=config,
    )
    return Call("POST", "/v1/answer", read_json, body=body, is_repeatable=False, has_deadline=False)


def chat_usage() -> Call[dict[str, Any]]:
    """Read what chat has used by role, provider and model, and the share of frontier models."""
    return Call("GET", "/v1/chat/usage", read_json)


def chat_providers() -> Call[list[dict[str, Any]]]:
    """Read which providers are set up and can be reached, and why the others cannot."""
    return Call("GET", "/v1/chat/providers", member("providers"))


def list_models() -> Call[list[dict[str, Any]]]:
    """List the models that can be asked, by the names to ask them by."""
    return Call("GET", "/v1/models", member("data"))
