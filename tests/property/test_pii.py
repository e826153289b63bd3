"""Phones and mails are found however they are written and wrapped; numbers about them are not taken for them."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from lakehouse.ingest.pii import is_personal

WORDS = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=8)
DIGITS = st.integers(2_000_000_000, 9_999_999_999).map(str)
WRITTEN = st.builds(
    lambda digits, form: form.format(digits[:3], digits[3:6], digits[6:]),
    DIGITS,
    st.sampled_from(["{}-{}-{}", "({}) {}-{}", "{}.{}.{}", "+1 {}-{}-{}", "+1{}{}{}"]),
)
MAILS = st.builds(lambda who, host: f"{who}@{host}.org", WORDS, WORDS)
PERSONAL = st.one_of(WRITTEN, MAILS, st.builds(lambda who, mail: f"{who.title()} <{mail}>", WORDS, MAILS))


def json_list(value: str) -> str:
    return json.dumps([value])


def json_nested(value: str) -> str:
    return json.dumps({"kind": "x", "inner": {"values": [value, "y"], "n": 1}})


def several(value: str) -> str:
    return f"{value}; {value}"


def engine_list(value: str) -> str:
    return f"[{value}, {value}]"


@given(PERSONAL, st.sampled_from([str, json_list, json_nested, several, engine_list]))
def test_written_phones_and_mails_are_found_without_a_name(value: str, wrap: object) -> None:
    assert callable(wrap)
    assert is_personal("value", [wrap(value)] * 3)


@given(DIGITS, st.sampled_from(["phone", "mobile", "PhoneNumber", "work_tel", "fax"]))
def test_bare_digits_are_phones_under_such_a_name_alone(digits: str, name: str) -> None:
    assert is_personal(name, [digits] * 3)
    assert is_personal("value", [json.dumps({name: digits})] * 3)
    assert not is_personal("total", [digits] * 3)
    assert not is_personal(f"{name}_count", [digits] * 3)


@given(st.text(max_size=60))
def test_any_text_is_answered(text: str) -> None:
    assert is_personal("notes", [text, f"[{text}", f"{{{text}}}"]) in (True, False)
