"""What is said of a model that the provider asked for it has not got.

Belongs here: the words, and the models that are named. Not here: asking (see lakehouse/adapters/openai_chat.py), which
provider is asked (see routing.py).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

_MOST_NAMED = 8
_MOST_SAID = 200
_LEAST_LIKENESS = 0.3


def said_of(body: object, *, secrets: Collection[str]) -> str:
    """What a provider said in its error, on one line; without secrets, however it came by them.

    Args:
        body: The error of its answer, or the whole of it.
        secrets: Texts that never appear: keys, URLs.
    """
    nested = body.get("error", body) if isinstance(body, Mapping) else body
    text: Any = nested.get("message") if isinstance(nested, Mapping) else nested
    if not isinstance(text, str) or any(secret in text for secret in secrets if secret):
        return ""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _MOST_SAID else line[:_MOST_SAID] + "…"


def missing_model(provider: str, model: str, said: str, models: Sequence[str] | None) -> str:
    """Say that the provider answered, what, and which models it has.

    Args:
        provider: Its name.
        model: The one that was asked for.
        said: What it said itself; may be empty.
        models: Those it has; None where it did not tell.
    """
    quoted = f": {said}" if said else ""
    answered = f"the chat provider {provider!r} answered with status 404{quoted}"
    if models is None:
        return f"{answered}; it has no model {model[:100]!r}, or its url is wrong"
    if model in models:
        return f"{answered}, although it lists the model {model[:100]!r}; see its own log"
    if not models:
        return f"{answered}; it has no model {model[:100]!r}, and no other: give it one first"
    near = get_close_matches(model, models, _MOST_NAMED, _LEAST_LIKENESS)
    named = [*near, *(name for name in models if name not in near)][:_MOST_NAMED]
    more = f" and {len(models) - len(named)} more" if len(models) > len(named) else ""
    return f"{answered}; it has no model {model[:100]!r}, it has {', '.join(named)}{more}"


def asked_for_bare_name(model: str, embedded: Collection[str]) -> str:
    """Why Ollama was asked for a model that was named without a provider."""
    known = ", ".join(sorted(embedded)) or "none"
    return f"it was asked since no embedded model is called {model[:100]!r} (there is {known})"
