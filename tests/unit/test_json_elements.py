"""Elements of a JSON document: each as it stands, in little memory, and the line of what is no JSON."""

from __future__ import annotations

import io
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.ingest import json_elements
from lakehouse.ingest.json_elements import BadDocument, Element, read_elements

MOST = 1 << 20


def read(text: str, most: int = MOST) -> list[Element]:
    return list(read_elements(io.StringIO(text, newline=""), most_characters=most))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[]", []),
        (" \n[\r\n ] \n", []),
        ('\ufeff[{"a": 1.50},\n 2,"]",\nnull]', [(1, '{"a": 1.50}'), (2, "2"), (2, '"]"'), (3, "null")]),
        ('{"a":\n[1,\r\n2]}', [(1, '{"a": [1,  2]}')]),
        ("123456789012345678901234567890", [(1, "123456789012345678901234567890")]),
        ("[1e400]", [(1, "1e400")]),
        (f"[{'9' * 5000}]", [(1, "9" * 5000)]),
        ('["\\ud800"]', [(1, '"\\ud800"')]),
    ],
)
def test_elements_are_given_as_they_stand(text: str, expected: list[tuple[int, str]]) -> None:
    assert [(element.line, element.text) for element in read(text)] == expected


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("", 1, "ends before its last bracket"),
        ("[1,\n2", 2, "ends before its last bracket"),
        ("[1,\n2,", 2, "ends before its last bracket"),
        ('[{"a": 1},\n {]', 2, "Expecting property name"),
        ("[1 2]", 1, "'2' where a comma"),
        ("[1,]", 1, "Expecting value"),
        ("[1]\n\nx", 3, "'x' after the end"),
        ("[NaN]", 1, "NaN is not JSON"),
        ("[-Infinity]", 1, "-Infinity is not JSON"),
        ('["a\nb"]', 1, "Invalid control character"),
        ("[" * 100_000, 1, "nested too deep"),
        ('["' + "x" * 3000 + '"]', 1, "an element of more than 1,000 characters"),
    ],
)
def test_what_is_no_json_is_refused_with_its_line(
    text: str, line: int, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_elements, "WINDOW_CHARACTERS", 64)
    with pytest.raises(BadDocument, match=reason) as refused:
        read(text, most=1000 if "more than" in reason else MOST)
    assert refused.value.line == line


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(values=st.lists(VALUES, max_size=12), indent=st.sampled_from([None, 0, 3]), is_ascii=st.booleans())
def test_any_document_is_its_elements_whatever_the_window(
    values: list[Any], indent: int | None, is_ascii: bool
) -> None:
    text = json.dumps(values, indent=indent, ensure_ascii=is_ascii)
    for window in (1, 7, 40):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(json_elements, "WINDOW_CHARACTERS", window)
            elements = read(text)
        assert [json.loads(element.text) for element in elements] == values
        assert not any("\n" in element.text for element in elements)


def test_memory_does_not_grow_with_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_elements, "WINDOW_CHARACTERS", 1 << 14)
    text = io.StringIO("[" + '{"a":1},' * 200_000 + "{}]")  # 1.6 million characters
    tracemalloc.start()
    try:
        count = sum(1 for _ in read_elements(text, most_characters=MOST))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 200_001
    assert peak < 1 << 20
