"""Which embedders there are, and opening one by its name.

Belongs here: names. Not here: models (see minilm_embedder.py, static_embedder.py, endpoint_embedder.py).
"""

from __future__ import annotations

from collections.abc import Callable

from lakehouse.adapters.endpoint_embedder import SETTING, EndpointEmbedder
from lakehouse.adapters.minilm_embedder import MiniLmEmbedder
from lakehouse.adapters.static_embedder import StaticEmbedder
from lakehouse.errors import BadInput
from lakehouse.retrieval.embedding import Embedder
from lakehouse.settings import Settings

_BUILT_IN: dict[str, Callable[[Settings], Embedder]] = {
    MiniLmEmbedder.name: lambda settings: MiniLmEmbedder(threads=settings.embedding_threads),
    StaticEmbedder.name: lambda _: StaticEmbedder(),
}


def embedder_names(settings: Settings) -> list[str]:
    """What can be opened with these settings, by the names that corpora store."""
    endpoints = settings.embedding_endpoints.items()
    return [*_BUILT_IN, *sorted(f"{name}/{endpoint.model}" for name, endpoint in endpoints)]


def embedder_name(name: str, settings: Settings) -> str:
    """The name that corpora store, for a name that a user may give.

    Args:
        name: `minilm`, `static`, `<endpoint>/<model>`, or an endpoint's name alone.
        settings: With the endpoints.

    Raises:
        BadInput: There is none; those that there are stand in the message. An endpoint that has another model by now
            is not the one whose vectors a corpus holds.
    """
    if name in _BUILT_IN:
        return name
    for endpoint_name, endpoint in settings.embedding_endpoints.items():
        full = f"{endpoint_name}/{endpoint.model}"
        if name in (endpoint_name, full):
            return full
    known = ", ".join(embedder_names(settings))
    raise BadInput(f"there is no embedder {name[:100]!r}; there are {known}, and {SETTING} adds others")


def open_embedder(name: str, settings: Settings) -> Embedder:
    """Open an embedder; takes up to a second, since it reads its model.

    Raises:
        BadInput: There is none of this name.
        Unavailable: Its model file is missing, and is named.
    """
    full = embedder_name(name, settings)
    if full in _BUILT_IN:
        return _BUILT_IN[full](settings)
    name, endpoint = next((n, e) for n, e in settings.embedding_endpoints.items() if f"{n}/{e.model}" == full)
    return EndpointEmbedder(name, endpoint, timeout_s=settings.embedding_timeout_s)
