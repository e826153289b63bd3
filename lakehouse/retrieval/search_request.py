"""A search as it is asked, and with the config's defaults filled in.

Belongs here: the two shapes, the way from one to the other. Not here: HTTP (see lakehouse_api/schemas/matrix.py), the
search (see search_service.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal

import msgspec
import orjson

from lakehouse.errors import BadInput
from lakehouse.retrieval.downgrade import class_of_model
from lakehouse.retrieval.filters import Filter, parse_filter
from lakehouse.retrieval.matrix import Ask
from lakehouse.retrieval.search_config import Mode, PlaybookConfig, SearchConfig, parse_playbook_config

MAX_QUERY_BYTES = 64 << 10
_KEPT_FILTERS = 4_096
_LONGEST_KEPT = 1_024
_AS_JSON_HAS_IT = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_SUBCLASS


class SearchRequest(msgspec.Struct, frozen=True):
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


class Plan(msgspec.Struct, frozen=True):
    """A request that has been checked, under one config."""

    ask: Ask
    corpora: tuple[str, ...]
    filter: Filter | None
    sql_filter: str | None
    exclude_ids: frozenset[str]
    use_playbook: bool | Literal["auto"]
    playbook: PlaybookConfig = msgspec.field(default_factory=PlaybookConfig)
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
    # A character has at most four bytes in UTF-8.
    if 4 * len(request.query) > MAX_QUERY_BYTES and len(request.query.encode("utf-8", "replace")) > MAX_QUERY_BYTES:
        raise BadInput(
            f"query has more than {MAX_QUERY_BYTES >> 10} KiB; search for what it says in short", field="query"
        )
    corpora = tuple(request.corpora)
    if len(set(corpora)) < len(corpora):
        raise BadInput("corpora names one twice", field="corpora")
    k = config.k if request.k is None else request.k
    ask = Ask(
        request.query,
        k,
        max(k, config.rerank_top, config.per_corpus_k if request.per_corpus_k is None else request.per_corpus_k),
        request.mode or config.mode,
        {name: config.text_weight_of(name) for name in corpora},
        config.relevance_threshold if request.threshold is None else request.threshold,
        "small" if request.force_full else class_of_model(request.model),
        config.strong_min_score,
    )
    playbook = config.playbook if request.playbook is None else parse_playbook_config(request.playbook, config.playbook)
    return Plan(
        ask,
        corpora,
        None if request.filter is None else _filter_of(request.filter),
        request.sql_filter,
        frozenset(request.exclude_ids),
        request.use_playbook,
        playbook,
        config.rerank_top,
        config.rerank_weight,
    )


def _filter_of(document: object) -> Filter:
    """A parsed filter, cached by its JSON, which tells apart values that Python takes for equal."""
    try:
        written = orjson.dumps(document, option=_AS_JSON_HAS_IT)
    except TypeError:  # no JSON, or an integer beyond 64 bits
        return parse_filter(document)
    if len(written) > _LONGEST_KEPT or b"null" in written:  # orjson writes NaN as null, so a null is ambiguous
        return parse_filter(document)
    return _read_filter(written)


@lru_cache(maxsize=_KEPT_FILTERS)
def _read_filter(written: bytes) -> Filter:
    return parse_filter(orjson.loads(written))
