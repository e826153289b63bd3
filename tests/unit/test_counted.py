"""Counts with their nouns."""

from __future__ import annotations

import pytest

from lakehouse.counted import counted


@pytest.mark.parametrize(
    ("count", "noun", "written"),
    [
        (0, "row", "0 rows"),
        (1, "row", "1 row"),
        (2, "row", "2 rows"),
        (12_345, "row", "12,345 rows"),
        (1, "day", "1 day"),
        (7, "day", "7 days"),
        (1, "playbook entry", "1 playbook entry"),
        (3, "playbook entry", "3 playbook entries"),
        (2, "batch", "2 batches"),
        (2, "box", "2 boxes"),
        (2, "replay", "2 replays"),
    ],
)
def test_a_count_has_the_form_of_its_noun_that_goes_with_it(count: int, noun: str, written: str) -> None:
    assert counted(count, noun) == written


@pytest.mark.parametrize(
    ("count", "verb", "written"),
    [
        (1, "is", "1 day is"),
        (0, "is", "0 days are"),
        (2, "was", "2 days were"),
        (2, "has", "2 days have"),
        (2, "does", "2 days do"),
        (1, "needs", "1 day needs"),
        (2, "needs", "2 days need"),
    ],
)
def test_a_verb_goes_with_the_count(count: int, verb: str, written: str) -> None:
    assert counted(count, "day", verb) == written
