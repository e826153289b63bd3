"""Which provider answers a model's name (CONTRACTS.md section 7).

`provider/name` goes to that provider; `name:cloud` to Ollama's cloud; a bare name to the embedded model of that name,
else to Ollama.

Belongs here: the rule. Not here: providers (see provider.py), chains of them (see service.py).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from lakehouse.errors import NotFound

EMBEDDED, OLLAMA, OLLAMA_CLOUD = "embedded", "ollama", "ollama_cloud"
PROVIDERS = (EMBEDDED, OLLAMA, OLLAMA_CLOUD, "openrouter", "opencode", "kimi")
_CLOUD = ":cloud"
_MAX_NAME = 200


@dataclass(frozen=True, slots=True)
class Route:
    """Who answers, and the model's name there."""

    provider: str
    model: str

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"


def route_of(model: str, *, embedded: Collection[str]) -> Route:
    """Who answers a model of this name.

    Args:
        model: As a caller gives it; embedded models are found in any case.
        embedded: Names of the embedded models.

    Raises:
        NotFound: The name fits no provider; the known ones stand in the message.
    """
    known = {name.lower(): name for name in embedded}
    provider, has_provider, name = model.partition("/")
    if not model.strip() or len(model) > _MAX_NAME or not model.isprintable():
        raise _unknown(model, embedded)
    if has_provider:
        if provider not in PROVIDERS or not name:
            raise _unknown(model, embedded)
        if provider != EMBEDDED:
            return Route(provider, name)
        if name.lower() not in known:
            raise _unknown(model, embedded)
        return Route(EMBEDDED, known[name.lower()])
    if model.lower() in known:
        return Route(EMBEDDED, known[model.lower()])
    if model.endswith(_CLOUD):
        if model == _CLOUD:
            raise _unknown(model, embedded)
        return Route(OLLAMA_CLOUD, model.removesuffix(_CLOUD))
    return Route(OLLAMA, model)


def _unknown(model: str, embedded: Collection[str]) -> NotFound:
    return NotFound(
        f"there is no model {model[:100]!r}: send <provider>/<name> with a provider of {', '.join(PROVIDERS)},"
        f" <name>:cloud for Ollama's cloud, a name of Ollama's, or the embedded {', '.join(sorted(embedded))}",
        param="model",
        code="model_not_found",
        providers=list(PROVIDERS),
    )
