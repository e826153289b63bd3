"""Ranges and conditions of RFC 9110."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lakehouse.errors import BadInput
from lakehouse_api.ranges import RangeNotSatisfiable, is_unchanged, parse_put_condition, parse_range


@given(st.text(max_size=40), st.integers(0, 10_000))
def test_any_header_gives_a_span_within_the_object_or_none(header: str, size: int) -> None:
    span = parse_range(header, size)
    assert span is None or 0 <= span[0] <= span[1] < size


@given(st.integers(0, 10**20), st.integers(0, 10**20), st.integers(0, 10_000))
def test_span_is_what_slicing_would_give(first: int, last: int, size: int) -> None:
    body = bytes(size)
    try:
        span = parse_range(f"bytes={first}-{last}", size)
    except RangeNotSatisfiable:
        assert body[first : last + 1] == b""
        return
    if span is not None:
        assert len(body[first : last + 1]) == span[1] - span[0] + 1


def test_several_etags_and_the_star_match() -> None:
    assert is_unchanged('"a", W/"b"', "b")
    assert is_unchanged("*", "b")
    assert not is_unchanged('"a"', "b")
    assert not is_unchanged(None, "b")


@given(st.one_of(st.none(), st.text(max_size=20)), st.one_of(st.none(), st.text(max_size=20)))
def test_put_condition_is_understood_or_refused(if_match: str | None, if_none_match: str | None) -> None:
    try:
        etag, is_new = parse_put_condition(if_match, if_none_match)
    except BadInput:
        return
    assert is_new == (if_none_match is not None)
    assert (etag is not None) == (if_match is not None)
