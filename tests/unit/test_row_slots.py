"""Slots by rows: each row has what was put last, until a far row takes its place."""

from __future__ import annotations

import random

import numpy as np

from lakehouse.retrieval.row_slots import MOST_PLACES, NOTHING, UNKNOWN, RowSlots


def test_each_row_of_a_corpus_has_what_was_put_last() -> None:
    slots, model, draw = RowSlots(), dict[int, int](), random.Random(1)
    for n in range(20_000):
        row = draw.randrange(30_000)
        assert slots.get(row) == model.get(row, UNKNOWN)
        match draw.randrange(3):
            case 0:
                slots.forget(row)
                model.pop(row, None)
            case 1:
                slots.forget(row)
                slots.put_nothing(np.array([row]))
                model[row] = NOTHING
            case _:
                assert slots.put(row, n) is None
                model[row] = n
    rows = range(40_000)
    assert slots.of(np.array(rows)).tolist() == [model.get(row, UNKNOWN) for row in rows]
    slotted = [row for row in sorted(model) if model[row] >= 0]
    assert slots.renumber().tolist() == [model[row] for row in slotted]
    assert slots.of(np.array(slotted)).tolist() == list(range(len(slotted)))


def test_row_that_was_never_put_is_unknown_even_the_first() -> None:
    slots = RowSlots()
    assert slots.of(np.array([0, 5, 10**12])).tolist() == [UNKNOWN] * 3
    assert slots.get(0) == UNKNOWN


def test_of_two_rows_with_one_place_the_later_is_known() -> None:
    slots = RowSlots()
    for row in (0, MOST_PLACES - 1):
        slots.put(row, row)
    far = 7 * MOST_PLACES
    slots.put_nothing(np.array([far, 1]))
    assert slots.of(np.array([0, 1, far])).tolist() == [0, NOTHING, UNKNOWN]
    assert slots.put(far, 1) == (0, 0)
    assert slots.put(far, 2) is None
    slots.forget(0)
    assert slots.of(np.array([0, far, MOST_PLACES - 1])).tolist() == [UNKNOWN, 2, MOST_PLACES - 1]
    assert slots.put(far + 1, 3) is None


def test_places_are_no_more_however_far_rows_go() -> None:
    slots = RowSlots()
    for row in range(0, 10**9, 10**6):
        slots.put_nothing(np.array([row, row + 1]))
        slots.put(row + 2, 0)
    assert len(slots._slots) == MOST_PLACES
