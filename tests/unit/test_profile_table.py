"""Profiles as numbers: each is found as it was put, whatever was put, outdated and packed around it."""

from __future__ import annotations

import random

import numpy as np

from lakehouse.retrieval.profile_table import NO_TERM, Profile, ProfileTable


def profile(draw: random.Random, row: int) -> Profile:
    entries = draw.randint(1, 4)
    own = [row * 100 + n for n in range(draw.randint(0, 30))]
    asked = [10**6 + draw.randrange(1000) for _ in range(draw.randint(0, 5))]
    return Profile(
        float(row), draw.random(), draw.random(), 2.0, [draw.randrange(10**12) for _ in range(entries)],
        [draw.random() for _ in range(entries)], [NO_TERM, *own, *asked], len(own),
    )  # fmt: skip


def read(table: ProfileTable, rows: list[int]) -> list[tuple[object, ...]]:
    """What the table has of some rows that have profiles, read together."""
    found = table.gather(np.array(table.slots_of(rows), np.int64))
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
        row, before = draw.randrange(300), len(table._terms)
        match draw.randrange(6):
            case 0:
                table.outdate(row)
                model.pop(row, None)
            case 1:
                table.put(row, None)
                model[row] = None
            case _:
                model[row] = made = profile(draw, row)
                table.put(row, made)
        packed += len(table._terms) < before
    assert packed
    slots = table.slots_of(list(range(300)))
    for row in range(300):
        if row not in model:
            assert slots[row] is None
        elif model[row] is None:
            assert slots[row] == -1
    rows = [row for row, one in model.items() if one is not None]
    for row, got in zip(rows, read(table, rows), strict=True):
        one = model[row]
        assert one is not None
        assert got == (one.made_at, list(one.rows), np.array(one.weights, np.float32).tolist(), list(one.terms))


def test_own_terms_of_a_row_outlive_its_profile() -> None:
    table, draw = ProfileTable(), random.Random(2)
    made = profile(draw, 7)
    assert table.own_terms(7) == []
    table.put(7, made)
    table.outdate(7)
    assert table.own_terms(7) == list(made.terms[1 : 1 + made.own_terms])


def test_rows_without_a_profile_do_not_pile_up() -> None:
    table, draw = ProfileTable(), random.Random(1)
    table.put(0, profile(draw, 0))
    for row in range(1, 300_000):
        table.put(row, None)
    assert len(table._slots) < 150_000
    assert table.slots_of([0, 299_999, 1]) == [0, -1, None]
