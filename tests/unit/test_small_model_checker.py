"""The exam of bench/small_model.py: its questions stay what they were, and its checker is not taken in."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

from _small_model_checker import Checker, outcomes_of
from _small_model_questions import Drawer, Person, Question, Table, fingerprint, triples

PLACE = ("Welder", "Toledo", "OH")
ANN = Person("101", "Ann Lee", *PLACE, "active", frozenset({"AWS D1.1", "OSHA-10"}))
BEN = Person("102", "Ben Kim", *PLACE, "inactive", frozenset({"OSHA-30"}))
EVE = Person("103", "Eve Fox", "Welder", "Dayton", "OH", "active", frozenset({"AWS D1.1"}))
PEOPLE = {person.id: person for person in (ANN, BEN, EVE)}
TABLE = Table(PEOPLE, {PLACE: [ANN, BEN]}, frozenset({"AWS D1.1", "OSHA-10", "OSHA-30", "Certification of OSHA-10"}))
CHECKER = Checker(TABLE)


def asked(template: str, target: str = "", count: int = 0) -> Question:
    return Question(template, *PLACE, "x", target, count)


def reply(answer: str | None, *, passed: bool = True) -> dict[str, Any]:
    cited = [
        {"id": one.id, "corpus": "workers", "used": answer is not None and one.name in answer}
        for one in PEOPLE.values()
    ]
    note = {"id": "p", "corpus": "pathways", "used": True}
    return {"answer": answer, "citations": [*cited, note], "validation": {"passed": passed}}


@pytest.mark.parametrize(
    ("question", "answer", "is_right"),
    [
        (asked("who.certified", "AWS D1.1"), "Ann Lee (id 101) holds AWS D1.1.", True),
        (asked("who.certified", "AWS D1.1"), "Ann Lee and Eve Fox hold AWS D1.1.", False),  # Eve is in Dayton
        (asked("who.certified", "AWS D1.1"), "A welder in Toledo holds AWS D1.1.", False),  # nobody is named
        (asked("who.certified", "AWS D1.1"), None, False),
        (asked("who.active"), "Ann Lee", True),
        (asked("who.active"), "Ben Kim", False),
        (asked("which.held", "101"), "Ann Lee holds OSHA-10 and aws d1.1.", True),
        (asked("which.held", "101"), "Ann Lee holds OSHA-10.", False),
        (asked("which.held", "101"), "Ann Lee holds OSHA-10, OSHA-30 and AWS D1.1.", False),
        (asked("which.held", "101"), "Ben Kim holds OSHA-10 and AWS D1.1.", False),
        (asked("count.held", "101"), "Ann Lee (id 101) has two certifications: OSHA-10, AWS D1.1.", True),
        (asked("count.held", "101"), "Ann Lee has 10 of 2.", False),
        (asked("count.held", "101"), "Ann Lee has OSHA-10.", False),  # no number
        (asked("count.active"), "1 of the records is active: Ann Lee.", True),
        (asked("count.active"), "There are 2, in Toledo and Dayton.", False),
        (asked("count.active"), "one or two", False),
    ],
)
def test_only_what_the_table_says_is_right(question: Question, answer: str | None, is_right: bool) -> None:
    assert CHECKER.check(question, reply(answer)).is_right is is_right


def test_fill_is_what_the_validator_says_and_refused_ones_are_wrong() -> None:
    assert CHECKER.check(asked("fill.one", count=1), reply("{}")).is_right
    assert not CHECKER.check(asked("fill.one", count=1), reply(None, passed=False)).is_right


def test_outcomes_speak_of_the_people_named_or_of_the_whole() -> None:
    who = asked("who.active")
    both = outcomes_of(who, CHECKER.check(who, reply("Ann Lee or Ben Kim")))
    assert both == [{"answer_id": "101", "success": True}, {"answer_id": "102", "success": False}]
    assert outcomes_of(who, CHECKER.check(who, reply(None))) == [{"success": False}]


def test_sets_are_the_same_every_time_and_share_no_role_and_city() -> None:
    table = Table.of(4096)
    first, second = Drawer(table, "s"), Drawer(table, "s")
    exam, own = first.draw(48), first.draw(16)
    assert fingerprint(exam) == fingerprint(second.draw(48))
    assert fingerprint(exam) != fingerprint(Drawer(table, "t").draw(48))
    assert not {one[:3] for one in triples(exam)} & {one[:3] for one in triples(own)}
    assert {question.kind for question in own} == {"who", "which", "count", "fill"}
