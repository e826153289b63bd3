"""Property: a diff is read as it was made, whatever it holds; groups of places do not depend on their order."""

from __future__ import annotations

import contextlib
import difflib
import random

from hypothesis import given
from hypothesis import strategies as st

from lakehouse.errors import BadInput
from lakehouse.review.diff import parse_diff
from lakehouse.review.findings import Finding, read_answer
from lakehouse.review.matching import same_places
from lakehouse.review.places import Place, PlacesOf

LINE = st.text(st.characters(blacklist_characters="\n", blacklist_categories=["Cs"]), max_size=12)
ODD = st.sampled_from(["--- a/x", "+++ b/x", "@@ -1 +1 @@", "-- ", "diff --git a/x b/x", "\\ x"])
FILE = st.lists(st.one_of(LINE, ODD), max_size=20)


@given(st.lists(st.tuples(FILE, FILE), min_size=1, max_size=4))
def test_diff_is_read_as_it_was_made(pairs: list[tuple[list[str], list[str]]]) -> None:
    text, expected = "", []
    for number, (old, new) in enumerate(pairs):
        lines = list(difflib.unified_diff(old, new, f"a/f{number}", f"b/f{number}", lineterm=""))
        if lines:
            text += "\n".join(lines) + "\n"
            expected.append((f"f{number}", old, new))
    if not expected:
        return
    files = parse_diff(text)
    assert [file.path for file in files] == [path for path, _, _ in expected]
    for file, (_, old, new) in zip(files, expected, strict=True):
        for hunk in file.hunks:
            for line, at_old, at_new in hunk.numbered():
                assert at_old is None or old[at_old - 1] == line[1:]
                assert at_new is None or new[at_new - 1] == line[1:]
        assert file.text in text


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    for given_text in (text, f"--- a/x\n+++ b/x\n{text}", f"diff --git {text}\n@@ -1 +1 @@\n-a\n+b\n"):
        with contextlib.suppress(BadInput):
            assert parse_diff(given_text)


@given(st.text(max_size=300))
def test_any_answer_is_read(text: str) -> None:
    places = PlacesOf(parse_diff("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"))
    for one in (text, f"SEVERITY: BLOCK\nWHERE: {text}\nWHY: {text}"):
        for found in read_answer(one, places, reviewer="m", bundle=1).findings:
            assert found.place.path == "x"


PLACES = st.builds(
    lambda path, first, length, side: Place(path, first, first + length, side),
    st.sampled_from("ab"), st.integers(1, 30), st.integers(0, 6), st.sampled_from(["new", "old"]),
)  # fmt: skip
SEVERITY = st.sampled_from(["BLOCK", "WARN", "INFO"])
FINDINGS = st.lists(
    st.builds(Finding, SEVERITY, PLACES, st.just("why"), st.sampled_from("xyz"), st.just(1)),
    max_size=12,
)  # fmt: skip


@given(FINDINGS, st.randoms())
def test_groups_are_of_overlapping_places_in_any_order(findings: list[Finding], order: random.Random) -> None:
    groups = same_places(findings)
    assert sum(map(len, groups)) == len(findings)
    for at, group in enumerate(groups):
        for other in groups[at + 1 :]:
            assert not any(one.place.overlaps(two.place) for one in group for two in other)
        reached, rest = [group[0]], group[1:]
        while linked := [one for one in rest if any(one.place.overlaps(two.place) for two in reached)]:
            reached += linked
            rest = [one for one in rest if one not in linked]
        assert rest == []
    shuffled = list(findings)
    order.shuffle(shuffled)
    assert same_places(shuffled) == groups
