"""Workflows for whatever comes: files, templates, answers of models are read or refused, and nothing else happens."""

from __future__ import annotations

import contextlib
import json
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lakehouse.errors import BadInput
from lakehouse.workflow.catalog import default_catalog
from lakehouse.workflow.graph import find_cycle
from lakehouse.workflow.reading import read_workflow, workflow_of
from lakehouse.workflow.repair import read_json
from lakehouse.workflow.templates import compile_template

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
pieces = st.lists(
    st.sampled_from(
        ["{{ ", " }}", "{% for x in ", " %}", "{% endfor %}", "{% if ", "{% endif %}", "inputs.a", "nodes.b.output",
         "x", "['__class__']", ".__class__", "()", " | join", " | tojson", " | map('upper')", " ~ ", " + ", " * ",
         " ** ", "1", "'s'", "range(9)", "loop.index", "[", "]", "(", ")", "{", "}", "\n", "#"]
    ),
    max_size=14,
).map("".join)  # fmt: skip
members = st.sampled_from(["name", "version", "inputs", "nodes", "output", "concurrency", "id", "mode", "with", "when"])
documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["render", "a", "{{ inputs.x }}"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(members, inner, max_size=6),
    max_leaves=20,
)


@given(st.text(max_size=80) | pieces, json_values)
def test_any_template_is_refused_or_gives_json(text: str, value: Any) -> None:
    with contextlib.suppress(BadInput):
        given_ = compile_template(text).render({"inputs": {"a": value}, "nodes": {"b": {"output": value}}})
        json.dumps(given_, allow_nan=False)


@given(json_values)
def test_an_expression_hands_any_value_on_as_it_is(value: Any) -> None:
    assert compile_template("{{ inputs.a }}").render({"inputs": {"a": value}, "nodes": {}}) == value


@given(st.text(max_size=120))
def test_any_file_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(BadInput):
        read_workflow(text, name="w", catalog=default_catalog())


@given(documents)
def test_any_object_is_read_or_refused(document: Any) -> None:
    with contextlib.suppress(BadInput):
        workflow_of(document, catalog=default_catalog())


@given(st.text().filter(lambda text: text.strip() and "{{" not in text and "{%" not in text and "{#" not in text))
def test_texts_of_an_object_come_through_as_they_are(text: str) -> None:
    node = {"id": "a", "mode": "render", "with": {"text": text}}
    spec = {"name": "w", "version": 1, "nodes": [node]}
    assert workflow_of(spec, catalog=default_catalog()).nodes[0].given == {"text": text}


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**64 - 1))
def test_numbers_of_an_object_come_through_as_they_are(value: Any) -> None:
    given = {"workflow": "other", "input": {"x": value}}
    spec = {"name": "w", "version": 1, "nodes": [{"id": "a", "mode": "pipeline", "with": given}]}
    read = workflow_of(spec, catalog=default_catalog()).nodes[0].given["input"]["x"]
    assert read == value
    assert isinstance(read, type(value))


@given(json_values)
def test_json_needs_no_repair(value: Any) -> None:
    assert read_json(json.dumps(value)) == (value, [])


@given(st.text(max_size=60) | st.lists(st.sampled_from([*"{}[],:'\"\\ \n", "True", "None", "a", "1"])).map("".join))
def test_any_answer_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        value, repairs = read_json(text)
        assert json.loads(json.dumps(value)) == value
        assert repairs or json.loads(text) == value


@given(st.dictionaries(st.integers(0, 6).map(str), st.lists(st.integers(0, 6).map(str), max_size=3), min_size=1))
def test_a_circle_is_found_exactly_where_there_is_one(graph: dict[str, list[str]]) -> None:
    needs = {node: [need for need in of if need in graph] for node, of in graph.items()}
    reach = {node: set(of) for node, of in needs.items()}
    for _ in needs:
        for of in reach.values():
            of.update(*(reach[one] for one in tuple(of)))
    cycle = find_cycle(needs)
    assert (cycle is not None) == any(node in of for node, of in reach.items())
    if cycle is not None:
        assert cycle[0] == cycle[-1]
        assert all(after in needs[before] for before, after in pairwise(cycle))
