"""Words that must go: found whole, in any case, within JSON within JSON; and blotted out so that JSON stays JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.adapters.words import BLOT, Words


@pytest.mark.parametrize(
    ("text", "is_in"),
    [
        ("hi ana  RUIZ!", True),
        ("banana ruiz", False),
        (json.dumps({"t": "\nAna Ruiz"}), True),
        (json.dumps({"run_id": 'a/b"c'}), True),
        (json.dumps({"payload": json.dumps({"tags": ["run:x.1"]})}), True),
        ('"x.12"', False),
        ('"xy1"', False),
    ],
)
def test_subject_and_runs_are_found_as_wholes(text: str, is_in: bool) -> None:
    words = Words("Ana Ruiz", ['a/b"c', "x.1"])
    assert words.are_in([text, text.encode()]) == [is_in, is_in]


def test_no_texts_and_no_words_are_no_error() -> None:
    assert Words("Ana Ruiz").are_in([]) == []
    assert Words(None).are_in(["Ana Ruiz"]) == [False]
    assert Words(None).blotted("Ana Ruiz") == "Ana Ruiz"


# What a later Unicode than Python's has made a letter is none of the characters around a word, either.
_AROUND = st.text(st.characters(exclude_categories=["L", "N", "M", "Cn", "Cs"], exclude_characters="_\\"), max_size=4)


@given(_AROUND, _AROUND, st.sampled_from(["Ana Ruiz", "ANA\nruiz", "ana\u00a0Ruiz"]))
def test_blotted_json_is_the_same_json_without_the_words(before: str, behind: str, spoken: str) -> None:
    words = Words("Ana Ruiz")
    document = {"a": f"{before}{spoken}{behind}", "b": [f"{spoken} {spoken}", 7]}
    for text in (json.dumps(document), json.dumps(document, ensure_ascii=False)):
        blotted = json.loads(words.blotted(text))
        assert blotted == {"a": f"{before}{BLOT}{behind}", "b": [f"{BLOT} {BLOT}", 7]}
