"""Whom an answer may name: forms of names and ids that were not shown are found, those that were are let out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.adapters.name_lists import common_names, names_with
from lakehouse.answer.grounding import ungrounded
from lakehouse.answer.names import NameLists

SHOWN = """Mary-Jane O'Neil (id 102): role Welder
John Smith (id 101): role Welder; city Columbus
Maria Lopez (id 100): role Electrician; state OH"""
TASK = "Who is an electrician in Ohio?"
IDS = ["100", "101", "102"]


def check(answer: str, lists: NameLists | None = None, task: str = TASK) -> str | None:
    return ungrounded(answer, shown=SHOWN, task=task, ids=IDS, lists=lists or common_names())


@pytest.mark.parametrize(
    "name",
    [
        "Robert Miller", "ROBERT MILLER", "R. Miller", "R.J. Miller", "Robert J. Miller", "Robert J Miller",
        "Robert\nMiller", "Robert  Miller", "Robert\tMiller", "**Robert** **Miller**", "Robert_Miller", "Robert-Miller",
        "Robert/Miller", "Robert, Miller", "Miller, Robert", "Miller Robert", "| Robert | Miller |",
        "Robert Miller's", "Robert Miller’s", "Robert&nbsp;Miller", "<b>Robert</b> <i>Miller</i>", "'Robert' 'Miller'",
        "Robert\u200bMiller", "Robert\u2009Miller", "Robert\u202fMiller", "Rob\u00adert Miller", "R\u043ebert Miller",
        "Ｒｏｂｅｒｔ Ｍｉｌｌｅｒ",
        'Robert "Bob" Miller', "Robert (Bob) Miller", "Robert de la Cruz", "robert de garcia",
        "Senior Lead Site Electrician Robert Garcia", "Mr. Miller", "Mr.Miller", "MR. MILLER", "Professor Miller",
        "Aisha Khan", "Wei Zhang", "Nguyen Van Minh", "Priya Sharma", "Oluwaseun Adeyemi", "Dmitri Petrov",
        "Mohammed Ali", "Maria Garcia", "Maria Lopez Garcia", "John Lopez", "Robert.Garcia@example.com",
    ],
)  # fmt: skip
def test_person_who_was_not_shown_is_found(name: str) -> None:
    assert check(f"The one to call is {name} today.") is not None


@pytest.mark.parametrize(
    "said",
    [
        "worker 1017", "id 1017", "ID: 1017", "id=1017", "(id 1017)", "worker #1017", "Worker No. 1017",
        "worker number 1017", "#1017", "badge 1017", "W-1017", "Workers 1017 and 1018", "ids: 100, 999",
        "id 100 and 999", "worker_id=1017", "worker-1017", "ID number 1017", "id １０１７", "id\n1017", "id 10", "id 1",
        "id 00100", "id **1017**", "id `1017`", "id (1017)", "id: “1017”", "[4]", "[99]", "[0]", "[1, 9]", "[1017]",
        "record 1017",
    ],
)  # fmt: skip
def test_id_that_was_not_shown_is_found(said: str) -> None:
    assert check(f"It is {said}.") is not None


@pytest.mark.parametrize(
    "answer",
    [
        "Maria Lopez (id 100) is an electrician in Ohio.", "Maria Lopez's shift", "Maria Lopez’s shift", "MARIA LOPEZ",
        "maria lopez", "Lopez, Maria", "Maria J. Lopez", "M. Lopez", "John Smith, a Welder", "Mary Jane O'Neil",
        "Mary-Jane O’Neil", "Mr. Smith", "Ms. Lopez", "Virginia Beach", "Austin Texas", "Jackson Mississippi",
        "Carson City", "April Monday", "San Jose", "Will Call", "Grace Period", "May I Help", "A worker 40 hours",
        "Dear Maria,\nWelcome. Best Regards", "Sunday June 5", "WAN Engineer", "Sales Representative", "[1]",
        "It takes 100 or 101.", "OSHA-30 and NFPA 70E", "Grant Writer",
    ],
)  # fmt: skip
def test_what_was_shown_and_what_is_nobody_is_let_out(answer: str) -> None:
    assert check(answer) is None


def test_long_answer_is_refused_as_a_whole() -> None:
    assert "too many" in (check("Maria Lopez. " * 5000) or "")


def test_names_of_the_workers_themselves_are_known() -> None:
    class Workers:
        given = frozenset({"zyxwv"})
        family = frozenset({"qwert"})

    assert check("Call zyxwv qwert.") is None
    assert check("Call zyxwv qwert.", names_with(Workers())) is not None


def test_person_of_the_task_may_be_named() -> None:
    assert check("Robert Miller was not found.", task="Is Robert Miller an electrician?") is None


@given(st.text(max_size=300))
def test_any_text_is_read(answer: str) -> None:
    check(answer)


@pytest.mark.parametrize(
    "piece", ["Robert ", "id ", "#1, ", "[1,", "R. ", "worker 100 and ", "'s ", "<", "(Bob) ", "&"]
)
def test_long_hostile_text_is_read_once(piece: str) -> None:
    check(piece * (20_000 // len(piece)))


@pytest.mark.parametrize("form", ["{} (id {})", "{}, id {}", "{} (worker id: {})", "{} ID #{}", "{}\n(id {})"])
def test_name_with_the_id_of_another_record_is_found(form: str) -> None:
    assert check(f"Call {form.format('Maria Lopez', '100')}.") is None
    told = check(f"Call {form.format('Maria Lopez', '101')}.")
    assert told is not None
    assert "'Maria Lopez' the id '101'" in told


def test_two_people_of_one_name_may_have_either_id() -> None:
    shown = f"{SHOWN}\nMaria Lopez (id 103): role Cook"
    for record_id, is_hers in (("100", True), ("103", True), ("102", False)):
        said = ungrounded(
            f"Maria Lopez (id {record_id}) can.", shown=shown, task=TASK, ids=[*IDS, "103"], lists=common_names()
        )
        assert (said is None) is is_hers
