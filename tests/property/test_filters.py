"""Filters: masks over columns agree with the row-by-row definition, whatever the metadata and the filter."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.retrieval.filters import MAX_DEPTH, OPERATORS, Filter, conditions, fields_of, matches, parse_filter
from lakehouse.retrieval.metadata_columns import MetadataColumns, read_metadata

NAMES = ("a", "b", "c", "a.b", "nested", "x")
# Values that are near each other, or alike but for their kind.
SCALARS: tuple[Any, ...] = (
    "", "1", "a", "ab", "abc", "b", "B", "true", "[masked]", "ä", "z\U0001f600", True, 0, 1, -1, 2, 1.0, 0.5, -0.0,
    False, 1.5, 1e300, 2**53, 2**53 + 1, 2**53 - 1, 2**63, 2**64 - 1, -(2**63), float(2**53), float(2**60),
    2**61 - 1, 1e-300,
)  # fmt: skip

scalars = st.sampled_from(SCALARS) | st.text(max_size=3) | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False)
finite = scalars.filter(lambda v: not isinstance(v, float) or math.isfinite(v))
values = st.recursive(
    finite | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=5,
)
documents = st.dictionaries(st.sampled_from(NAMES), values, max_size=5)
fields = st.sampled_from((*NAMES, "nested.a", "nested.a.b", "a.b.c", "nowhere"))
scalar_lists = st.lists(finite, max_size=4)
operators = st.fixed_dictionaries(
    {},
    optional={
        "eq": finite,
        "ne": finite,
        **{op: finite.filter(lambda v: not isinstance(v, bool)) for op in ("gt", "gte", "lt", "lte")},
        "in": scalar_lists,
        "nin": scalar_lists,
        "contains": finite,
        "exists": st.booleans(),
    },
).filter(bool)
leaves = st.dictionaries(fields, finite | operators, max_size=2)
filters = st.recursive(
    leaves,
    lambda inner: (
        st.fixed_dictionaries({"and": st.lists(inner, min_size=1, max_size=3)})
        | st.fixed_dictionaries({"or": st.lists(inner, min_size=1, max_size=3)})
        | st.fixed_dictionaries({"not": inner})
    ),
    max_leaves=4,
)
masks = st.frozensets(st.sampled_from(("a", "A.B", "nested", "x")), max_size=2)


def columns_of(rows: Sequence[dict[str, Any]], pieces: Sequence[int]) -> MetadataColumns:
    """The rows, appended in pieces that end at the given rows."""
    columns = MetadataColumns()
    ends = sorted({*(end for end in pieces if end <= len(rows)), len(rows)})
    for start, end in zip([0, *ends], ends, strict=False):
        texts = [orjson.dumps(row).decode() for row in rows[start:end]]
        columns.append(pa.array(texts, pa.string()), read_metadata(texts, ids=texts))
    return columns


def assert_agrees(
    columns: MetadataColumns,
    rows: Sequence[dict[str, Any]],
    wanted: Filter,
    masked: frozenset[str],
    *,
    in_halves: bool = True,
) -> None:
    expected = [matches(wanted, row, masked=masked) for row in rows]
    assert columns.evaluate(wanted, 0, len(rows), masked=masked).tolist() == expected
    if not in_halves:
        return
    middle = len(rows) // 2
    parts = (columns.evaluate(wanted, *span, masked=masked) for span in ((0, middle), (middle, len(rows))))
    assert np.concatenate(list(parts)).tolist() == expected


@settings(max_examples=100, deadline=None)
@given(st.lists(documents, max_size=12), st.lists(st.integers(0, 12), max_size=3), st.lists(filters, min_size=1), masks)
def test_mask_agrees_with_the_definition(
    rows: list[dict[str, Any]], pieces: list[int], wanted: list[dict[str, Any]], masked: frozenset[str]
) -> None:
    columns = columns_of(rows, pieces)
    for document in wanted:
        assert_agrees(columns, rows, parse_filter(document), masked)


def drawn_value(source: random.Random, depth: int = 0) -> Any:
    choice = source.random()
    if choice < 0.7 or depth > 2:
        return source.choice(SCALARS)
    if choice < 0.8:
        return None
    if choice < 0.9:
        return [drawn_value(source, depth + 1) for _ in range(source.randrange(4))]
    return {source.choice(NAMES): drawn_value(source, depth + 1) for _ in range(source.randrange(3))}


def drawn_filter(source: random.Random, depth: int = 0) -> dict[str, Any]:
    choice = source.random()
    if depth < 3 and choice < 0.3:
        word = source.choice(("and", "or", "not"))
        if word == "not":
            return {"not": drawn_filter(source, depth + 1)}
        return {word: [drawn_filter(source, depth + 1) for _ in range(source.randint(1, 3))]}
    field = source.choice((*NAMES, "nested.a", "nested.a.b", "a.b.c", "nowhere"))
    op = source.choice(OPERATORS)
    if op == "exists":
        return {field: {op: source.random() < 0.5}}
    if op in ("in", "nin"):
        return {field: {op: [source.choice(SCALARS) for _ in range(source.randrange(5))]}}
    value = source.choice(SCALARS)
    if isinstance(value, bool) and op in ("gt", "gte", "lt", "lte"):
        value = "true"
    return {field: {op: value}}


@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@given(st.integers(0, 2**64 - 1))
def test_a_hundred_thousand_filters_agree_with_the_definition(seed: int) -> None:
    source = random.Random(seed)
    rows = [{name: drawn_value(source) for name in NAMES if source.random() < 0.7} for _ in range(12)]
    columns = columns_of(rows, [5, 6, 9])
    masked = frozenset(("a", "nested") if source.random() < 0.2 else ())
    for number in range(200):
        # In halves every tenth: two more masks of a dozen rows take longer than the definition itself.
        assert_agrees(columns, rows, parse_filter(drawn_filter(source)), masked, in_halves=number % 10 == 0)


@settings(max_examples=100, deadline=None)
@given(filters)
def test_parsed_filter_names_fields_and_known_operators_alone(document: dict[str, Any]) -> None:
    for condition in conditions(parse_filter(document)):
        assert condition.field
        assert condition.op in OPERATORS


@settings(max_examples=100, deadline=None)
@given(documents)
def test_every_path_leads_to_a_value_of_the_document(document: dict[str, Any]) -> None:
    def leads(members: dict[str, Any], path: str, value: object) -> bool:
        if path in members and members[path] is value:
            return True
        return any(
            isinstance(inner, dict) and path.startswith(f"{name}.") and leads(inner, path[len(name) + 1 :], value)
            for name, inner in members.items()
        )

    assert all(leads(document, path, value) for path, value in fields_of(document).items())


@given(st.integers(1, 200))
def test_depth_is_bounded(depth: int) -> None:
    document: dict[str, Any] = {"a": 1}
    for _ in range(depth):
        document = {"not": document}
    if depth < MAX_DEPTH:
        assert parse_filter(document) is not None
    else:
        with pytest.raises(Exception, match="nested deeper"):
            parse_filter(document)
