"""What says the same, and what does not."""

from __future__ import annotations

import orjson
import pytest

from lakehouse.errors import BadInput
from lakehouse.pathway.content import read_content

TEXT = "Call the welders in Toledo by reliability, then confirm the Monday shift with the client before noon"


def is_near(one: object, other: object) -> bool:
    return read_content(orjson.dumps(one)).wording == read_content(orjson.dumps(other)).wording


@pytest.mark.parametrize(
    "other",
    [
        TEXT.lower() + "!",
        TEXT.replace("in", "IN").replace("welders", "Welders"),
        TEXT.replace(" ", "\n"),
        TEXT.replace("the ", ""),
        TEXT.replace("then", "and then please"),
        f"  {TEXT.replace(', ', ' - ')}  ",
    ],
)
def test_case_punctuation_spaces_and_fillers_make_no_difference(other: str) -> None:
    assert is_near(TEXT, other)


@pytest.mark.parametrize(
    "other",
    [
        TEXT.replace("welders", "plumbers"),
        TEXT.replace("before", "after"),
        TEXT.replace("confirm", "never confirm"),
        TEXT + " in 30 minutes",
        TEXT.replace("Toledo", "Akron"),
        TEXT.replace("confirm", "confirmed"),
        TEXT + "?",
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
        ("escalate when wait > 5 min", "escalate when wait < 5 min"),
        ("x = y", "x != y"),
        ("hire C++ developers", "hire C# developers"),
        ("pay $50", "pay €50"),
        ("result: ✅", "result: ❌"),
        ("ask the IT department", "ask the department"),
        ("call Will Smith first", "call Smith first"),
        ("use option A", "use option"),
        ("was certified", "will be certified"),
        ("कि", "की"),
        ("是" * 80 + "是", "是" * 80 + "否"),
        ({"door": "aBcD"}, {"door": "AbCd"}),
        ({"avoid": ["x"], "do": ["y", "z"]}, {"avoid": ["x"], "do": ["y"], "z": []}),
        ({"ok": True}, "ok true"),
        ({"a": "x", "b": None}, {"a": "x", "b": "None"}),
        ({"n": 1}, {"n": "1"}),
    ],
)
def test_numbers_places_and_fields_do(one: object, other: object) -> None:
    assert not is_near(one, other)


def test_fingerprint_is_blind_to_the_order_of_names_alone() -> None:
    base = read_content(b'{"a": "Call first", "b": [1, 2]}')
    assert read_content(b'{"b":[1,2],"a":"Call first"}').fingerprint == base.fingerprint
    for other in (b'{"a":"call first","b":[1,2]}', b'{"a":"Call first","b":[2,1]}', b'{"a":"Call first","b":[1,2.0]}'):
        assert read_content(other).fingerprint != base.fingerprint


def test_numbers_are_told_apart_digit_by_digit() -> None:
    one, other = (read_content(b'{"order": 12345678901234567890' + last + b"}") for last in (b"3", b"4"))
    assert one.fingerprint != other.fingerprint
    assert one.wording != other.wording
    assert read_content(b"[0.1]").wording != read_content(b"[0.10000000000000000001]").wording


def test_field_that_is_named_twice_is_refused() -> None:
    with pytest.raises(BadInput, match="'a' twice"):
        read_content(b'{"x": "w", "a": 1, "a": 2}')


def test_nesting_has_a_limit_and_is_refused_by_name() -> None:
    assert read_content(b"[" * 200 + b"1" + b"]" * 200)
    for depth in (201, 300, 900):
        with pytest.raises(BadInput, match="nested deeper"):
            read_content(b"[" * depth + b"1" + b"]" * depth)


def test_words_come_in_their_order_and_numbers_with_their_field() -> None:
    content = read_content(b'{"task": "fill", "n": 3, "ok": true, "none": null, "deep": {"why": ["x", "y"]}}')
    assert content.text == "fill\nn 3\nok true\nx\ny"
