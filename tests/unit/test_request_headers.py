"""Headers of a request: the first of a name counts, and a body is announced by its length or its encoding."""

from __future__ import annotations

import pytest

from lakehouse_api.request_headers import body_length, has_body, header


def test_the_first_header_of_a_name_counts() -> None:
    scope = {"headers": [(b"host", b"a"), (b"authorization", b"Bearer 1"), (b"authorization", b"Bearer 2")]}
    assert header(scope, b"authorization") == "Bearer 1"
    assert header(scope, b"host") == "a"
    assert header(scope, b"origin") is None


def test_bytes_beyond_ascii_are_read_as_latin_1() -> None:
    assert header({"headers": [(b"x-task-id", b"caf\xe9")]}, b"x-task-id") == "café"


@pytest.mark.parametrize(
    ("headers", "is_announced"),
    [
        ([], False),
        ([(b"content-length", b"0")], False),
        ([(b"content-length", b"")], False),
        ([(b"content-length", b"3")], True),
        ([(b"transfer-encoding", b"chunked")], True),
        ([(b"content-length", b"0"), (b"transfer-encoding", b"chunked")], True),
    ],
)
def test_a_body_is_announced(headers: list[tuple[bytes, bytes]], is_announced: bool) -> None:
    assert has_body({"headers": headers}) is is_announced


@pytest.mark.parametrize(
    ("text", "length"),
    [
        (None, None), ("", None), ("+5", None), ("5 ", None), ("5", 5), ("005", 5), ("0", 0),
        ("0" * 5000, 0), ("0" * 5000 + "42", 42), ("9" * 5000, int("9" * 100)),
    ],
)  # fmt: skip
def test_length_is_read_whatever_stands_in_front(text: str | None, length: int | None) -> None:
    assert body_length(text) == length
