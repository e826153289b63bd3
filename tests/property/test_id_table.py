"""The table of ids against a dictionary."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.retrieval.id_table import IdTable

names = st.integers(0, 300).map(lambda n: f"id{n}")
steps = st.lists(st.tuples(st.booleans(), st.lists(names, max_size=120)), max_size=12)


@settings(max_examples=200, deadline=None)
@given(steps, st.lists(names | st.text(max_size=3), max_size=40))
def test_any_order_of_puts_and_pops_agrees_with_a_dictionary(
    written: list[tuple[bool, list[str]]], asked: list[str]
) -> None:
    table, model, row = IdTable(), dict[str, int](), 0
    for is_put, ids in written:
        if is_put:
            unique = list(dict.fromkeys(ids))
            assert sorted(table.put(unique, row + np.arange(len(unique)))) == sorted(
                model[i] for i in unique if i in model
            )
            model.update({name: row + n for n, name in enumerate(unique)})
            row += len(unique)
        else:
            assert sorted(table.pop(ids)) == sorted(model.pop(i) for i in dict.fromkeys(ids) if i in model)
        assert len(table) == len(model)
    asked = [*asked, *model]
    assert table.rows_of(asked).tolist() == [model.get(name, -1) for name in asked]
    assert [table.row_of(name) for name in asked] == [model.get(name) for name in asked]


def test_many_ids_one_by_one_and_at_once() -> None:
    one, many = IdTable(), IdTable()
    ids = [f"worker-{n}" for n in range(20_000)]
    for row, name in enumerate(ids[:2_000]):
        assert len(one.put([name], np.array([row]))) == 0
    assert many.put(ids, np.arange(20_000)).tolist() == []
    assert one.rows_of(ids).tolist() == [*range(2_000), *[-1] * 18_000]
    assert many.rows_of(ids).tolist() == list(range(20_000))
    for _ in range(20):  # what was taken out makes room again
        assert len(many.pop(ids[:5_000])) == 5_000
        many.put(ids[:5_000], np.arange(5_000))
    assert many.rows_of(ids).tolist() == list(range(20_000))
    assert many.bytes <= 20_000 * 12 * 8
