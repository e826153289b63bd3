"""What says the same, and what does not."""

from __future__ import annotations

import orjson
import pytest

from lakehouse.pathway.content import read_content

TEXT = "Call the welders in Toledo by reliability, then confirm the Monday shift with the client before noon"


def is_near(one: object, other: object) -> bool:
    return read_content(orjson.dumps(one)).wording == read_content(orjson.dumps(other)).wording


@pytest.mark.parametrize(
    "other",
    [
        TEXT.upper() + "!",
        TEXT.replace("the ", ""),
        TEXT.replace("then", "and then please"),
        TEXT.replace("Call", "Calling").replace("shift", "shifts"),
        f"  {TEXT.replace(', ', ' - ')}  ",
    ],
)
def test_case_punctuation_inflection_and_fillers_make_no_difference(other: str) -> None:
    assert is_near(TEXT, other)


@pytest.mark.parametrize(
    "other",
    [
        TEXT.replace("welders", "plumbers"),
        TEXT.replace("before", "after"),
        TEXT.replace("confirm", "never confirm"),
        TEXT + " in 30 minutes",
        TEXT.replace("Toledo", "Akron"),
        {"text": TEXT},
        [TEXT, TEXT],
    ],
)
def test_one_word_that_says_something_does(other: object) -> None:
    assert not is_near(TEXT, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("fill order 1017", "fill order 1018"),
        ("round 0 writer 2 trace 1", "round 0 writer 1 trace 2"),
        ("worker w-17 is late", "worker w-18 is late"),
        ("pay $31.50 an hour", "pay $31.75 an hour"),
        ("move it by -5", "move it by 5"),
        ("Ann calls Bob", "Bob calls Ann"),
        ({"winner": "Ann", "loser": "Bob"}, {"winner": "Bob", "loser": "Ann"}),
        ({"done": True}, {"done": False}),
        ("the", "a"),
    ],
)
def test_numbers_places_and_fields_do(one: object, other: object) -> None:
    assert not is_near(one, other)


def test_fingerprint_is_blind_to_the_order_of_keys_case_and_spaces_alone() -> None:
    base = read_content(b'{"a": "Call first", "b": [1, 2]}')
    assert read_content(b'{"b":[1,2],"a":"call   FIRST"}').fingerprint == base.fingerprint
    assert read_content(b'{"a": "Call first", "b": [2, 1]}').fingerprint != base.fingerprint
    assert read_content(b'{"a": "Call first", "b": [1, 2.5]}').fingerprint != base.fingerprint


def test_words_come_in_their_order_and_numbers_with_their_field() -> None:
    content = read_content(b'{"task": "fill", "n": 3, "ok": true, "none": null, "deep": {"why": ["x", "y"]}}')
    assert content.text == "fill\nn 3\nok true\nx\ny"
