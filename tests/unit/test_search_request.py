"""A request becomes a plan: defaults are filled in, a filter that was read before means what it means anew."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from lakehouse.errors import BadInput
from lakehouse.retrieval.filters import parse_filter
from lakehouse.retrieval.search_config import SearchConfig
from lakehouse.retrieval.search_request import MAX_QUERY_BYTES, SearchRequest, plan_search


def planned(document: Any) -> object:
    return plan_search(SearchRequest("nurse", ["notes"], filter=document), SearchConfig()).filter


@pytest.mark.parametrize(
    "document",
    [{"a": 1}, {"a": True}, {"a": 1.0}, {"a": "1"}, {"a": 1 << 80}, {"a": "null"}, {"or": [{"a": {"in": [1, "x"]}}]}],
)
def test_filter_asked_for_again_is_the_same(document: dict[str, Any]) -> None:
    assert planned(document) == planned(document) == parse_filter(document)


@pytest.mark.parametrize(
    "document", [{"a": float("nan")}, {"a": date(2026, 1, 1)}, {"a": None}, {1: "x"}, {"a": "\ud800"}, []]
)
def test_filter_that_json_cannot_hold_is_refused_however_often(document: Any) -> None:
    planned({"a": "2026-01-01"})
    planned({"1": "x"})
    for _ in range(2):
        with pytest.raises(BadInput):
            planned(document)


def test_query_of_too_many_bytes_is_refused() -> None:
    plan_search(SearchRequest("é" * (MAX_QUERY_BYTES // 2), ["notes"]), SearchConfig())
    with pytest.raises(BadInput, match="KiB"):
        plan_search(SearchRequest("é" * (MAX_QUERY_BYTES // 2 + 1), ["notes"]), SearchConfig())


def test_request_goes_before_the_config() -> None:
    config = SearchConfig(k=7, per_corpus_k=20, mode="vector", rerank_top=30)
    plan = plan_search(SearchRequest("nurse", ["notes"]), config)
    assert (plan.ask.k, plan.ask.per_corpus_k, plan.ask.mode) == (7, 30, "vector")
    plan = plan_search(SearchRequest("nurse", ["notes"], k=40, mode="text"), config)
    assert (plan.ask.k, plan.ask.per_corpus_k, plan.ask.mode) == (40, 40, "text")
