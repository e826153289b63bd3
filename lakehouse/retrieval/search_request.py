"""A search as it is asked, and with the config's defaults filled in.

Belongs here: the two shapes, the way from one to the other. Not here: HTTP (see lakehouse_api/schemas/matrix.py), the
search (see search_service.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from lakehouse.errors import BadInput
from lakehouse.retrieval.downgrade import class_of_model
from lakehouse.retrieval.filters import Filter, parse_filter
from lakehouse.retrieval.matrix import Ask
from lakehouse.retrieval.search_config import Mode, PlaybookConfig, SearchConfig, parse_playbook_config

MAX_QUERY_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A matrix search (CONTRACTS.md section 7); None stands for the config's default."""

    query: str
    corpora: Sequence[str]
    k: int | None = None
    per_corpus_k: int | None = None
    filter: Any = None
    sql_filter: str | None = None
    exclude_ids: Sequence[str] = ()
    use_playbook: bool | Literal["auto"] = "auto"
    playbook: Any = None
    mode: Mode | None = None
    threshold: float | None = None
    model: str | None = None
    force_full: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """A request that has been checked, under one config."""

    ask: Ask
    corpora: tuple[str, ...]
    filter: Filter | None
    sql_filter: str | None
    exclude_ids: frozenset[str]
    use_playbook: bool | Literal["auto"]
    playbook: PlaybookConfig = field(default_factory=PlaybookConfig)
    rerank_top: int = 0
    rerank_weight: float = 0.0


def plan_search(request: SearchRequest, config: SearchConfig) -> Plan:
    """Check a request and fill it in.

    Raises:
        BadInput: The query is blank or too long, a corpus is named twice, or the filter or the playbook parameters are
            wrong; the message says which.
    """
    if not request.query.strip():
        raise BadInput("query must not be blank", field="query")
    if len(request.query.encode("utf-8", "replace")) > MAX_QUERY_BYTES:
        raise BadInput(
            f"query has more than {MAX_QUERY_BYTES >> 10} KiB; search for what it says in short", field="query"
        )
    corpora = tuple(request.corpora)
    if len(set(corpora)) < len(corpora):
        raise BadInput("corpora names one twice", field="corpora")
    k = config.k if request.k is None else request.k
    ask = Ask(
        query=request.query,
        k=k,
        per_corpus_k=max(
            k, config.rerank_top, config.per_corpus_k if request.per_corpus_k is None else request.per_corpus_k
        ),
        mode=request.mode or config.mode,
        text_weight={name: config.text_weight_of(name) for name in corpora},
        threshold=config.relevance_threshold if request.threshold is None else request.threshold,
        model_class="small" if request.force_full else class_of_model(request.model),
        strong_min_score=config.strong_min_score,
    )
    playbook = config.playbook if request.playbook is None else parse_playbook_config(request.playbook, config.playbook)
    return Plan(
        ask,
        corpora,
        None if request.filter is None else parse_filter(request.filter),
        request.sql_filter,
        frozenset(request.exclude_ids),
        request.use_playbook,
        playbook,
        config.rerank_top,
        config.rerank_weight,
    )
