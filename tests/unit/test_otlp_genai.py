"""Spans with GenAI attributes: which are runs, their messages in every form, documents and lines."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lakehouse.trajectories.otlp_spans import plain
from lakehouse.trajectories.run import Run, Unusable
from tests.trajectories import json_lines, passed_over, refused_of, runs_of, steps_of

TRACE, SPAN = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"
ASKED = [{"role": "user", "parts": [{"type": "text", "content": "Weather in Paris?"}]}]
ANSWERED = [{"role": "assistant", "parts": [{"type": "text", "content": "Rainy."}], "finish_reason": "stop"}]


def any_value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [any_value(v) for v in value]}}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": pairs(value)}}
    return {"stringValue": value}


def pairs(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": any_value(value)} for key, value in values.items()]


def span(
    attributes: dict[str, Any] | None = None, *, operation: str = "chat", events: Any = None, **changes: Any
) -> dict[str, Any]:
    given = {
        "gen_ai.operation.name": operation, "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4",
        "gen_ai.response.model": "gpt-4-0613", "gen_ai.usage.input_tokens": 52, "gen_ai.usage.output_tokens": 47,
        **(attributes or {}),
    }  # fmt: skip
    return {
        "traceId": TRACE, "spanId": SPAN, "parentSpanId": "", "name": "chat gpt-4", "kind": 3,
        "startTimeUnixNano": "1772616600000000000", "endTimeUnixNano": "1772616601250000000",
        "attributes": pairs(given), "events": events or [], "status": {}, **changes,
    }  # fmt: skip


def request(*spans: dict[str, Any]) -> dict[str, Any]:
    scope = {"scope": {"name": "x"}, "spans": list(spans)}
    return {"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [scope], "schemaUrl": "x"}]}


def messages(asked: Any = ASKED, answered: Any = ANSWERED) -> dict[str, Any]:
    return {"gen_ai.input.messages": json.dumps(asked), "gen_ai.output.messages": json.dumps(answered)}


def run_of(*spans: dict[str, Any]) -> Run:
    (run,) = runs_of("otlp_genai", {"a.jsonl": json_lines(request(*spans))})
    return run


CHAT = [{"role": "user", "content": "Weather in Paris?"}, {"role": "assistant", "content": "Rainy."}]


def test_call_is_a_run() -> None:
    run = run_of(span(messages()))
    assert (run.run_id, run.task_id, run.trace_id) == (f"otlp/{TRACE}/{SPAN}/0", f"otlp/{TRACE}", TRACE)
    fields = run.fields
    assert fields["messages"] == CHAT
    assert (fields["model"], fields["provider"], fields["reward"]) == ("gpt-4-0613", "openai", None)
    assert (fields["prompt_tokens"], fields["completion_tokens"], fields["latency_ms"]) == (52, 47, 1250.0)
    assert fields["timestamp"] == "2026-03-04T09:30:00.000000Z"


def test_document_and_lines_give_the_same_runs() -> None:
    spans = [span(messages(), spanId=f"{n:016x}") for n in range(3)]
    lines = json_lines(request(spans[0]), request(*spans[1:]))
    whole = {"resourceSpans": [*request(spans[0])["resourceSpans"], *request(*spans[1:])["resourceSpans"]]}
    expected = [r.run_id for r in runs_of("otlp_genai", {"a.jsonl": lines})]
    assert len(expected) == 3
    for indent in (None, 1):
        given = runs_of("otlp_genai", {"a.json": json.dumps(whole, indent=indent).encode()})
        assert [r.run_id for r in given] == expected


def test_tool_calls_and_answers_in_parts_become_chat_messages() -> None:
    call = {"type": "tool_call", "id": "c1", "name": "get_weather", "arguments": {"location": "Paris"}}
    asked = [
        *ASKED,
        {"role": "assistant", "parts": [{"type": "reasoning", "content": "Look it up."}, call]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "rainy"}]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c2", "result": {"t": 57}}]},
    ]
    run = run_of(span(messages(asked) | {"gen_ai.system_instructions": '[{"type": "text", "content": "Be brief."}]'}))
    function = {"name": "get_weather", "arguments": '{"location":"Paris"}'}
    assert run.fields["messages"] == [
        {"role": "system", "content": "Be brief."},
        CHAT[0],
        {
            "role": "assistant",
            "content": None,
            "reasoning_content": "Look it up.",
            "tool_calls": [{"id": "c1", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "rainy"},
        {"role": "tool", "tool_call_id": "c2", "content": '{"t":57}'},
        CHAT[1],
    ]


def test_structured_messages_are_read_as_those_in_text() -> None:
    given = {"gen_ai.input.messages": ASKED, "gen_ai.output.messages": ANSWERED}
    assert run_of(span(given)).fields["messages"] == CHAT


def test_parts_that_are_no_text_stay_as_they_are() -> None:
    image = {"type": "uri", "modality": "image", "uri": "gs://b/a.png"}
    asked = [{"role": "user", "parts": [{"type": "text", "content": "What is it?"}, image]}]
    (first, _) = run_of(span(messages(asked))).fields["messages"]
    assert first["content"] == [{"type": "text", "text": "What is it?"}, image]


def event(name: str, **attributes: Any) -> dict[str, Any]:
    return {"name": name, "timeUnixNano": "1", "attributes": pairs(attributes)}


CALLS = [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]


@pytest.mark.parametrize(
    "events",
    [
        [
            event("gen_ai.user.message", content="Weather in Paris?"),
            event("gen_ai.choice", index=0, finish_reason="stop", message={"role": "assistant", "content": "Rainy."}),
        ],
        [
            event("gen_ai.user.message", **{"gen_ai.event.content": '{"content": "Weather in Paris?"}'}),
            event("gen_ai.choice", **{"gen_ai.event.content": '{"message": {"content": "Rainy."}, "index": 0}'}),
        ],
        [
            {"name": "gen_ai.user.message", "body": any_value({"content": "Weather in Paris?"})},
            {"name": "gen_ai.choice", "body": any_value({"index": 0, "message": {"content": "Rainy."}})},
        ],
        [event("gen_ai.client.inference.operation.details", **messages())],
        [
            event("gen_ai.content.prompt", **{"gen_ai.prompt": '[{"role": "user", "content": "Weather in Paris?"}]'}),
            event("gen_ai.content.completion", **{"gen_ai.completion": "Rainy."}),
        ],
    ],
)
def test_events_of_every_age_are_read(events: list[dict[str, Any]]) -> None:
    old = {"gen_ai.provider.name": "", "gen_ai.system": "openai"}
    run = run_of(span(old, events=[*events, event("exception")]))
    assert run.fields["messages"] == CHAT


def test_events_hold_tool_calls_and_answers() -> None:
    events = [
        event("gen_ai.system.message", content="Be brief."),
        event("gen_ai.assistant.message", tool_calls=json.dumps(CALLS)),
        event("gen_ai.tool.message", id="c1", content="rainy"),
        event("gen_ai.choice", message=json.dumps({"tool_calls": CALLS})),
    ]
    assert run_of(span(events=events)).fields["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "assistant", "content": None, "tool_calls": CALLS},
        {"role": "tool", "content": "rainy", "tool_call_id": "c1"},
        {"role": "assistant", "content": None, "tool_calls": CALLS},
    ]


def test_choices_of_a_call_are_runs_and_what_an_agent_put_out_is_one() -> None:
    two = [ANSWERED[0], {**ANSWERED[0], "parts": [{"type": "text", "content": "Dry."}]}]
    calls = runs_of("otlp_genai", {"a.jsonl": json_lines(request(span(messages(answered=two))))})
    assert [r.run_id[-2:] for r in calls] == ["/0", "/1"]
    assert [r.fields["messages"][-1]["content"] for r in calls] == ["Rainy.", "Dry."]
    agent = run_of(span(messages(answered=two), operation="invoke_agent"))
    assert [m["content"] for m in agent.fields["messages"]] == ["Weather in Paris?", "Rainy.", "Dry."]


def test_older_names_of_tokens_and_provider_are_read() -> None:
    old = pairs(
        {
            "gen_ai.operation.name": "chat", "gen_ai.system": "anthropic", "gen_ai.request.model": "m",
            "gen_ai.usage.prompt_tokens": 3, "gen_ai.usage.completion_tokens": 4, **messages(),
        }
    )  # fmt: skip
    fields = run_of(span(attributes={}) | {"attributes": old}).fields
    assert (fields["provider"], fields["model"]) == ("anthropic", "m")
    assert (fields["prompt_tokens"], fields["completion_tokens"]) == (3, 4)


def test_tools_are_those_of_chat_requests() -> None:
    tools = [{"type": "function", "name": "f", "description": "F", "parameters": {}}]
    run = run_of(span(messages() | {"gen_ai.tool.definitions": json.dumps(tools)}))
    function = {"name": "f", "description": "F", "parameters": {}}
    assert run.fields["tools"] == [{"type": "function", "function": function}]


def test_other_spans_are_passed_over_and_calls_without_messages_refused() -> None:
    spans = [span(operation="execute_tool"), span(operation="invoke_agent"), span(), {**span(), "attributes": []}]
    steps = steps_of("otlp_genai", {"a.jsonl": json_lines(request(*spans))})
    assert passed_over(steps) == 3
    ((where, reason),) = refused_of(steps)
    assert where == "line 1, span 2"
    assert "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT" in reason


def test_failed_call_says_so() -> None:
    failed = span(messages(answered=[]), status={"code": 2, "message": "timeout"})
    fields = run_of(failed).fields
    assert fields["is_failed"] is True
    assert [m["role"] for m in fields["messages"]] == ["user"]


def test_broken_line_stands_alone_and_broken_document_ends_there() -> None:
    lines = json_lines(request(span(messages()))) + b'{"resourceSpans": [@]}\n' + json_lines(request(span(messages())))
    steps = steps_of("otlp_genai", {"a.jsonl": lines})
    assert [where for where, _ in refused_of(steps)] == ["line 2"]
    assert len([s for s in steps if isinstance(s, Run)]) == 2
    whole = json.dumps(request(span(messages()), span(messages(), spanId="b")), indent=1)
    steps = steps_of("otlp_genai", {"a.json": whole[: whole.rindex('"spanId"')].encode()})
    assert len([s for s in steps if isinstance(s, Run)]) == 1
    assert len(refused_of(steps)) == 1


def test_span_that_is_none_is_refused() -> None:
    spans = [1, {**span(messages()), "traceId": ""}, {**span(messages()), "attributes": {"a": 1}}]
    steps = steps_of("otlp_genai", {"a.jsonl": json_lines({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})})
    assert [reason for _, reason in refused_of(steps)] == [
        "the span is a number, where an object is needed",
        "traceId is empty, where a text is needed",
        "attributes is an object, where an array is needed",
    ]


@pytest.mark.parametrize("value", ["x", 3, 0.5, True, ["a", 1], {"a": {"b": [True]}}])
def test_values_are_plain(value: Any) -> None:
    assert plain(any_value(value)) == value


def test_whole_number_that_is_none_is_refused() -> None:
    with pytest.raises(Unusable, match="is not a whole number"):
        plain({"intValue": "x"})
