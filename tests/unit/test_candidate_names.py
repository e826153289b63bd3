"""Whom a text names: the candidate, nobody, or somebody else."""

from __future__ import annotations

import pytest

from lakehouse.validation.names import is_same_name, names_candidate, other_person

CANDIDATE = "Maria Lopez"
SOMEBODY_ELSE = [
    "Hello Sam Hu, We have",
    "Hi Sam,",
    "hi sam,",
    "Dear Mr. Hu,",
    "Hi Maria and Sam,",
    "Hello Sam we have a shift",
    "The candidate: Sam Hu is here",
    "Good morning Sam!\nshift",
    "Shift\nHi Sam Hu - shift",
    "Dear Dr Hu\nHello",
    "hey Sam Hu",
    "Hi Sam!",
    "Dear Sam:",
    "Good afternoon Mr. Hu",
    "Hello, Sam!",
    "Hi Sam – shift",
    "Hi Sam & Maria",
    "hello sam",
    "Hi Samuel",
    "Dear Mario,",
    "Hi Maria Garcia,",
    "Hi Sam we have a shift",
    "Subject\nHi Sam,",
]
CANDIDATE_OR_NOBODY = [
    "Hello Maria Lopez, We have",
    "Hi Maria,",
    "hi maria,",
    "Dear Ms. Lopez,",
    "Hi there, we",
    "Hello team,",
    "Hi all,",
    "Hello everyone",
    "Hi María,",
    "Dear Candidate,",
    "Hi Maria We have a shift",
    "We have a shift",
    "Welcome to Acme Staffing",
    "Hello, We have a shift",
    "Hi! We have a shift",
    "Hello from Acme",
    "Good morning, Maria",
    "Hi Maria L., shift",
    "Hi M. Lopez,",
    "hello again,",
    "Dear Hiring Manager,",
    "Hi Monday crew,",
    "Ask Sam Smith at the gate",
    "candidate is required",
    "Hello We have",
    "Hi, this is Bob from Acme.",
    "Good day Maria-Lopez!",
    "Hello Toledo team,",
    "Hello, Acme Staffing here.",
    "Hello, Overtime available Saturday",
    "Dear Future Employee,",
    "Hi, Friday shift available",
    "Good morning Maria, it's Sam",
    "Hi Maria! Sam here",
    "Dear Maria Lopez:",
    "Hello Ms. Maria Lopez",
    "HI MARIA,",
    "Hello MARIA LOPEZ",
    "Hi maria we have a shift",
    "Hola María:",
    "Hey, Maria!",
    "Welcome aboard, Maria!",
    "Hi Maria/Team,",
    "Greetings,\nMaria",
    "To whom it may concern,",
    "Hi,\n\nWe have a shift",
    "Hello\nWe have",
    "Dear Warehouse Associate,",
    "Hello Electricians!",
    "Hi! Are you free?",
    "Hi 👋 Maria,",
    "Hello <b>Maria</b>,",
]


@pytest.mark.parametrize("text", SOMEBODY_ELSE)
def test_somebody_else_is_found(text: str) -> None:
    assert other_person(text, CANDIDATE, []) is not None


@pytest.mark.parametrize("text", CANDIDATE_OR_NOBODY)
def test_candidate_or_nobody_passes(text: str) -> None:
    assert other_person(text, CANDIDATE, ["Sam Hu"]) is None


@pytest.mark.parametrize("text", ["Shift for Sam Hu's team", "shift for SÁM HU", "Sam\u200b Hu is in", "ask Sam  Hu"])
def test_name_of_somebody_else_is_found_anywhere(text: str) -> None:
    assert other_person(text, CANDIDATE, ["Sam Hu"]) == "Sam Hu"
    assert other_person(text, None, ["Sam Hu"]) == "Sam Hu"


def test_name_within_the_candidates_own_is_the_candidates() -> None:
    assert other_person("a shift for Ana Maria Lopez", "Ana Maria Lopez", ["Maria Lopez"]) is None
    assert other_person("a shift for Maria Lopez", "Ana Maria Lopez", ["Maria Lopez"]) == "Maria Lopez"
    assert other_person("a shift for Maria Lopez", "Maria Lopez", ["Maria Lopez"]) is None


def test_short_form_is_the_candidate() -> None:
    assert other_person("Hi Bill,", "William Gates", []) is None
    assert other_person("Hi Bob,", "William Gates", []) == "Bob"


def test_name_in_another_script_counts() -> None:
    assert other_person("Hi 王伟,", "李娜", []) == "王伟"
    assert other_person("Hi 李娜,", "李娜", []) is None


def test_without_a_candidate_nobody_is_somebody_else() -> None:
    assert other_person("Hello Sam Hu,", None, []) is None


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("Maria Lopez", "maria  LÓPEZ"),
        ("Lopez, Maria", "Maria Lopez"),
        ("Maria J. Lopez", "Maria Lopez"),
        ("Li Na", "na li"),
    ],
)
def test_names_of_one_person_are_the_same(name: str, other: str) -> None:
    assert is_same_name(name, other)


@pytest.mark.parametrize(
    ("name", "other"), [("Maria Lopez", "Maria"), ("Maria Lopez", "Mario Lopez"), ("", ""), ("A", "B"), ("-", "-")]
)
def test_names_of_two_people_differ(name: str, other: str) -> None:
    assert not is_same_name(name, other)


def test_candidate_is_named_by_any_of_the_names() -> None:
    assert names_candidate("Shift for Lopez", CANDIDATE)
    assert not names_candidate("We have a shift", CANDIDATE)


@pytest.mark.parametrize("piece", ["hi ", "\n", "Hi A", "candidate is ", "candidate: Aa", ". Dear Sam"])
def test_long_hostile_text_is_read_once(piece: str) -> None:
    other_person(piece * (50_000 // len(piece)), CANDIDATE, ["Sam Hu"] * 1000)
