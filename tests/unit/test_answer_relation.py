"""What accepted answers had in common with their tasks: when a field is demanded, and what is shown then."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lakehouse.answer.bundle import Record
from lakehouse.answer.example import Example
from lakehouse.answer.relation import NAME, demanded_fields, demanded_first

KEYS = ("role", "city", "state", "certifications", "status")
CITIES = ("Toledo", "Reno", "Gary", "Akron", "Salem")


def asked_for(city: str, held: str, *, named_holds: str | None = None) -> Example:
    """Who was found in a city: two of three hold what was asked for; the answer names one who does, or another."""
    lines = [
        f"Ann Lee (id 7): role Welder; city {city}; certifications {named_holds or held}, CPR/First Aid",
        f"Bo Kim (id 8): role Welder; city {city}; certifications OSHA-30",
        f"Cy Day (id 9): role Welder; city {city}; certifications {held}",
    ]
    return Example(f"Who in {city} holds {held}?", "\n".join(lines), "Ann Lee (id 7) does.", "who in <city> holds <x>")


def person(record_id: str, name: str, **fields: object) -> Record:
    return Record("workers", record_id, {"name": name, **fields})


FOUND = [
    person("1", "Di Fox", city="Boise", certifications=["OSHA-30"]),
    person("2", "Ed Ray", city="Boise", certifications=["OSHA-10", "AWS D1.1"]),
    person("3", "Flo Orr", city="Mesa", certifications=["AWS D1.1"]),
    person("4", "Gus Lin", city="Boise", certifications=["AWS D1.1"]),
]
TASK = "Who in Boise holds AWS D1.1?"


def test_field_is_demanded_once_four_accepted_answers_named_who_has_what_was_asked_for() -> None:
    examples = [asked_for(city, "AWS D1.1") for city in CITIES]
    assert demanded_fields(examples[:3], KEYS) == frozenset()
    assert demanded_fields(examples[:4], KEYS) == {"city", "certifications"}


def test_field_that_accepted_answers_did_not_heed_is_not_demanded() -> None:
    others = [asked_for(city, "AWS D1.1", named_holds="OSHA-10") for city in CITIES]
    assert demanded_fields(others, KEYS) == {"city"}


def test_one_of_ten_that_differs_does_not_undo_it() -> None:
    examples = [asked_for(city, "AWS D1.1") for city in CITIES * 2][:9]
    assert "certifications" in demanded_fields([*examples, asked_for("Erie", "MIG", named_holds="OSHA-10")], KEYS)


def test_name_is_demanded_where_answers_were_about_the_one_who_was_named() -> None:
    lines = "Ann Lee (id 7): city Toledo\nAnn Leeds (id 8): city Toledo"
    example = Example("What does Ann Lee hold?", lines, "Ann Lee holds OSHA-10.", "what does <name> hold")
    assert NAME in demanded_fields([example] * 4, KEYS)
    found = [person("1", "Ed Raymond"), person("2", "Ed Ray")]
    assert [one.id for one in demanded_first(found, "What does Ed Ray hold?", {NAME})] == ["2"]


def test_answers_that_name_nobody_teach_nothing() -> None:
    example = Example(
        "How many in Toledo are active?", "id 7: city Toledo; status active", "One.", "how many in <city>"
    )
    assert demanded_fields([example] * 9, KEYS) == frozenset()


def test_those_who_have_all_that_is_demanded_are_shown_alone_in_their_order() -> None:
    assert [one.id for one in demanded_first(FOUND, TASK, {"city", "certifications"})] == ["2", "4"]


def test_where_nobody_has_all_those_with_more_come_first_and_nobody_is_left_out() -> None:
    found = [person("5", "Hal Coe", city="Nome"), FOUND[0], FOUND[2]]
    assert [one.id for one in demanded_first(found, TASK, {"city", "certifications"})] == ["1", "3", "5"]


def test_without_demands_or_values_that_the_task_speaks_of_nothing_changes() -> None:
    assert demanded_first(FOUND, TASK, ()) == FOUND
    assert demanded_first(FOUND, "Who is free?", {"city", "certifications"}) == FOUND
    assert demanded_first([], TASK, {"city"}) == []


def test_code_is_no_word() -> None:
    found = [person("1", "Di Fox", state="IN"), person("2", "Ed Ray", state="OH")]
    assert [one.id for one in demanded_first(found, "Who is in Toledo, OH?", {"state"})] == ["2"]


@given(st.text(max_size=80), st.lists(st.sampled_from(FOUND), max_size=6), st.sets(st.sampled_from([*KEYS, NAME])))
def test_what_is_shown_was_found_and_somebody_always_is(task: str, found: list[Record], demanded: set[str]) -> None:
    shown = demanded_first(found, task, demanded)
    assert bool(shown) == bool(found)
    assert all(one in found for one in shown)
