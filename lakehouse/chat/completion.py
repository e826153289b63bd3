"""Reading what a provider answers, which may be anything.

Belongs here: OpenAI's completions and chunks into our answers, with errors that name what is wrong. Not here: transport
(see lakehouse/adapters/openai_chat.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lakehouse.chat.request import ChatAnswer, ChatPiece, Usage, text_of
from lakehouse.errors import ProviderFailed

# A token is some four bytes of English (OpenAI's rule of thumb), where a provider counts none.
_BYTES_OF_A_TOKEN = 4
_MOST_TOKENS, _MOST_USD = 1_000_000_000, 100_000.0


def read_completion(
    answer: Any, *, provider: str, model: str, messages: Sequence[Mapping[str, Any]] = ()
) -> ChatAnswer:
    """An answer in full.

    Args:
        answer: What came.
        provider: From whom.
        model: What was asked.
        messages: What it was asked, for the tokens of a provider that counts none.

    Raises:
        ProviderFailed: It is no completion, says an error, or is empty.
    """
    _refuse_error(answer, provider)
    choice = _choice(answer, provider)
    message = choice.get("message")
    if not isinstance(message, Mapping):
        raise _rubbish(provider, "a choice without a message")
    content = _said(message, provider)
    calls = _calls(message.get("tool_calls"), provider)
    finish = choice.get("finish_reason")
    reason = finish if isinstance(finish, str) else "stop"
    refuse_empty(content, calls, reason, provider=provider)
    usage = _usage(answer.get("usage")) or estimate_usage(messages, content)
    named = answer.get("model")
    return ChatAnswer(content, reason, usage, named if isinstance(named, str) and named else model, calls)


def read_chunk(chunk: Any, *, provider: str) -> ChatPiece:
    """One chunk of a stream.

    Raises:
        ProviderFailed: It is no chunk, or says an error.
    """
    _refuse_error(chunk, provider)
    usage = _usage(chunk.get("usage")) if isinstance(chunk, Mapping) else None
    if isinstance(chunk, Mapping) and chunk.get("choices") in ([], None):
        return ChatPiece(usage=usage)
    choice = _choice(chunk, provider)
    if choice.get("index") not in (0, None):  # another answer to the same question
        return ChatPiece(usage=usage)
    delta = choice.get("delta") or {}
    if not isinstance(delta, Mapping):
        raise _rubbish(provider, "a chunk without a delta")
    finish = choice.get("finish_reason")
    return ChatPiece(
        content=_said(delta, provider),
        tool_calls=_calls(delta.get("tool_calls"), provider),
        finish_reason=finish if isinstance(finish, str) else None,
        usage=usage or _usage(choice.get("usage")),  # Kimi's is in the last choice
    )


def reported_cost(answer: Any) -> float | None:
    """What the provider says that the call cost in US dollars (OpenRouter's `usage.cost`); None when it does not."""
    usage = answer.get("usage") if isinstance(answer, Mapping) else None
    cost = usage.get("cost") if isinstance(usage, Mapping) else None
    if not isinstance(cost, (int, float)) or isinstance(cost, bool) or not 0 <= cost <= _MOST_USD:
        return None
    return float(cost)


def refuse_empty(content: str, tool_calls: Sequence[Any], finish_reason: str, *, provider: str) -> None:
    """Refuse an answer with nothing in it: it is a failure, never a success.

    Raises:
        ProviderFailed: It has neither text nor a tool call.
    """
    if content.strip() or tool_calls:
        return
    why = " before anything was said: raise max_tokens" if finish_reason == "length" else ""
    what = f"was cut at the length limit{why}" if why else f"answered nothing (finish_reason {finish_reason!r:.40})"
    raise ProviderFailed(f"the model of {provider!r} {what}", provider=provider, finish_reason=finish_reason[:40])


def estimate_usage(messages: Sequence[Mapping[str, Any]], content: str) -> Usage:
    """About how many tokens a call took whose provider counted none."""
    asked = sum(_estimate_tokens(text_of(message)) for message in messages)
    return Usage(asked, _estimate_tokens(content), is_estimated=True)


def _estimate_tokens(text: str) -> int:
    return -(-len(text.encode("utf-8", "replace")) // _BYTES_OF_A_TOKEN)


def _refuse_error(answer: Any, provider: str) -> None:
    if not isinstance(answer, Mapping):
        raise _rubbish(provider, "no JSON object")
    error = answer.get("error")
    if error:  # llama.cpp and OpenRouter say errors with status 200, too
        code = error.get("code") if isinstance(error, Mapping) else None
        status = code if isinstance(code, int) and not isinstance(code, bool) else None
        of_status = f" {status}" if status else ""
        raise ProviderFailed(
            f"{provider!r} answered with an error{of_status}", provider=provider, provider_status=status
        )


def _choice(answer: Mapping[str, Any], provider: str) -> Mapping[str, Any]:
    choices = answer.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(first, Mapping):
        raise _rubbish(provider, "no choices")
    return first


def _said(message: Mapping[str, Any], provider: str) -> str:
    """What was said; a refusal is that, too."""
    return _text(message.get("content"), provider) or _text(message.get("refusal"), provider)


def _text(content: Any, provider: str) -> str:
    if content is None:
        return ""
    if not isinstance(content, str):
        raise _rubbish(provider, "content that is not text")
    return content.encode("utf-8", "replace").decode()  # half a surrogate pair cannot be written anywhere


def _calls(calls: Any, provider: str) -> tuple[Mapping[str, Any], ...]:
    if not calls:
        return ()
    if not isinstance(calls, list) or not all(isinstance(call, Mapping) for call in calls):
        raise _rubbish(provider, "tool_calls that are not a list of objects")
    return tuple(calls)


def _usage(usage: Any) -> Usage | None:
    if not isinstance(usage, Mapping):
        return None
    asked, said = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    return None if asked is None or said is None else Usage(asked, said)


def _count(value: Any) -> int | None:
    """Tokens, if they may be so many: providers' numbers end up in sums."""
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS
    return value if is_count else None


def _rubbish(provider: str, what: str) -> ProviderFailed:
    return ProviderFailed(
        f"{provider!r} answered {what} where a chat completion was due; see its url in LAKEHOUSE_CHAT_PROVIDERS",
        provider=provider,
    )
