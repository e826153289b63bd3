"""OTLP JSON with the GenAI semantic conventions: spans of calls of a model and of agents.

- A run for each span that holds messages and whose operation is one of `chat`, `generate_content`, `text_completion`
  and `invoke_agent`; where a call gave several choices, one for each. All runs of a trace share a task,
  `<source>/<trace>`, so that they never come apart when runs are split; `run_id` is `<source>/<trace>/<span>/<choice>`.
- A call without messages is refused, because what was said was not captured. Other spans, and agents whose messages
  stand in the spans of their calls, are passed over.
- The reward is hidden.

Belongs here: which span is a run, its fields. Not here: messages (see genai_messages.py), where spans stand (see
otlp_spans.py).

Source: OpenTelemetry semantic conventions for GenAI spans, today's names and those before 1.37.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from lakehouse.trajectories.genai_messages import from_events, from_parts, instructions, tool_definitions
from lakehouse.trajectories.ids import joined
from lakehouse.trajectories.moments import moment_of
from lakehouse.trajectories.otlp_spans import attributes_of, nanoseconds, read_spans
from lakehouse.trajectories.run import Job, OpenFile, Origin, PassedOver, Plan, Refusal, Run, Step, Unusable, refusal
from lakehouse.trajectories.values import a_count, a_text, an_object, optional_text

_CALLS = frozenset({"chat", "generate_content", "text_completion"})
_AGENT = "invoke_agent"
_SUFFIXES = (".json", ".jsonl", ".ndjson")
_FAILED = (2, "STATUS_CODE_ERROR")
_SETTINGS = "gen_ai.request."


def plan(names: Sequence[str]) -> Plan:
    """Each file is a job."""
    known = [name for name in names if name.endswith(_SUFFIXES)]
    jobs = tuple(Job(name, (name,)) for name in known)
    return Plan(jobs, unknown=tuple(name for name in names if name not in known))


def read(job: Job, origin: Origin, open_file: OpenFile) -> Iterator[Step]:
    """The runs of a file."""
    for found in read_spans(job.name, open_file):
        if isinstance(found, Refusal):
            yield found
            continue
        where, given = found
        try:
            runs = list(_runs(given, where, origin))
        except Unusable as error:
            yield refusal(where, str(error), orjson.dumps(given))
            continue
        yield from runs or (PassedOver(),)


def _runs(given: Any, where: str, origin: Origin) -> Iterator[Run]:
    span = an_object(given, "the span")
    attributes = attributes_of(span)
    operation = attributes.get("gen_ai.operation.name")
    if operation not in _CALLS and operation != _AGENT:
        return
    asked, choices = _said(span, attributes, is_agent=operation == _AGENT)
    if not asked and not choices:
        if operation == _AGENT:
            return
        raise Unusable(
            "a call without messages: they were not captured; set"
            " OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT where the spans are made"
        )
    trace, span_id = a_text(span.get("traceId"), "traceId"), a_text(span.get("spanId"), "spanId")
    fields = _fields(span, attributes, is_alone=len(choices) <= 1)
    for number, answer in enumerate(choices or [[]]):
        yield Run(
            where=where,
            run_id=joined(origin.source, trace, span_id, number),
            task_id=joined(origin.source, trace),
            source=origin.source,
            fields={"trial": number, "messages": [*asked, *answer], **fields},
            trace_id=trace,
        )


def _said(
    span: Mapping[str, Any], attributes: Mapping[str, Any], *, is_agent: bool
) -> tuple[list[dict[str, Any]], list[list[dict[str, Any]]]]:
    """What went in, and for each choice what came out; attributes before events."""
    asked = from_parts(attributes.get("gen_ai.input.messages") or [], "gen_ai.input.messages")
    answers = from_parts(attributes.get("gen_ai.output.messages") or [], "gen_ai.output.messages")
    if not asked and not answers:
        return from_events(span.get("events"))
    asked = [*instructions(attributes.get("gen_ai.system_instructions")), *asked]
    # What an agent put out is a sequence; so is what holds the answers of tools.
    if is_agent or any(m.get("role") != "assistant" for m in answers):
        return asked, [answers] if answers else []
    return asked, [[answer] for answer in answers]


def _fields(span: Mapping[str, Any], attributes: Mapping[str, Any], *, is_alone: bool) -> dict[str, Any]:
    started, ended = nanoseconds(span.get("startTimeUnixNano")), nanoseconds(span.get("endTimeUnixNano"))
    status = span.get("status") if isinstance(span.get("status"), dict) else {}
    tokens_in = attributes.get("gen_ai.usage.input_tokens", attributes.get("gen_ai.usage.prompt_tokens"))
    tokens_out = attributes.get("gen_ai.usage.output_tokens", attributes.get("gen_ai.usage.completion_tokens"))
    asked_model = optional_text(attributes.get("gen_ai.request.model"))
    settings = {k.removeprefix(_SETTINGS): v for k, v in attributes.items() if k.startswith(_SETTINGS)}
    return {
        "reward": None,
        "tools": tool_definitions(attributes.get("gen_ai.tool.definitions")),
        "model": optional_text(attributes.get("gen_ai.response.model")) or asked_model,
        "provider": optional_text(attributes.get("gen_ai.provider.name", attributes.get("gen_ai.system"))),
        "timestamp": moment_of(started),
        "latency_ms": (ended - started) / 1e6 if started and ended and ended >= started else None,
        "prompt_tokens": a_count(tokens_in, "gen_ai.usage.input_tokens"),
        "completion_tokens": a_count(tokens_out, "gen_ai.usage.output_tokens") if is_alone else None,
        "operation": attributes.get("gen_ai.operation.name"),
        "span_id": span.get("spanId"),
        "parent_span_id": span.get("parentSpanId") or None,
        "conversation_id": attributes.get("gen_ai.conversation.id"),
        "agent": attributes.get("gen_ai.agent.name"),
        "response_id": attributes.get("gen_ai.response.id"),
        "finish_reasons": attributes.get("gen_ai.response.finish_reasons"),
        "is_failed": (status or {}).get("code") in _FAILED,
        "error_type": attributes.get("error.type"),
        "settings": settings,
    }
