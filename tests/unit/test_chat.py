"""The rules of chat: names, bodies, prices, meters, lines, events."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.adapters.usage_file import UsageFile
from lakehouse.chat.call_log import Caller, Ended, call_line
from lakehouse.chat.completion import read_chunk, read_completion, reported_cost
from lakehouse.chat.families import UNKNOWN, family_of
from lakehouse.chat.request import ChatAnswer, ChatRequest, Usage, check_request
from lakehouse.chat.routing import PROVIDERS, Route, route_of
from lakehouse.chat.sse import event_of, events
from lakehouse.chat.usage import Call, UsageMeter
from lakehouse.chat.wire import body_of
from lakehouse.errors import BadInput, LakehouseError, NotFound, ProviderFailed

EMBEDDED = ("smollm2-135m-instruct",)
HELLO = ({"role": "user", "content": "Hello"},)


@pytest.mark.parametrize(
    ("model", "provider", "name"),
    [
        ("smollm2-135m-instruct", "embedded", "smollm2-135m-instruct"),
        ("SmolLM2-135M-Instruct", "embedded", "smollm2-135m-instruct"),
        ("embedded/smollm2-135m-instruct", "embedded", "smollm2-135m-instruct"),
        ("qwen2.5:3b", "ollama", "qwen2.5:3b"),
        ("ollama/qwen2.5:3b", "ollama", "qwen2.5:3b"),
        ("gpt-oss:120b:cloud", "ollama_cloud", "gpt-oss:120b"),
        ("glm-4.6:cloud", "ollama_cloud", "glm-4.6"),
        ("ollama_cloud/glm-4.6", "ollama_cloud", "glm-4.6"),
        ("openrouter/openai/gpt-4o", "openrouter", "openai/gpt-4o"),
        ("opencode/kimi-k2", "opencode", "kimi-k2"),
        ("kimi/kimi-k2.6", "kimi", "kimi-k2.6"),
    ],
)
def test_names_go_to_their_providers(model: str, provider: str, name: str) -> None:
    assert route_of(model, embedded=EMBEDDED) == Route(provider, name)


@pytest.mark.parametrize("model", ["", " ", "gemini/pro", "embedded/other", "kimi/", "/x", ":cloud", "a\nb", "x" * 201])
def test_other_names_are_unknown_and_the_known_ones_named(model: str) -> None:
    with pytest.raises(NotFound) as unknown:
        route_of(model, embedded=EMBEDDED)
    for provider in PROVIDERS:
        assert provider in unknown.value.detail


@given(st.text(max_size=60))
def test_any_name_is_routed_or_unknown(model: str) -> None:
    with contextlib.suppress(NotFound):
        assert route_of(model, embedded=EMBEDDED).provider in PROVIDERS


def test_what_a_family_refuses_is_left_out_and_its_cap_kept() -> None:
    request = ChatRequest("gpt-5", HELLO, temperature=0.3, max_tokens=10**6, extras={"top_p": 0.5, "seed": 1})
    body = body_of(request, provider="openrouter", model="openai/gpt-5", family=family_of("openai/gpt-5"))
    assert body == {"model": "openai/gpt-5", "messages": list(HELLO), "seed": 1, "max_completion_tokens": 128_000}


@pytest.mark.parametrize(
    ("provider", "think", "part"),
    [
        ("ollama", None, {"think": False, "reasoning_effort": "none"}),
        ("ollama", False, {"think": False, "reasoning_effort": "none"}),
        ("ollama", True, {"think": True}),
        ("ollama_cloud", None, {}),
        ("ollama_cloud", False, {"think": False, "reasoning_effort": "none"}),
        ("openrouter", False, {"reasoning": {"enabled": False}}),
        ("kimi", True, {"thinking": {"type": "enabled"}}),
        ("opencode", True, {}),
        ("embedded", True, {}),
    ],
)
def test_thinking_is_said_in_each_provider_s_way(provider: str, think: bool | None, part: dict[str, Any]) -> None:
    body = body_of(ChatRequest("m", HELLO, think=think), provider=provider, model="m", family=UNKNOWN)
    assert {k: v for k, v in body.items() if k not in ("model", "messages")} == part


def test_prices_are_by_family_and_local_models_cost_nothing() -> None:
    usage = Usage(1_000_000, 100_000)
    assert family_of("openai/gpt-4o-2024-11-20").cost_usd(usage, provider="openrouter") == pytest.approx(3.5)
    assert family_of("gpt-4o-mini").cost_usd(usage, provider="openrouter") == pytest.approx(0.21)
    assert family_of("gpt-4o").cost_usd(usage, provider="ollama") == 0
    assert family_of("nobody-knows").cost_usd(usage, provider="openrouter") is None
    assert family_of("kimi-k2.6").is_frontier
    assert not family_of("smollm2-135m-instruct").is_frontier


def test_messages_are_checked() -> None:
    check_request(ChatRequest("m", [{"role": "assistant", "tool_calls": [{}]}, {"role": "tool", "content": "x"}]))
    deep: Any = "x"
    for _ in range(300):
        deep = [deep]
    with pytest.raises(BadInput, match="nested"):
        check_request(ChatRequest("m", HELLO, tool_choice=deep))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["choices", "message", "delta", "content", "usage", "error", "tool_calls", "finish_reason"]),
        inner, max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(anything)
def test_whatever_a_provider_says_is_an_answer_or_its_failure(said: Any) -> None:
    for read in (lambda: read_completion(said, provider="p", model="m"), lambda: read_chunk(said, provider="p")):
        with contextlib.suppress(ProviderFailed):
            read()


@given(st.lists(st.text().map(lambda t: t.replace("\r", "").replace("\n", "")), max_size=6), st.data())
def test_events_are_found_however_they_are_cut(texts: list[str], data: st.DataObject) -> None:
    sent = [text.encode("utf-8", "replace") for text in texts]
    whole = b"".join(event_of(text) for text in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=5)))
    parts = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]

    async def chunks() -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    async def read() -> list[bytes]:
        return [event async for event in events(chunks(), max_bytes=10**6)]

    assert asyncio.run(read()) == sent


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def test_meter_sums_by_role_and_forgets_what_is_a_month_old() -> None:
    clock = Clock()
    meter = UsageMeter(clock)
    meter.count(Call("executor", "embedded", "smol", False, 10, 5, 0.0))
    meter.count(Call("reviewer", "openrouter", "openai/gpt-4o", True, 100, 50, 3.0, is_escalation=True))
    meter.count(Call("executor", "openrouter", "x", False, 1, 1, None))
    report = meter.report()
    assert report["total"]["calls"] == 3
    assert report["total"]["frontier_share_of_calls"] == pytest.approx(1 / 3, abs=1e-6)
    assert report["total"]["frontier_share_of_cost"] == 1.0
    assert report["total"]["unpriced_calls"] == 1
    assert report["by_role"]["reviewer"]["cost_usd"] == 3.0
    assert set(report["by_model"]) == {"embedded/smol", "openrouter/openai/gpt-4o", "openrouter/x"}
    assert meter.escalated_usd() == 3.0
    clock.now += timedelta(days=1)
    assert meter.escalated_usd() == 0
    assert meter.report()["today"]["calls"] == 0
    assert meter.report()["total"]["calls"] == 3
    clock.now += timedelta(days=40)
    meter.count(Call("executor", "embedded", "smol", False))
    assert meter.report()["total"]["calls"] == 1


def test_meter_outlives_the_process(tmp_path: Path) -> None:
    path = tmp_path / "chat" / "usage.json"
    meter = UsageMeter(Clock())
    meter.count(Call("executor", "openrouter", "m", True, 3, 4, 0.5, is_escalation=True))
    UsageFile(path, meter).save()
    again = UsageMeter(Clock())
    UsageFile(path, again).load()
    assert again.report() == meter.report()
    assert again.escalated_usd() == 0.5


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"rows": 3, "since": "x"}', b"\xff", b'{"rows": [{}], "since": "2026-01-01"}']
)
def test_meter_whose_file_is_damaged_begins_afresh_and_keeps_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "usage.json"
    path.write_bytes(content)
    meter = UsageMeter(Clock())
    UsageFile(path, meter).load()
    assert meter.report()["total"]["calls"] == 0
    assert path.with_suffix(".unreadable").read_bytes() == content


def line_of(request: ChatRequest, answer: str = "Hi", error: LakehouseError | None = None) -> dict[str, Any]:
    ended = Ended("run", Route("embedded", "m"), "ok", 1.5, ChatAnswer(answer, "stop", Usage(3, 4), "m"), error)
    return call_line(request, ended, Caller("ann", "task"), find_markers=lambda text: ["pii"] if "@" in text else [])


def test_line_says_what_was_asked_and_said() -> None:
    line = line_of(ChatRequest("m", HELLO, temperature=0.5, extras={"seed": 1}), "mail a@b.c")
    assert (line["run_id"], line["task_id"], line["actor"], line["provider"]) == ("run", "task", "ann", "embedded")
    assert line["messages"] == list(HELLO)
    assert line["settings"] == {"temperature": 0.5, "seed": 1}
    assert (line["input_markers"], line["output_markers"]) == ([], ["pii"])


def test_long_messages_are_cut_from_the_oldest_on() -> None:
    messages = [{"role": "user", "content": "a" * 400_000}, {"role": "user", "content": "the newest"}]
    line = line_of(ChatRequest("m", messages))
    assert line["is_clipped"]
    assert line["messages"][-1]["content"] == "the newest"
    assert len(orjson.dumps(line["messages"])) < 300_000


ROW = {
    "day": "2026-03-01", "role": "executor", "provider": "kimi", "model": "m", "is_frontier": False, "calls": 1,
    "failures": 0, "prompt_tokens": 1, "completion_tokens": 1, "cost_usd": 0.5, "unpriced_calls": 0, "escalations": 0,
    "escalation_usd": 0.0,
}  # fmt: skip


@pytest.mark.parametrize(
    "change", [{"calls": "x"}, {"cost_usd": None}, {"day": 5}, {"calls": True}, {"prompt_tokens": -1}, {"role": 3}]
)
def test_odd_values_of_the_meter_s_file_are_no_meter(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "usage.json"
    path.write_bytes(orjson.dumps({"since": "2026-01-01T00:00:00+00:00", "rows": [ROW]}))
    meter = UsageMeter(Clock())
    UsageFile(path, meter).load()
    assert meter.report()["total"]["calls"] == 1
    path.write_bytes(orjson.dumps({"since": "2026-01-01T00:00:00+00:00", "rows": [ROW | change]}))
    fresh = UsageMeter(Clock())
    UsageFile(path, fresh).load()
    assert fresh.report()["total"]["calls"] == 0


@pytest.mark.parametrize("usage", [
    {"prompt_tokens": 10**18, "completion_tokens": 1}, {"prompt_tokens": True, "completion_tokens": 1},
    {"prompt_tokens": -1, "completion_tokens": 1}, {"prompt_tokens": 1.5, "completion_tokens": 1}, {"cost": 1e308},
    {"cost": True}, {"cost": -1}, [], "x",
])  # fmt: skip
def test_numbers_that_cannot_be_are_not_believed(usage: Any) -> None:
    said = {"choices": [{"message": {"content": "Hello"}}], "usage": usage}
    assert read_completion(said, provider="p", model="m").usage.is_estimated
    assert reported_cost(said) is None


def test_prompt_of_a_provider_that_counts_nothing_has_tokens_too() -> None:
    said = {"choices": [{"message": {"content": "Hello"}}]}
    asked = [{"role": "user", "content": "x" * 400}]
    usage = read_completion(said, provider="p", model="m", messages=asked).usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.is_estimated) == (100, 2, True)


def test_refusal_is_an_answer_and_a_second_choice_is_none() -> None:
    said = {"choices": [{"message": {"content": None, "refusal": "I cannot."}, "finish_reason": "stop"}]}
    assert read_completion(said, provider="p", model="m").content == "I cannot."
    assert read_chunk({"choices": [{"index": 0, "delta": {"refusal": "No."}}]}, provider="p").content == "No."
    assert read_chunk({"choices": [{"index": 1, "delta": {"content": "B"}}]}, provider="p").content == ""


@pytest.mark.parametrize("stop", ["", [""], ["x"] * 65, ["x" * 1001], [3], {"a": 1}])
def test_stops_that_stop_nothing_or_everything_are_refused(stop: Any) -> None:
    with pytest.raises(BadInput, match="stop"):
        check_request(ChatRequest("m", HELLO, extras={"stop": stop}))
    check_request(ChatRequest("m", HELLO, extras={"stop": ["\n", "END"]}))


@pytest.mark.parametrize("end", [b"\r", b"\r\n", b"\n"])
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_events_end_their_lines_in_any_way(end: bytes, size: int) -> None:
    whole = b"\xef\xbb\xbfdata: a" + end + end + b": note" + end + b"data: b" + end + b"data: c" + end + end

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(whole), size):
            yield whole[start : start + size]

    async def read() -> list[bytes]:
        return [event async for event in events(chunks(), max_bytes=10**6)]

    assert asyncio.run(read()) == [b"a", b"b\nc"]
