"""The versioned search config: every number that retrieval runs on, and the version that answers name.

Stored as `config/search/<n>.json`, never changed; `config/search/live.json` names the one that serves, moved by
compare-and-swap. Version 0 is the built-in default and is not stored.

Belongs here: the fields with their ranges, parsing, the name of a version. Not here: the bucket (see config_store.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, get_args

from lakehouse.errors import BadInput
from lakehouse.retrieval.config_store import ConfigKind
from lakehouse.retrieval.fusion import TEXT_WEIGHT

Mode = Literal["vector", "text", "hybrid"]
NAME = "search"
MODES = get_args(Mode)
# Chosen on Cranfield's even queries, found by the static embedder with text and ranked again by MiniLM: the best 50
# raise nDCG@10 from 0.380 to 0.422 (odd queries: 0.377 to 0.425; MiniLM over all rows: 0.432, 0.438).
RERANK_WEIGHT = 0.6


@dataclass(frozen=True, slots=True)
class PlaybookConfig:
    """Playbook parameters (CONTRACTS.md section 7). `max_distance` is a cosine distance between queries."""

    top_k: int = 5
    max_distance: float = 0.35
    boost: float = 1.0
    half_life_days: float = 30.0


@dataclass(frozen=True, slots=True)
class SearchConfig:
    """What a search does where the request says nothing.

    `text_weight` is the share of the text score in a hybrid score, `text_weights` overrides it per corpus;
    `rerank_top` results per corpus are scored again by the corpus's re-rank embedder (0: none), which has the share
    `rerank_weight` in their order.
    """

    k: int = 10
    per_corpus_k: int = 50
    mode: Mode = "hybrid"
    text_weight: float = TEXT_WEIGHT
    text_weights: Mapping[str, float] = field(default_factory=dict)
    relevance_threshold: float = 0.0
    strong_min_score: float = 0.6
    rerank_top: int = 0
    rerank_weight: float = RERANK_WEIGHT
    playbook: PlaybookConfig = PlaybookConfig()

    def to_document(self) -> dict[str, Any]:
        """The JSON document of these settings."""
        return asdict(self)

    def text_weight_of(self, corpus: str) -> float:
        """The text weight of one corpus."""
        return self.text_weights.get(corpus, self.text_weight)


# For each field its lowest and highest value, and whether it must be a whole number.
_RANGES: dict[str, tuple[float, float, bool]] = {
    "k": (1, 1000, True),
    "per_corpus_k": (1, 10_000, True),
    "text_weight": (0, 1, False),
    "relevance_threshold": (0, 1, False),
    "strong_min_score": (-1e9, 1e9, False),
    "rerank_top": (0, 1000, True),
    "rerank_weight": (0, 1, False),
}
_PLAYBOOK_RANGES: dict[str, tuple[float, float, bool]] = {
    "top_k": (1, 1000, True),
    "max_distance": (0, 2, False),
    "boost": (0, 100, False),
    "half_life_days": (0.001, 36_500, False),
}


def parse_search_config(document: object, base: SearchConfig = SearchConfig()) -> SearchConfig:
    """Read a config document; a field that is left out is that of `base`, a field of `playbook` likewise.

    `text_weights` is a field like any other: it is replaced as a whole, so that a corpus can be taken out of it.

    Raises:
        BadInput: Naming the field that is unknown, of another type or out of range.
    """
    given = _mapping(document, "config", {f.name for f in fields(SearchConfig)})
    values: dict[str, Any] = {name: _number(name, given[name], *_RANGES[name]) for name in given if name in _RANGES}
    if "mode" in given:
        if given["mode"] not in MODES:
            raise BadInput(f"mode must be one of {', '.join(MODES)}, not {str(given['mode'])[:40]!r}", field="mode")
        values["mode"] = given["mode"]
    if "text_weights" in given:
        weights = _mapping(given["text_weights"], "text_weights", None)
        values["text_weights"] = {c: _number(f"text_weights.{c}", w, 0, 1, False) for c, w in weights.items()}
    if "playbook" in given:
        values["playbook"] = parse_playbook_config(given["playbook"], base.playbook)
    return replace(base, **values)


def parse_playbook_config(document: object, base: PlaybookConfig = PlaybookConfig()) -> PlaybookConfig:
    """Read playbook parameters over those of `base`; raises as `parse_search_config`."""
    given = _mapping(document, "playbook", set(_PLAYBOOK_RANGES))
    values = {n: _number(f"playbook.{n}", v, *_PLAYBOOK_RANGES[n]) for n, v in given.items()}
    return PlaybookConfig(**{**asdict(base), **values})


def _mapping(document: object, what: str, known: set[str] | None) -> Mapping[str, Any]:
    if not isinstance(document, Mapping):
        raise BadInput(f"{what} must be an object", field=what)
    unknown = sorted(str(name) for name in document if known is not None and name not in known)
    if unknown:
        raise BadInput(f"{what} has no field {unknown[0][:60]!r}; there are {', '.join(sorted(known or ()))}")
    return document


def _number(name: str, value: object, low: float, high: float, is_whole: bool) -> Any:
    is_in_range = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
    if not is_in_range or (is_whole and value != int(value)):  # type: ignore[call-overload]
        kind = "a whole number" if is_whole else "a number"
        raise BadInput(f"{name} must be {kind} from {low:g} to {high:g}", field=name)
    return int(value) if is_whole else float(value)  # type: ignore[call-overload, arg-type]


SEARCH = ConfigKind(NAME, SearchConfig(), parse_search_config)
"""The search config among others."""
