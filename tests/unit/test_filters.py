"""Filters: what each operator means, what is refused and how, and fields that no corpus knows."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest

from lakehouse.errors import BadInput
from lakehouse.retrieval.filter_fit import refuse_unfit
from lakehouse.retrieval.filters import MAX_CONDITIONS, Compare, matches, parse_filter
from lakehouse.retrieval.metadata_columns import MAX_FIELDS, MetadataColumns, read_metadata

WORKER = {
    "state": "OH",
    "role": None,
    "reliability": 0.8,
    "years": 7,
    "is_active": True,
    "certifications": ["OSHA-30", "CDL", 30],
    "skills": "Forklift, Pallet jack",
    "address": {"city": "Columbus", "geo": {"zone": 4}},
}


def columns_of(*rows: dict[str, Any]) -> MetadataColumns:
    columns = MetadataColumns()
    texts = [orjson.dumps(row).decode() for row in rows]
    columns.append(pa.array(texts, pa.string()), read_metadata(texts, ids=[str(i) for i in range(len(rows))]))
    return columns


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({}, True),
        ({"state": "OH"}, True),
        ({"state": "oh"}, False),
        ({"state": "OH", "reliability": {"gte": 0.8}}, True),
        ({"state": "OH", "reliability": {"gt": 0.8}}, False),
        ({"reliability": {"gte": 0.5, "lt": 0.8}}, False),
        ({"years": 7.0}, True),
        ({"years": "7"}, False),
        ({"is_active": True}, True),
        ({"is_active": 1}, False),
        ({"years": {"in": [6, 7]}}, True),
        ({"years": {"in": []}}, False),
        ({"years": {"nin": []}}, True),
        ({"state": {"nin": ["OH", "IN"]}}, False),
        ({"state": {"gt": "NY"}}, True),
        ({"state": {"lte": "OH"}}, True),
        ({"state": {"gt": 5}}, False),
        ({"certifications": {"contains": "OSHA-30"}}, True),
        ({"certifications": {"contains": "OSHA"}}, False),
        ({"certifications": {"contains": 30}}, True),
        ({"certifications": {"contains": "30"}}, False),
        ({"certifications": "CDL"}, False),
        ({"certifications": {"ne": "CDL"}}, True),
        ({"skills": {"contains": "Pallet"}}, True),
        ({"skills": {"contains": "pallet"}}, False),
        ({"skills": {"contains": ""}}, True),
        ({"skills": {"contains": 1}}, False),
        ({"address.city": "Columbus"}, True),
        ({"address.geo.zone": {"lt": 5}}, True),
        ({"address": {"exists": True}}, True),
        ({"address": {"ne": "Columbus"}}, True),
        ({"or": [{"state": "IN"}, {"years": 7}]}, True),
        ({"and": [{"state": "IN"}, {"years": 7}]}, False),
        ({"not": {"state": "IN"}}, True),
        ({"not": {"or": [{"state": "OH"}, {"years": 1}]}}, False),
    ],
)
def test_row_passes_as_the_contract_says(document: dict[str, Any], expected: bool) -> None:
    assert matches(parse_filter(document), WORKER) is expected
    assert columns_of(WORKER).evaluate(parse_filter(document), 0, 1).tolist() == [expected]


@pytest.mark.parametrize("field", ["role", "nowhere", "address.street", "state.city"])
@pytest.mark.parametrize(
    ("operators", "expected"),
    [
        ({"eq": "x"}, False),
        ({"ne": "x"}, True),
        ({"in": ["x", 1, True]}, False),
        ({"nin": ["x", 1, True]}, True),
        ({"gt": 0}, False),
        ({"gte": ""}, False),
        ({"lt": "~"}, False),
        ({"lte": 0}, False),
        ({"contains": ""}, False),
        ({"exists": True}, False),
        ({"exists": False}, True),
    ],
)
def test_missing_or_null_passes_only_exists_false_ne_and_nin(
    field: str, operators: dict[str, Any], expected: bool
) -> None:
    wanted = parse_filter({field: operators})
    assert matches(wanted, WORKER) is expected
    assert columns_of(WORKER, {}).evaluate(wanted, 0, 2).tolist() == [expected, expected]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "filter must be an object"),
        ("state = 'OH'", "filter must be an object"),
        (None, "filter must be an object"),
        ({"": 1}, "not empty"),
        ({"state": None}, 'filter.state must not be null; use {"exists": false}'),
        ({"state": ["OH"]}, 'filter.state must be a text, a number, true or false, not a list; use {"in"'),
        ({"state": {}}, "filter.state names no operator"),
        ({"state": {"like": "O%"}}, "filter.state.like: there is no operator 'like'; known: eq, ne"),
        ({"address": {"city": "X"}}, "named by its path: address.city"),
        ({"state": {"in": "OH"}}, "filter.state.in must be a list"),
        ({"state": {"in": ["OH", None]}}, "filter.state.in[1] must not be null"),
        ({"state": {"eq": {"a": 1}}}, "filter.state.eq must be a text, a number, true or false, not an object"),
        ({"state": {"exists": "yes"}}, "filter.state.exists must be true or false"),
        ({"is_active": {"gt": True}}, "filter.is_active.gt must be a number or a text"),
        ({"x": float("nan")}, "filter.x must be a finite number"),
        ({"x": {"in": [float("inf")]}}, "filter.x.in[0] must be a finite number"),
        ({"x": "\ud800"}, "filter.x is not valid Unicode"),
        ({"and": {"state": "OH"}}, "filter.and must be a list of filters"),
        ({"or": []}, "filter.or must be a list of filters with one at least"),
        ({"and": [{"not": {"or": [{"x": {"in": 1}}]}}]}, "filter.and[0].not.or[0].x.in must be a list"),
        ({"not": [{"state": "OH"}]}, "filter.not must be an object"),
        ({"or": [{"x": i} for i in range(MAX_CONDITIONS + 1)]}, "more than 1000 conditions"),
    ],
)
def test_refused_filter_names_the_path(document: object, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_filter(document)
    assert message in caught.value.detail


def test_filters_that_differ_in_kind_alone_are_different_keys() -> None:
    assert Compare("a", "eq", 1) != Compare("a", "eq", True)
    assert parse_filter({"a": {"in": [1]}}) != parse_filter({"a": {"in": [True]}})
    assert len({parse_filter({"not": {"a": v}}) for v in (0, False, "0")}) == 3


def test_masked_column_reads_as_the_constant_in_every_row() -> None:
    columns = columns_of({"email": "a@x.org", "contact": {"email": "b"}}, {"email": None}, {})
    hidden = frozenset({"EMAIL", "contact"})
    for document, expected in (
        ({"email": "[masked]"}, True),
        ({"email": {"exists": True}}, True),
        ({"email": "a@x.org"}, False),
        ({"email": {"contains": "@"}}, False),
        ({"email": {"gt": "a"}}, False),
        ({"contact.email": "b"}, False),
        ({"contact.email": {"exists": False}}, True),
    ):
        assert columns.evaluate(parse_filter(document), 0, 3, masked=hidden).tolist() == [expected] * 3
    assert columns.check(parse_filter({"email": 5}), masked=hidden).unfit


def test_metadata_that_is_no_object_is_refused_with_id_and_position() -> None:
    for text, message in (("[1]", "must be a JSON object"), ("{", "is not JSON"), ('{"a": NaN}', "is not JSON")):
        with pytest.raises(BadInput) as caught:
            read_metadata(["{}", text], ids=["w-1", "w-2"])
        assert "'w-2' (position 1)" in caught.value.detail
        assert message in caught.value.detail


def test_unknown_field_is_refused_only_when_no_corpus_has_it() -> None:
    wanted = parse_filter({"or": [{"state": "OH"}, {"salary": {"gt": 5}}]})
    workers, notes = columns_of(WORKER), columns_of({"salary": 7})
    with pytest.raises(BadInput, match=r"no item of workers has the metadata field 'salary'"):
        refuse_unfit(wanted, {"workers": workers.check(wanted)})
    refuse_unfit(wanted, {"workers": workers.check(wanted), "notes": notes.check(wanted)})
    refuse_unfit(wanted, {"workers": workers.check(wanted)}, known=frozenset({"salary"}))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"reliability": "0.8"}, "asks 'reliability' for a text, but in workers it is a number"),
        ({"reliability": {"in": [0.8, "0.8"]}}, "it is a number"),
        ({"certifications": "CDL"}, 'use {"contains": …} for an element'),
        ({"years": {"contains": 7}}, "it is a number"),
        ({"state": {"contains": 7}}, "it is a text"),
        ({"is_active": {"ne": 1}}, "it is true or false"),
        ({"address": {"eq": "x"}}, "it is an object"),
    ],
)
def test_value_of_a_kind_that_never_occurs_is_refused(document: dict[str, Any], message: str) -> None:
    wanted = parse_filter(document)
    with pytest.raises(BadInput) as caught:
        refuse_unfit(wanted, {"workers": columns_of(WORKER).check(wanted)})
    assert message in caught.value.detail
    other = columns_of({field: "text" if isinstance(value, dict) else value for field, value in document.items()})
    if not isinstance(next(iter(document.values())), dict):
        refuse_unfit(wanted, {"workers": columns_of(WORKER).check(wanted), "notes": other.check(wanted)})


def test_field_of_nulls_and_empty_corpora_take_any_kind() -> None:
    for document in ({"role": 5}, {"role": {"contains": "x"}}, {"years": {"exists": False}}):
        refuse_unfit(parse_filter(document), {"workers": columns_of(WORKER).check(parse_filter(document))})
    wanted = parse_filter({"anything": 1})
    refuse_unfit(wanted, {"empty": MetadataColumns().check(wanted)})
    assert MetadataColumns().evaluate(wanted, 0, 0).tolist() == []


def test_texts_that_nearly_all_differ_are_answered_alike() -> None:
    count = 40_000
    columns = MetadataColumns()
    for start in range(0, count, 8_000):  # the dictionary becomes too long on the way
        texts = [f'{{"email": "user{i}@example.com"}}' for i in range(start, start + 8_000)]
        columns.append(pa.array(texts), read_metadata(texts, ids=texts))
    for document, expected in (
        ({"email": "user17@example.com"}, [17]),
        ({"email": {"in": ["user17@example.com", "user39999@example.com", "x"]}}, [17, 39_999]),
        ({"email": {"contains": "12345@"}}, [12_345]),
        ({"email": {"gt": "user9999@d"}}, [9, 99, 999, 9_999]),
        ({"email": "nobody"}, []),
    ):
        assert np.flatnonzero(columns.evaluate(parse_filter(document), 0, count)).tolist() == expected
    assert columns.bytes < count * 120


def test_fields_beyond_the_limit_are_found_in_the_json() -> None:
    texts = [orjson.dumps({f"key{i}": i, "even": i % 2 == 0}).decode() for i in range(MAX_FIELDS + 50)]
    columns = MetadataColumns()
    columns.append(pa.array(texts), read_metadata(texts, ids=texts))
    last = MAX_FIELDS + 49
    assert len(columns.field_kinds()) == MAX_FIELDS
    assert np.flatnonzero(columns.evaluate(parse_filter({f"key{last}": last}), 0, len(texts))).tolist() == [last]
    absent = parse_filter({f"key{last}": {"exists": False}})
    assert columns.evaluate(absent, 0, len(texts)).sum() == last
    refuse_unfit(absent, {"c": columns.check(absent)})
