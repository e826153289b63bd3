"""Value counts of filters: each field under the filters of all others, as the rows themselves say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.adapters.corpus_reader import CorpusReader
from lakehouse.adapters.hot_index import HotIndex
from lakehouse.errors import BadInput
from lakehouse.retrieval.filters import matches, parse_filter
from lakehouse_api.ui.facet_filters import chosen_of, filter_of
from lakehouse_api.ui.facets import Facet, FacetCounter

ROWS: list[dict[str, Any]] = [
    {
        "state": ("OH", "MI", "IN")[n % 3],
        "active": n % 2 == 0,
        "skills": ["welding", "rigging"][: n % 3],
        "rate": 20 + n,
        "name": f"person {n}",
        "mail": f"{n % 4}@x",
        "same": "one",
        **({"shift": "night"} if n % 5 == 0 else {"shift": "day"} if n % 5 == 1 else {}),
    }
    for n in range(450)
]


def reader_of(rows: list[dict[str, Any]]) -> CorpusReader:
    index = HotIndex(dimension=2, has_text=False)
    vectors = pa.array([[1.0, float(n)] for n in range(len(rows))], pa.list_(pa.float32(), 2))
    ids = [f"id-{n}" for n in range(len(rows))]
    index.upsert(pa.table({"id": ids, "vector": vectors, "metadata": [orjson.dumps(row).decode() for row in rows]}))
    return CorpusReader("crew", {"embedder": "static", "dimension": 2, "pii_columns": ["mail"]}, index, "r1")


READER = reader_of(ROWS)
COUNTER = FacetCounter()
BOXES = st.lists(
    st.sampled_from(
        [
            ("f.state", '"OH"'), ("f.state", '"MI"'), ("f.active", "true"), ("f.shift", '"day"'),
            ("l.skills", '"rigging"'), ("l.skills", '"welding"'), ("min.rate", "100"), ("max.rate", "300"), ("q", "x"),
        ]
    ),
    unique=True,
)  # fmt: skip


def _passing(fields: list[tuple[str, str]]) -> list[dict[str, Any]]:
    wanted = filter_of(fields)
    if wanted is None:
        return ROWS
    read = parse_filter(wanted)
    return [row for row in ROWS if matches(read, row)]


def _by_name(fields: list[tuple[str, str]], *, has_pii: bool = True) -> dict[str, Facet]:
    return {one.name: one for one in COUNTER.of(READER, has_pii=has_pii, fields=fields).facets}


@given(fields=BOXES)
def test_each_field_is_counted_under_the_filters_of_the_others(fields: list[tuple[str, str]]) -> None:
    found = COUNTER.of(READER, has_pii=True, fields=fields)
    assert found.passing == len(_passing(fields))
    for facet in found.facets:
        rows = _passing([(key, text) for key, text in fields if key.partition(".")[2] != facet.name])
        if facet.is_number:
            values = [row[facet.name] for row in rows]
            assert (facet.least, facet.most) == ((min(values), max(values)) if values else (None, None))
            continue
        for one in facet.values:
            held = [row[facet.name] for row in rows if facet.name in row]
            assert one.count == sum(one.value in value if facet.is_list else value == one.value for value in held)
        ticked = {orjson.loads(text) for key, text in fields if key in (f"f.{facet.name}", f"l.{facet.name}")}
        assert ticked <= {one.value for one in facet.values}


def test_fields_that_nobody_ticks_off_are_no_facets() -> None:
    assert set(_by_name([])) == {"active", "mail", "rate", "shift", "skills", "state"}  # no name, no constant
    assert "mail" not in _by_name([], has_pii=False)


def test_ticked_value_shows_with_no_row_and_its_number_stays() -> None:
    before = {one.value: one.number for one in _by_name([])["state"].values}
    empty = _by_name([("f.state", '"OH"'), ("min.rate", "10000")])["state"]
    assert [(one.value, one.count, one.number) for one in empty.values] == [("OH", 0, before["OH"])]


def test_text_one_number_one_and_true_are_three_things() -> None:
    mixed = reader_of([{"a": value} for value in ("true", True, "1", False, "1")])
    (facet,) = FacetCounter().of(mixed, has_pii=True, fields=[("f.a", "true")]).facets
    counts = {(type(one.value).__name__, one.value): one.count for one in facet.values}
    assert counts == {("str", "1"): 2, ("bool", False): 1, ("bool", True): 1, ("str", "true"): 1}


def test_corpus_that_changed_is_counted_anew() -> None:
    counter = FacetCounter()
    assert counter.of(reader_of([{"a": "x"}, {"a": "y"}]), has_pii=True).counted == 2
    grown = replace(reader_of([{"a": "x"}, {"a": "y"}, {"a": "y"}]), revision="r2")
    assert counter.of(grown, has_pii=True).facets[0].values[0].count == 2


@pytest.mark.parametrize(
    ("key", "text"), [("min.rate", "nan"), ("max.rate", "1e999"), ("f.state", "OH"), ("f.a", "[1]")]
)
def test_box_that_is_no_value_is_refused(key: str, text: str) -> None:
    with pytest.raises(BadInput):
        filter_of([(key, text)])
    assert key in chosen_of([(key, text)])
