"""What each provider answers, as its documentation shows it: quirks that the adapter and the service must read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from lakehouse.adapters.openai_chat import OpenAiChat
from lakehouse.chat.call_log import Caller
from lakehouse.chat.request import ChatRequest
from lakehouse.chat.service import ChatService
from lakehouse.chat.streaming import open_stream
from lakehouse.chat.usage import UsageMeter
from lakehouse.errors import LakehouseError, ProviderFailed
from lakehouse.settings_chat import ChatEndpoint
from tests.fakes.chat_endpoint import Reply, chat_endpoint

FIXTURES = Path(__file__).parent / "chat"
CASES = [
    pytest.param(file.stem, case, id=f"{file.stem}: {case['name']}")
    for file in sorted(FIXTURES.glob("*.json"))
    for case in json.loads(file.read_text())["cases"]
]


class Lines(list[Mapping[str, Any]]):
    def require_room(self) -> None: ...

    async def write(self, line: Mapping[str, Any], *, is_durable: bool) -> None:
        self.append(line)


async def answered(provider: str, url: str, lines: Lines, *, is_stream: bool) -> str:
    key = ChatEndpoint(url=url, api_key=SecretStr("k"))
    chat = OpenAiChat(provider, key, timeout_s=60, attempts=1)
    service = ChatService(
        {provider: chat}, embedded=(), log=lines, meter=UsageMeter(lambda: datetime.now(UTC)), fallbacks={},
        budget_usd=0, find_markers=lambda _: (),
    )  # fmt: skip
    request = ChatRequest(f"{provider}/m", [{"role": "user", "content": "Hello"}])
    try:
        if not is_stream:
            return (await service.chat(request, Caller("ann"))).answer.content
        stream = await open_stream(service, request, Caller("ann"))
        said = ""
        try:
            async for piece in stream.pieces():
                said += piece.content
        except ProviderFailed:
            return f"broken: {said}"
        return said
    finally:
        await service.close()


@pytest.mark.parametrize(("provider", "case"), CASES)
def test_provider_is_read_as_it_answers(provider: str, case: dict[str, Any]) -> None:
    expect, lines = case["expect"], Lines()
    with chat_endpoint() as endpoint:
        raw = [event.encode() for event in case.get("raw_events", ())]
        events = None if "events" not in case else [*raw, *case["events"], b"data: [DONE]\n\n"]
        endpoint.replies = [Reply(status=case.get("status", 200), document=case.get("reply"), events=events)]
        ask = answered(provider, endpoint.url, lines, is_stream=events is not None)
        if "status" in expect:
            with pytest.raises(LakehouseError) as failed:
                asyncio.run(ask)
            assert failed.value.status == expect["status"]
            assert failed.value.fields.get("provider_status") == expect.get("provider_status")
            assert expect.get("part", "") in failed.value.detail
            return
        said = asyncio.run(ask)
    if "broken" in expect:
        assert said == f"broken: {expect['broken']}"
        assert lines[-1]["status"] == "failed"
        return
    (line,) = lines
    assert (said, line["content"], line["finish_reason"]) == (expect["content"],) * 2 + (expect["finish_reason"],)
    for name in ("cost_usd", "prompt_tokens"):
        if name in expect:
            assert line[name] == expect[name]
    assert len(line["tool_calls"]) == expect.get("tool_calls", 0)
