"""Profiles as numbers: each is found as it was put, whatever was put, outdated and packed around it."""

from __future__ import annotations

import random

import numpy as np

from lakehouse.retrieval.profile_table import Earlier, Profile, ProfileTable
from lakehouse.retrieval.row_slots import MOST_PLACES, NOTHING, UNKNOWN
from lakehouse.retrieval.term_numbers import NO_TERM

ROWS = [*range(298), MOST_PLACES + 500, 10 * MOST_PLACES + 501]


def profile(draw: random.Random, row: int) -> Profile:
    entries = draw.randint(1, 4)
    own = [row * 100 + n for n in range(draw.randint(0, 30))]
    asked = [10**6 + draw.randrange(1000) for _ in range(draw.randint(0, 5))]
    return Profile(
        float(row), draw.random(), draw.random(), 2.0, np.array([draw.randrange(10**12) for _ in range(entries)]),
        np.array([draw.random() for _ in range(entries)], np.float32), [*own, *asked], len(own),
    )  # fmt: skip


def read(table: ProfileTable, rows: list[int]) -> list[tuple[object, ...]]:
    """What the table has of some rows that have profiles, read together."""
    found = table.gather(table.slots_of(np.array(rows)))
    entries = [*found.first_rows.tolist(), len(found.rows)]
    terms = [*found.first_terms.tolist(), len(found.terms)]
    return [
        (
            float(found.of["made_at"][n]),
            found.rows[entries[n] : entries[n + 1]].tolist(),
            found.weights[entries[n] : entries[n + 1]].tolist(),
            found.terms[terms[n] : terms[n + 1]].tolist(),
        )
        for n in range(len(rows))
    ]


def test_each_profile_is_found_as_it_was_put_through_changes_and_packing() -> None:
    draw, table, model = random.Random(4), ProfileTable(), dict[int, Profile | None]()
    packed = 0
    for _ in range(12_000):
        row = draw.choice(ROWS)
        match draw.randrange(6):
            case 0:
                table.outdate(row)
                model.pop(row, None)
            case 1:
                table.outdate(row)
                table.put_nothing(np.array([row]))
                model[row] = None
            case _:
                model[row] = made = profile(draw, row)
                slot = table.put(row, made)
                assert table.slots_of(np.array([row])).tolist() == [slot]
        before = len(table._terms)
        table.tidy()
        packed += len(table._terms) < before
    assert packed
    for row, slot in zip(ROWS, table.slots_of(np.array(ROWS)).tolist(), strict=True):
        if row not in model:
            assert slot == UNKNOWN
        else:
            assert (slot == NOTHING) == (model[row] is None)
    rows = [row for row, one in model.items() if one is not None]
    for row, got in zip(rows, read(table, rows), strict=True):
        one = model[row]
        assert one is not None
        assert got == (one.made_at, one.rows.tolist(), one.weights.tolist(), [NO_TERM, *one.terms])


def test_what_a_profile_was_made_of_outlives_it() -> None:
    table, draw = ProfileTable(), random.Random(2)
    made = profile(draw, 7)
    assert table.earlier(7) is None
    table.put(7, made)
    assert table.earlier(7) is None
    table.outdate(7)
    earlier = table.earlier(7)
    assert isinstance(earlier, Earlier)
    assert (earlier.rows, earlier.terms, earlier.own_terms) == (made.rows.tolist(), made.terms, made.own_terms)


def test_table_of_which_nothing_holds_any_more_is_packed_to_nothing() -> None:
    table, draw = ProfileTable(), random.Random(3)
    for n in range(10_000):
        table.put(n % 2, profile(draw, n % 2))
    table.outdate(0)
    table.outdate(1)
    table.tidy()
    assert (len(table._terms), table.slots_of(np.array([0, 1])).tolist()) == (0, [UNKNOWN, UNKNOWN])
    made = profile(draw, 1)
    table.put(1, made)
    assert read(table, [1])[0][3] == [NO_TERM, *made.terms]


def test_profile_that_another_row_takes_the_place_of_can_be_read_until_it_is_put_again() -> None:
    table, draw = ProfileTable(), random.Random(5)
    first, second = profile(draw, 3), profile(draw, 3 + MOST_PLACES)
    table.put_nothing(np.array([MOST_PLACES - 1]))
    slots = [table.put(3, first), table.put(3 + MOST_PLACES, second)]
    assert table.slots_of(np.array([3, 3 + MOST_PLACES])).tolist() == [UNKNOWN, slots[1]]
    found = table.gather(np.array(slots, np.int32))
    assert found.terms.tolist() == [NO_TERM, *first.terms, NO_TERM, *second.terms]
    earlier = table.earlier(3)
    assert earlier is not None
    assert earlier.rows == first.rows.tolist()
