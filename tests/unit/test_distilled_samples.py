"""Gates that look at one sample alone, and the forms of samples."""

from __future__ import annotations

import contextlib
import itertools
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from lakehouse.distillation import openai_form
from lakehouse.distillation.known_names import KnownNames
from lakehouse.distillation.length import count_tokens
from lakehouse.distillation.licence import grant_of
from lakehouse.distillation.messages import number_calls, read_input, read_output, without_tail
from lakehouse.distillation.pairs import part_runs
from lakehouse.distillation.parameters import CorpusParameters, corpus_parameters, read_parameters
from lakehouse.distillation.refusal import Refused, RefusedSample
from lakehouse.distillation.scrub import scrub_sample, second_look
from lakehouse.distillation.shape import check_conversation, read_tools
from lakehouse.errors import BadInput
from lakehouse.validation.card_numbers import card_spans, has_check_digit
from lakehouse.validation.personal import personal_data
from lakehouse.validation.personal_spans import personal_spans

ASKED = {"role": "user", "content": "Who can start?"}
SYSTEM = {"role": "system", "content": "You fill shifts."}


def said(text: str | None, *calls: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **({"tool_calls": list(calls)} if calls else {})}


def call(given: str, name: str = "find", arguments: str = '{"day":"Monday"}') -> dict[str, Any]:
    return {"id": given, "type": "function", "function": {"name": name, "arguments": arguments}}


def told(given: str, content: str = "3 workers") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": given, "name": "find", "content": content}


TOOL = {"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}
GOOD = [SYSTEM, ASKED, said(None, call("call_1")), told("call_1"), said("Three can.")]


def test_conversation_of_calls_and_answers_passes() -> None:
    check_conversation(GOOD, [TOOL])
    check_conversation(GOOD[:3], None)  # the last message may be a call
    check_conversation(
        [ASKED, said("", call("call_1"), call("call_2")), told("call_2"), told("call_1"), said("ok")], None
    )


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([], "no answer of the assistant"),
        ([ASKED], "no answer of the assistant"),
        ([SYSTEM, said("Hello")], "nobody asks"),
        ([ASKED, SYSTEM, said("Yes")], "within the conversation"),
        ([ASKED, said(None, call("call_1")), said("Yes")], "has no answer"),
        ([ASKED, said(None, call("call_1")), ASKED, said("Yes")], "has no answer"),
        ([ASKED, told("call_1"), said("Yes")], "was not made"),
        ([ASKED, said(None, call("call_1")), told("call_2"), said("Yes")], "was not made"),
        ([ASKED, said("  ")], "message of the assistant is empty"),
        ([{"role": "user", "content": ""}, said("Yes")], "message of the user is empty"),
        ([ASKED, said(None, call("call_1", arguments="{"))], "no JSON object"),
        ([ASKED, said(None, call("call_1", arguments="[1]"))], "no JSON object"),
        ([ASKED, said(None, call("call_1", name="find it"))], "other characters"),
        ([ASKED, said(None, call("call_1", name="other"))], "not among those described"),
    ],
)
def test_conversation_that_trainers_refuse_is_refused(messages: list[dict[str, Any]], reason: str) -> None:
    with pytest.raises(Refused, match=reason) as refused:
        check_conversation(messages, [TOOL])
    assert refused.value.gate == "shape"


@pytest.mark.parametrize("tools", [{}, "find", [1], [{"type": "function"}], [{"type": "function", "function": {}}]])
def test_tools_without_names_are_refused(tools: Any) -> None:
    if tools == {}:
        assert read_tools(tools) is None
    else:
        with pytest.raises(Refused, match="described as functions"):
            read_tools(tools)


def test_texts_and_arrays_become_messages() -> None:
    assert read_input("Who?", "chat_calls") == [{"role": "user", "content": "Who?"}]
    assert read_input("[1, 2]", "chat_calls") == [{"role": "user", "content": "[1, 2]"}]
    assert read_input(
        '[{"role":"developer","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]', "x"
    ) == [{"role": "system", "content": "ab"}]
    assert read_output('"quoted"', "workflow_nodes") == [said("quoted")]
    assert read_output('"quoted"', "chat_calls") == [said('"quoted"')]
    listed = json.dumps([{"id": "x", "function": {"name": "find", "arguments": {"a": 1}}}])
    assert read_output(listed, "chat_calls") == [said(None, call("x", arguments='{"a":1}'))]


@pytest.mark.parametrize(
    "text", ['[{"role":"robot","content":"a"}]', '[{"role":"user","content":[{"type":"image_url"}]}]']
)
def test_messages_that_are_no_text_are_refused(text: str) -> None:
    with pytest.raises(Refused):
        read_input(text, "chat_calls")


def test_calls_are_numbered_so_that_runs_can_be_compared() -> None:
    one = number_calls([ASKED, said(None, call("abc"), call("def")), told("def"), told("abc")])
    other = number_calls([ASKED, said(None, call("xyz"), call("uvw")), told("uvw"), told("xyz")])
    assert one == other
    assert [message["tool_call_id"] for message in one[2:]] == ["call_2", "call_1"]
    nameless = number_calls([ASKED, said(None, call("")), told("")])
    assert nameless[2]["tool_call_id"] == "call_1"


def test_what_follows_the_last_answer_is_left_out() -> None:
    assert without_tail([ASKED, said("Yes"), ASKED]) == [ASKED, said("Yes")]
    assert without_tail([ASKED]) == []


def test_pair_begins_where_runs_part() -> None:
    begin = [said(None, call("a")), told("a")]
    other = [said(None, call("b")), told("b")]
    pair = part_runs([SYSTEM, ASKED], [*begin, said("Three."), ASKED], [*other, said("None.")])
    assert [m["role"] for m in pair.prompt] == ["system", "user", "assistant", "tool"]
    assert (pair.chosen, pair.rejected) == ([said("Three.")], [said("None.")])


def test_pair_that_parts_at_a_users_message_begins_at_the_answer_before() -> None:
    one = [said("When?"), {"role": "user", "content": "Monday"}, said("Yes")]
    other = [said("When?"), {"role": "user", "content": "Tuesday"}, said("No")]
    pair = part_runs([ASKED], one, other)
    assert (pair.prompt, pair.chosen, pair.rejected) == ([ASKED], one, other)
    assert openai_form.preference_row(pair.prompt, pair.chosen, pair.rejected, None) is None


@pytest.mark.parametrize(
    ("one", "other", "reason"),
    [
        ([said("Yes")], [said(" yes ")], "the same"),
        ([said("Yes")], [], "one side has no answer"),
        ([ASKED], [said("Yes")], "one side has no answer"),
    ],
)
def test_sides_that_are_no_pair_are_refused(one: list[Any], other: list[Any], reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        part_runs([ASKED], one, other)


def test_lengths_count_texts_calls_and_tools() -> None:
    assert count_tokens([ASKED]) < count_tokens(GOOD) < count_tokens(GOOD, [TOOL])


def test_licences_come_from_the_line_or_the_platform() -> None:
    parameters = corpus_parameters("sft")
    assert grant_of("chat_calls", {"licence": "MIT"}, parameters).licence == "proprietary"
    assert grant_of("agent_trajectories", {"licence": "MIT", "source": "tau"}, parameters).source == "tau"
    for stream, metadata, allowed in [
        ("agent_trajectories", {"licence": "", "source": "tau"}, parameters),
        ("agent_trajectories", {"licence": "MIT"}, parameters),
        ("chat_calls", {}, corpus_parameters("sft", own_licence=None)),
        ("chat_calls", {}, corpus_parameters("sft", licences=("MIT",))),
    ]:
        with pytest.raises(Refused) as refused:
            grant_of(stream, metadata, allowed)
        assert refused.value.gate == "licence"


def test_same_value_is_the_same_placeholder_everywhere_in_a_sample() -> None:
    names = KnownNames(["Jane Doe"])
    asked = {"role": "user", "content": "I am jane doe, jane@x.org or JANE@x.org, (415) 555-0132. Jane will call."}
    answer = said(
        "Thanks Jane!", call("call_1", arguments='{"phone":"4155550132","mail":"b\\u0040y.org","n":4111111111111111}')
    )
    (prompt, made), tools, counts = scrub_sample([[asked], [answer]], [TOOL], names)
    assert prompt[0]["content"] == "I am [NAME_1], [EMAIL_1] or [EMAIL_1], [PHONE_1]. [NAME_1] will call."
    assert made[0]["content"] == "Thanks [NAME_1]!"
    arguments = json.loads(made[0]["tool_calls"][0]["function"]["arguments"])
    assert arguments == {"phone": "[PHONE_1]", "mail": "[EMAIL_2]", "n": "[CARD_1]"}
    assert tools == [TOOL]
    assert counts == {"email": 3, "phone": 2, "name": 3, "card": 1}


def test_placeholders_that_are_there_are_not_given_again() -> None:
    (made,), _, _ = scrub_sample([[{"role": "user", "content": "[EMAIL_3] and a@b.org"}]], None, None)
    assert made[0]["content"] == "[EMAIL_3] and [EMAIL_4]"


@pytest.mark.parametrize(
    "text", ["mail jane%40x.org", "mail jane&#64;x.org", "mail jane\\u0040x.org", "jane<b>@x.org</b>"]
)
def test_personal_data_that_cannot_be_cut_out_refuses_the_sample(text: str) -> None:
    with pytest.raises(Refused, match="email") as refused:
        scrub_sample([[{"role": "user", "content": text}]], None, None)
    assert refused.value.gate == "personal"
    assert "jane" not in refused.value.reason


def test_scrubbing_finds_what_published_recognizers_find(shared_data: Path) -> None:
    for file in ("presidio_email", "presidio_phone", "presidio_us_ssn"):
        for line in (shared_data / "validation" / f"{file}.jsonl").read_text().splitlines():
            text = json.loads(line)["text"]
            if not personal_data(text):
                continue
            (made,), _, _ = scrub_sample([[{"role": "user", "content": text}]], None, None)
            assert second_look(made[0]["content"], None) == set(), text


def test_names_are_found_whatever_case_and_accents() -> None:
    names = KnownNames(["José García", "Jane", "Ann Lee Smith", "Ann Lee"])
    text = "jose  garcia met ann lee smith; Jane stayed"
    assert [text[s.start : s.end] for s in names.spans(text)] == ["jose  garcia", "ann lee smith"]
    assert KnownNames(["A B", "C D"]).fingerprint == KnownNames(["c d", "a b", "x"]).fingerprint


def test_cards_have_the_right_check_digit() -> None:
    for text, count in [
        ("4111 1111 1111 1111", 1), ("4111-1111-1111-1112", 0), ("378282246310005", 1), ("order 6011111111111117.", 1),
        ("4111111111111111.5", 0), ("0.4111111111111111", 0), ("id-4111111111111111", 0),
    ]:  # fmt: skip
        assert len(list(card_spans(text))) == count, text
    assert has_check_digit("79927398713")
    assert not has_check_digit("79927398710")


def test_spans_do_not_overlap_and_point_into_the_text() -> None:
    text = "ｊane@x.org, 12 Main Street, ssn １２３-45-6789, +1 (415) 555-0132"
    spans = personal_spans(text)
    assert [s.kind for s in spans] == ["email", "street", "ssn", "phone"]
    assert text[spans[0].start : spans[0].end] == "ｊane@x.org"
    assert all(a.end <= b.start for a, b in itertools.pairwise(spans))


def test_quarantine_never_names_a_person() -> None:
    line = json.loads(RefusedSample("0" * 32, "run/jane@x.org", "personal", "because").to_line())
    assert line["run_id"].startswith("sha256:")
    assert json.loads(RefusedSample("0" * 32, "run/1", "shape", "because").to_line())["run_id"] == "run/1"


def test_parameters_survive_json_and_say_what_is_wrong() -> None:
    parameters = corpus_parameters("preference", sources=("b", "a", "b"), seed=3)
    assert parameters.sources == ("a", "b")
    assert parameters.limit_per_task == 8
    assert read_parameters(json.loads(json.dumps(parameters.to_document()))) == parameters
    for wrong in [
        {"kind": "dpo"}, {"kind": "sft", "score_floor": "partially_accepted"}, {"kind": "sft", "max_tokens": 0},
        {"kind": "sft", "split_shares": [0.5, 0.6, 0]}, {"kind": "sft", "near_duplicate": 0.2},
        {"kind": "sft", "leakage": 2},
        {"kind": "sft", "date_from": "2026-02-02", "date_to": "2026-01-01"}, {"kind": "sft", "date_from": "today"},
        {"kind": "sft", "limit_per_task": 0}, {"kind": "sft", "sources": "chat_calls"}, {"kind": "sft", "colour": 1},
        {"kind": "rag", "chunk_tokens": 0},
    ]:  # fmt: skip
        with pytest.raises(BadInput):
            read_parameters(wrong)


@pytest.mark.parametrize("value", [None, True, 1, 1.5, "", "1", [], [1], [[]], {}, {"a": 1}, 10**30, float("inf")])
def test_parameter_of_any_json_value_is_taken_or_refused(value: Any) -> None:
    for field in fields(CorpusParameters):
        with contextlib.suppress(BadInput):
            read_parameters({"kind": "sft", field.name: value})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"max_tokens": "512"}, "corpus parameter max_tokens is '512'; it must be a whole number"),
        ({"is_scrubbed": 0}, "corpus parameter is_scrubbed is 0; it must be true or false"),
        ({"leakage": None}, "corpus parameter leakage is None; it must be a number"),
        ({"entities": [1]}, "corpus parameter entities is (1,); it must be a list of texts"),
    ],
)
def test_parameter_says_what_it_must_be(given: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput) as refused:
        read_parameters({"kind": "sft", **given})
    assert refused.value.detail == said
