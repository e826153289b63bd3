"""Importers under any input: elements become runs or refusals, ids never meet, times agree in every unit."""

from __future__ import annotations

import json
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.trajectories.ids import joined
from lakehouse.trajectories.moments import moment_of
from lakehouse.trajectories.run import Refusal, Run, Unusable, line_of
from tests.trajectories import JUDGE, NOW, pair, steps_of, tau_run

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(), v, max_size=3))
PARTS = st.lists(st.text(min_size=1, max_size=8), min_size=2, max_size=2)


def fields_changed(whole: dict[str, Any]) -> st.SearchStrategy[Any]:
    """An element with some of its fields replaced, two levels deep at most, by anything."""
    changed = st.dictionaries(st.sampled_from(sorted(whole)), VALUES, max_size=2).map(lambda c: {**whole, **c})
    inner = [name for name, value in whole.items() if isinstance(value, dict)]
    if not inner:
        return changed
    deep = st.sampled_from(inner).flatmap(lambda n: fields_changed(whole[n]).map(lambda v: {**whole, n: v}))
    return changed | deep


SPAN_NAMES = st.sampled_from(
    [
        "gen_ai.operation.name", "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions",
        "gen_ai.usage.input_tokens", "gen_ai.tool.definitions", "gen_ai.event.content", "content", "message",
    ]
)  # fmt: skip
CHATS = st.sampled_from(
    ["chat", "invoke_agent", '[{"role":"user","parts":[{"type":"text","content":"x"}]}]', '{"a":1}', "["]
)
ANY_VALUES = st.builds(lambda v: {"stringValue": v}, CHATS) | st.builds(lambda v: {"intValue": v}, VALUES) | VALUES
PAIRS = st.lists(st.builds(lambda k, v: {"key": k, "value": v}, SPAN_NAMES, ANY_VALUES), max_size=4)
CALL = [{"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}}]
EVENTS = st.builds(
    lambda n, a, b: {"name": n, "attributes": a, "body": b},
    st.sampled_from(["gen_ai.user.message", "gen_ai.choice", "gen_ai.tool.message", "x"]),
    PAIRS | VALUES,
    ANY_VALUES,
)
SPANS = st.builds(
    lambda a, e, t: {"traceId": "t", "spanId": "s", "attributes": [*CALL, *a], "events": e, **t},
    PAIRS,
    st.lists(EVENTS, max_size=3) | VALUES,
    st.dictionaries(st.sampled_from(["startTimeUnixNano", "status", "traceId", "attributes"]), VALUES, max_size=1),
)


def each_is_a_run_or_refused(format_: str, name: str, data: bytes, **told: str) -> None:
    for step in steps_of(format_, {name: data}, **told):
        if isinstance(step, Run):
            try:
                line = line_of(step, licence="MIT", recorded_at=NOW)
            except Unusable:
                continue
            assert orjson.loads(line)["run_id"] == step.run_id
        elif isinstance(step, Refusal):
            assert step.reason


@given(st.lists(fields_changed(tau_run()) | VALUES, max_size=3))
def test_any_array_of_tau_bench(elements: list[Any]) -> None:
    each_is_a_run_or_refused("tau_bench", "gpt-4o-airline.json", json.dumps(elements).encode())


@given(st.lists(fields_changed(pair()) | VALUES, max_size=3))
def test_any_pairs(elements: list[Any]) -> None:
    data = b"".join(json.dumps(element).encode() + b"\n" for element in elements)
    each_is_a_run_or_refused("openai_pairs", "a.jsonl", data)


@given(st.lists(SPANS | VALUES, max_size=3), st.sampled_from([None, 1]))
def test_any_spans(spans: list[Any], indent: int | None) -> None:
    document = {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}
    each_is_a_run_or_refused("otlp_genai", "a.json", json.dumps(document, indent=indent).encode())


@given(st.dictionaries(st.text(), VALUES, max_size=3))
def test_any_rows_and_evaluations(rows: dict[str, Any]) -> None:
    data = json.dumps(rows).encode()
    each_is_a_run_or_refused("openhands_index", "M/instance_results/b.json", data)
    each_is_a_run_or_refused("code_review_bench", "evaluations.json", data, judge=JUDGE)


@given(st.sampled_from(["tau_bench", "openai_pairs", "otlp_genai"]), st.binary(max_size=200))
def test_any_bytes(format_: str, data: bytes) -> None:
    each_is_a_run_or_refused(format_, "a.json", data)


@given(PARTS, PARTS)
def test_ids_of_different_parts_differ(one: list[str], other: list[str]) -> None:
    assert (joined("s", *one) == joined("s", *other)) is (one == other)


@given(st.integers(min_value=100_000_000, max_value=7_258_118_399))
def test_a_second_is_the_same_in_every_unit(second: int) -> None:
    assert len({moment_of(second * unit) for unit in (1, 10**3, 10**6, 10**9)}) == 1
