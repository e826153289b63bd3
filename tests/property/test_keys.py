"""The key policy: what it refuses and names, and that nothing it passes can climb out of the bucket."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.errors import BadInput
from lakehouse.storage.keys import check_key, is_user_writable


@pytest.mark.parametrize(
    ("key", "rule"),
    [
        ("", "must not be empty"),
        ("a" * 1025, "at most 1024 bytes"),
        ("ä" * 513, "at most 1024 bytes"),
        ("a\x00b", "NUL"),
        ("a\nb", "control characters"),
        ("a\rb", "control characters"),
        ("a\tb", "control characters"),
        ("a\x7fb", "control characters"),
        ("a\x85b", "control characters"),
        ("a\\b", "backslash"),
        ("/a", "start with '/'"),
        ("a//b", "empty component"),
        ("a/", "empty component"),
        ("a/./b", "'.' or '..'"),
        ("../a", "'.' or '..'"),
        ("a/..", "'.' or '..'"),
        ("a/" + "b" * 256, "at most 255 bytes"),
        ("a\ud800", "valid UTF-8"),
    ],
)
def test_refused_key_names_the_rule(key: str, rule: str) -> None:
    with pytest.raises(BadInput) as caught:
        check_key(key)
    assert rule in caught.value.detail


@pytest.mark.parametrize("key", ["files/a", "files/Ünïcode/x.csv", "a" * 255, "files/a b+c%20d", "files/..a/b.."])
def test_ordinary_key_passes_unchanged(key: str) -> None:
    assert check_key(key) == key


@given(st.text(min_size=1, max_size=80))
def test_key_that_passes_has_only_plain_components(key: str) -> None:
    try:
        check_key(key)
    except BadInput:
        return
    assert not any(part in ("", ".", "..") for part in key.split("/"))
    assert "\\" not in key
    assert key.isprintable() or all(ord(c) >= 0x20 for c in key)
    assert len(key.encode()) <= 1024


@given(st.lists(st.sampled_from(["a", "b", "..", ".", "", "\\", "landing", "files"]), min_size=1, max_size=5))
def test_prefix_obeys_the_same_rules_but_for_its_end(parts: list[str]) -> None:
    prefix = "/".join(parts)
    try:
        check_key(prefix, is_prefix=True)
    except BadInput:
        return
    assert not any(part in ("", ".", "..") for part in prefix.split("/")[:-1])


def test_only_two_prefixes_are_writable() -> None:
    assert is_user_writable("landing/workers/a.csv")
    assert is_user_writable("files/a")
    assert not is_user_writable("catalog/manifests/workers.json")
    assert not is_user_writable("filesx/a")
