"""The search config and the downgrade gate: ranges, names, classes."""

from __future__ import annotations

import pytest

from lakehouse.errors import BadInput
from lakehouse.retrieval.downgrade import class_of_model, model_families
from lakehouse.retrieval.search_config import PlaybookConfig, SearchConfig, parse_playbook_config, parse_search_config


def test_empty_config_is_the_default() -> None:
    assert parse_search_config({}) == SearchConfig()


def test_config_is_read_back_from_its_document() -> None:
    config = SearchConfig(
        k=3, text_weights={"notes": 0.2}, rerank_top=50, rerank_weight=0.5, playbook=PlaybookConfig(top_k=9)
    )
    assert parse_search_config(config.to_document()) == config
    assert (config.text_weight_of("notes"), config.text_weight_of("workers")) == (0.2, 0.3)


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ([], "config must be an object"),
        ({"kk": 1}, "no field 'kk'"),
        ({"k": 0}, "k must be a whole number from 1 to 1000"),
        ({"k": 2.5}, "k must be a whole number"),
        ({"k": True}, "k must be"),
        ({"k": float("nan")}, "k must be"),
        ({"k": float("inf")}, "k must be"),
        ({"text_weight": "1"}, "text_weight must be a number from 0 to 1"),
        ({"text_weights": {"notes": 2}}, "text_weights.notes must be"),
        ({"rerank_weight": 1.5}, "rerank_weight must be a number from 0 to 1"),
        ({"mode": "magic"}, "mode must be one of vector, text, hybrid"),
        ({"playbook": {"boost": -1}}, "playbook.boost must be"),
        ({"playbook": {"bost": 1}}, "no field 'bost'"),
    ],
)
def test_wrong_config_is_refused_by_name(document: object, named: str) -> None:
    with pytest.raises(BadInput, match=named):
        parse_search_config(document)


def test_field_that_is_left_out_is_that_of_the_base() -> None:
    live = SearchConfig(k=3, text_weights={"notes": 0.2}, playbook=PlaybookConfig(boost=2.0, half_life_days=7.0))
    changed = parse_search_config({"mode": "text", "playbook": {"top_k": 7}}, live)
    assert changed == SearchConfig(
        k=3, mode="text", text_weights={"notes": 0.2}, playbook=PlaybookConfig(7, boost=2.0, half_life_days=7.0)
    )
    assert parse_search_config({"text_weights": {}}, live).text_weights == {}


def test_request_parameters_stand_over_the_config() -> None:
    assert parse_playbook_config({"top_k": 9}, PlaybookConfig(boost=2.0)) == PlaybookConfig(top_k=9, boost=2.0)


@pytest.mark.parametrize(
    ("model", "model_class"),
    [
        (None, "small"),
        ("", "small"),
        ("somebody/unheard-of", "small"),
        ("embedded/SmolLM2-135M-Instruct", "small"),
        ("openrouter/openai/gpt-4o-2024-08-06", "strong"),
        ("llama3.1-70b:cloud", "strong"),
        ("llama3.1:8b", "small"),
        ("ollama/qwen2.5:72b", "strong"),
    ],
)
def test_model_has_the_class_of_its_longest_family(model: str | None, model_class: str) -> None:
    assert class_of_model(model) == model_class


def test_every_family_says_what_its_class_stands_on() -> None:
    assert all(family.evidence and family.model_class in ("small", "strong") for family in model_families())
