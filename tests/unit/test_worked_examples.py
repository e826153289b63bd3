"""Worked examples: the shape of a task, what of a trace is shown as an earlier turn, and which fields it speaks of."""

from __future__ import annotations

import asyncio
import dataclasses
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.answer.artifact import form_of
from lakehouse.answer.bundle import Record, build_bundle
from lakehouse.answer.config import AnswerConfig
from lakehouse.answer.example import Example, example_of, focused_records, spoken_fields
from lakehouse.answer.preference import preferred_first, preferred_values
from lakehouse.answer.prompt import messages_of, question_of, records_in
from lakehouse.answer.recall import recall_traces
from lakehouse.chat.schema_bounds import check_schema
from lakehouse.chat.token_estimate import estimate_tokens
from lakehouse.pathway.search import Found, PathwaySearch
from lakehouse.pathway.shape import alike, kind_of, shape_of, shape_tag
from lakehouse.pathway.trace import PathwayTrace

WELDER = {"role": "Welder", "city": "Toledo", "state": "OH", "certifications": ["AWS D1.1", "OSHA-10"], "zip": "43604"}
COOK = {"role": "Line Cook", "city": "Reno", "state": "NV", "certifications": ["ServSafe Manager"], "zip": "89501"}
WHO = "which <role> in <city> <state> holds <certifications>"
LINE = "Ann Lee (id 7): certifications AWS D1.1, OSHA-10; role Welder; city Toledo; state OH; zip 43604"
EXAMPLE = Example("Which welder in Toledo, OH holds AWS D1.1?", LINE, "Ann Lee (id 7) holds AWS D1.1.", WHO)
COOKS = Record("workers", "9", {"name": "Bo Kim", **COOK, "skills": ["grill", "prep"]})
TASK = "Which line cook in Reno, NV holds ServSafe Manager?"


def test_same_question_about_others_has_the_same_shape() -> None:
    assert shape_of(EXAMPLE.task, [WELDER]) == WHO
    assert shape_of(TASK, [COOK]) == WHO
    assert shape_of("How many welders are in Toledo, OH?", [WELDER]) == "how many welders are in <city> <state>"


def test_longest_value_gives_its_field_and_parts_of_words_give_none() -> None:
    fields = [{"city": "Reno", "name": "Reno Parker", "state": "NV"}]
    assert shape_of("Is Reno Parker in Reno, NV, or renovating?", fields) == "is <name> in <city> <state> or renovating"


def test_code_in_capitals_is_no_word() -> None:
    fields = [{"city": "Gary", "state": "IN"}]
    assert shape_of("Who is in Gary, IN?", fields) == "who is in <city> <state>"


def test_letters_of_many_cases_break_nothing() -> None:
    assert shape_of("Who is in İzmir?", [{"city": "izmir"}]) == "who is in <value>"


def test_kind_of_answer_is_part_of_the_shape() -> None:
    shape = shape_of("Fill one welder position in Toledo.", [WELDER], kind="fill")
    assert (shape, kind_of(shape)) == ("fill: fill one <role> position in <city>", "fill")
    assert kind_of(WHO) == kind_of("") == ""


def test_task_that_is_too_long_has_no_shape() -> None:
    assert shape_of("word " * 1000, [WELDER]) == ""


def test_alike_is_one_for_the_same_and_falls_with_what_differs() -> None:
    paraphrase = "name a <role> from <city> <state> who holds <certifications>"
    count = "how many of the <role> records have the status <status>"
    assert alike(WHO, WHO) == 1
    assert 1 > alike(WHO, paraphrase) > alike(WHO, count)
    assert alike("", "") == alike(WHO, "") == 0


@given(st.text(max_size=200), st.lists(st.dictionaries(st.text(max_size=8), st.text(max_size=30), max_size=4)))
def test_shape_of_any_task_is_found_again_and_is_like_itself(task: str, found: list[dict[str, str]]) -> None:
    shape = shape_of(task, found)
    assert shape == shape_of(task, list(found))
    assert alike(shape, shape) == (1 if shape.split() else 0)
    assert shape_tag(shape) == shape_tag(shape)


def test_only_whole_examples_are_examples() -> None:
    content = dataclasses.asdict(EXAMPLE)
    assert example_of(content) == EXAMPLE
    assert example_of({**content, "more": 1}) == EXAMPLE
    for other in ({**content, "shape": ""}, {**content, "answer": 7}, {"task": "x", "answer": "y"}, ["x"], "x", None):
        assert example_of(other) is None
    assert example_of({**content, "records": "x" * 5000}) is None


def test_example_speaks_of_the_fields_that_its_task_or_answer_name() -> None:
    keys = ["certifications", "role", "city", "state", "zip", "skills"]
    assert spoken_fields(EXAMPLE, keys) == {"certifications", "role", "city", "state"}
    by_name = Example("How many certifications has Ann Lee?", LINE, "Two.", "how many certifications has <name>")
    assert spoken_fields(by_name, keys) == {"certifications"}


def test_records_of_an_example_are_cut_to_the_fields_that_are_shown() -> None:
    keys = ["certifications", "role", "city", "state", "zip"]
    assert focused_records(EXAMPLE, keys, {"role", "city"}) == "Ann Lee (id 7): role Welder; city Toledo"
    assert focused_records(EXAMPLE, [], set()) == LINE


def test_records_that_the_answer_does_not_name_are_left_out() -> None:
    lines = "\n".join([LINE, "Ben Lee (id 8): role Welder; city Toledo", "id 70: role Welder"])
    several = dataclasses.replace(EXAMPLE, records=lines)
    assert (
        focused_records(several, ["certifications", "zip"], ()) == "Ann Lee (id 7): role Welder; city Toledo; state OH"
    )
    by_id = dataclasses.replace(several, answer='{"candidate_id": "70"}')
    assert focused_records(by_id, [], ()) == "id 70: role Welder"
    assert focused_records(dataclasses.replace(several, answer="Two of them."), [], ()) == lines


def test_prompt_gives_its_records_back() -> None:
    bundle = build_bundle([COOKS, Record("pathways", "p", {"task": "t"}, is_note=True)], TASK, budget_tokens=300)
    assert bundle.notes
    assert records_in(question_of(TASK, bundle), TASK) == bundle.text
    assert not records_in(question_of(TASK, bundle), "another task")
    assert not records_in("no prompt of ours", "ours")


def noted(example: Example = EXAMPLE, uid: str = "p-1") -> Record:
    return Record("pathways", uid, dataclasses.asdict(example), is_note=True, example=example)


def test_example_is_an_earlier_turn_and_records_show_what_mattered() -> None:
    bundle = build_bundle([COOKS, noted()], TASK, budget_tokens=500)
    system, user, answer, question = messages_of("Be brief.", TASK, bundle)
    assert (system["role"], user["role"], answer) == (
        "system", "user", {"role": "assistant", "content": EXAMPLE.answer}
    )  # fmt: skip
    assert user["content"].endswith(f"state OH\n\nQuestion: {EXAMPLE.task}")
    assert "zip" not in question["content"]
    assert "skills" not in question["content"]
    assert question["content"].startswith("Records:\nBo Kim (id 9): ")
    assert "certifications ServSafe Manager" in question["content"]
    assert [record.id for record in bundle.records] == ["9", "p-1"]
    assert "Ann Lee" not in bundle.text, "an example vouches for nobody"


def test_records_of_an_artifact_show_all_until_it_is_known_what_is_preferred() -> None:
    fill = noted(
        dataclasses.replace(EXAMPLE, task="Fill one welder position.", answer="7", shape="fill: fill one <role>")
    )
    task = "Fill one line cook position."
    assert "skills grill, prep" in build_bundle([COOKS, fill], task, budget_tokens=900).text
    focused = build_bundle([COOKS, fill], task, budget_tokens=900, kept=frozenset({"state"}))
    assert focused.text == "Bo Kim (id 9): role Line Cook; state NV"
    assert focused.examples[0].records == "Ann Lee (id 7): role Welder; state OH"


def test_example_without_room_is_dropped_and_records_keep_theirs() -> None:
    bundle = build_bundle([COOKS, noted()], TASK, budget_tokens=120)
    assert (bundle.examples, bundle.dropped) == ((), 1)
    assert "Bo Kim (id 9)" in bundle.text


def test_without_examples_all_fields_are_shown() -> None:
    assert "zip 89501" in build_bundle([COOKS], TASK, budget_tokens=500).text


@given(st.lists(st.text("ab :;,\n", max_size=80), min_size=3, max_size=3), st.integers(0, 400))
def test_examples_never_pass_the_budget(parts: list[str], budget: int) -> None:
    example = Example(*parts, shape="x")
    bundle = build_bundle([COOKS, noted(example), noted(example, "p-2")], TASK, budget_tokens=budget)
    shown = sum(estimate_tokens(f"{e.records}{e.task}{e.answer}") for e in bundle.examples)
    assert estimate_tokens(bundle.text) + shown <= bundle.tokens <= budget
    assert len(bundle.records) + bundle.dropped == 3


def trace(uid: str, content: Any, similarity: float, score: float = 0.5) -> Found:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    return Found(PathwayTrace(uid, orjson.dumps(content).decode(), created_at=at), score, similarity)


class Memory:
    """Pathway memory that finds what it is told to, with and without tags."""

    def __init__(self, by_text: Sequence[Found], by_tag: Sequence[Found] = ()) -> None:
        self._by_text, self._by_tag = by_text, by_tag
        self.asked: list[PathwaySearch] = []

    async def search(self, asked: PathwaySearch) -> list[Found]:
        self.asked.append(asked)
        return list(self._by_tag if asked.tags else self._by_text)[: asked.k]


def recalled(memory: Memory, *, shape: str = WHO, config: AnswerConfig | None = None) -> list[str]:
    recalled = asyncio.run(recall_traces(memory.search, TASK, shape, config or AnswerConfig()))
    return [record.id for record in recalled.traces]


def test_examples_of_the_same_shape_come_before_notes_whatever_they_are_about() -> None:
    same = trace("same", dataclasses.asdict(EXAMPLE), 0.1)
    other = trace("other", dataclasses.asdict(dataclasses.replace(EXAMPLE, shape="count the <role> records")), 0.9)
    note, far = trace("note", {"task": "ask the cooks"}, 0.8), trace("far", {"task": "bake"}, 0.1)
    memory = Memory([note, other, far], [same])
    assert recalled(memory) == ["same", "note"]
    assert memory.asked[1].tags == (shape_tag(WHO),)


def test_example_of_an_artifact_is_shown_for_any_wording_and_for_no_text() -> None:
    fill = dataclasses.replace(EXAMPLE, answer='{"fills": []}', shape="fill: fill one <role> position in <city>")
    memory = Memory([trace("fill", dataclasses.asdict(fill), 0.9)])
    assert recalled(memory, shape="fill: two of our people are wanted") == ["fill"]
    assert recalled(memory, shape="two of our people are wanted") == []


@pytest.mark.parametrize("shape", ["", "something else entirely", "which <role> in <city> <state> is <status>"])
def test_examples_of_other_shapes_stay_away(shape: str) -> None:
    memory = Memory([trace("same", dataclasses.asdict(EXAMPLE), 0.9)])
    assert recalled(memory, shape=shape) == []


FILLS = [
    Example(
        "Fill one welder position.",
        f"Ann{n} Lee (id 1{n}): status active; city Reno\nBen{n} Lee (id 2{n}): status {other}; city Reno",
        f'{{"fills": [{{"candidate_id": "1{n}"}}]}}',
        "fill: fill one <role> position",
    )
    for n, other in enumerate(["active", "inactive", "active"] * 10, 100)
]


def test_value_that_all_who_were_named_share_and_others_do_not_is_preferred() -> None:
    assert preferred_values(FILLS, ["status", "city", "zip"]) == {"status": "active"}
    found = [Record("w", n, {"status": status}) for n, status in (("1", "inactive"), ("2", "active"), ("3", "active"))]
    assert [record.id for record in preferred_first(found, {"status": "active"})] == ["2", "3", "1"]


def test_few_examples_prefer_nothing() -> None:
    assert preferred_values(FILLS[:3], ["status", "city"]) == {}
    assert preferred_values([], ["status"]) == {}
    assert preferred_first([COOKS], {}) == [COOKS]
    unnamed = [dataclasses.replace(example, answer="two") for example in FILLS]
    assert preferred_values(unnamed, ["status"]) == {}


def test_preferences_by_chance_are_rare() -> None:
    draw = random.Random(5)
    wrong = 0
    for _ in range(200):
        examples = [
            dataclasses.replace(
                FILLS[0],
                records="\n".join(
                    f"P{i} (id {i}{i}{i}): status {draw.choice(('active',) * 3 + ('off',))}" for i in (1, 2, 3)
                ),
                answer="id 111",
            )
            for _ in range(20)
        ]
        wrong += bool(preferred_values(examples, ["status"]))
    assert wrong <= 20


def test_fill_proposes_only_those_who_were_shown_each_under_the_own_name() -> None:
    form = form_of("fill", {"target_count": 2}, [("7", "Ann Lee"), ("8", "Bo Kim")])
    assert form is not None
    fills = form["json_schema"]["schema"]["properties"]["fills"]
    assert (fills["minItems"], fills["maxItems"]) == (2, 2)
    pairs = [
        (one["properties"]["candidate_id"]["enum"], one["properties"]["name"]["enum"])
        for one in fills["items"]["anyOf"]
    ]
    assert pairs == [(["7"], ["Ann Lee"]), (["8"], ["Bo Kim"])]
    check_schema(form["json_schema"]["schema"], where="schema")
    assert form_of("playbook", {}, [("7", "Ann Lee")]) == form_of("playbook", {})


def test_word_speaks_of_a_field_whose_name_begins_alike() -> None:
    bundle = build_bundle([COOKS], "Who is certified?", budget_tokens=500)
    assert bundle.text.startswith("Bo Kim (id 9): certifications ServSafe Manager")


def test_example_that_is_too_long_gives_way_to_the_next() -> None:
    long = noted(dataclasses.replace(EXAMPLE, answer="Ann Lee holds AWS D1.1. " * 40), "long")
    bundle = build_bundle(
        [COOKS, long, noted(uid="short"), noted(uid="more")], TASK, budget_tokens=500, most_examples=1
    )
    assert [record.id for record in bundle.records] == ["9", "short"]
    assert (bundle.examples[0].answer, bundle.dropped) == (EXAMPLE.answer, 0)
