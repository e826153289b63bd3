"""Reading a workflow: YAML or JSON, checked whole before anything runs, every fault told with its line.

Belongs here: the members of a file, of an input, of a node, and what they refer to. Not here: YAML (see
lakehouse/yaml_lines.py), values with templates (see values.py), which modes there are (see catalog.py).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from lakehouse.errors import BadInput
from lakehouse.workflow.catalog import ModeCatalog
from lakehouse.workflow.document import (
    DEFAULT_TIMEOUT_S,
    MAX_CONCURRENCY,
    MAX_FILE_BYTES,
    MAX_INPUTS,
    MAX_NODES,
    MAX_RETRIES,
    MAX_TIMEOUT_S,
    OUTPUT,
    InputSpec,
    NodeSpec,
    Workflow,
)
from lakehouse.workflow.fields import KINDS, fits, named
from lakehouse.workflow.graph import ancestors, find_cycle
from lakehouse.workflow.mode import Mode
from lakehouse.workflow.templates import Template, compile_condition, is_template
from lakehouse.workflow.values import FoundTemplate, check_shape, read_value, refused_at
from lakehouse.yaml_lines import Located, read_document

_ID = re.compile(r"[a-z][a-z0-9_]{0,62}")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
# What YAML takes for a line's end, or does not take at all, in a text of JSON.
_NO_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class _Draft:
    """A node whose references have not been checked."""

    node: NodeSpec
    place: Located
    needs: tuple[Located, ...]
    templates: tuple[FoundTemplate, ...]


def read_workflow(text: str, *, name: str, catalog: ModeCatalog) -> Workflow:
    """Read a workflow.

    Args:
        text: YAML, of which JSON is a part.
        name: What it is called in messages.
        catalog: The modes there are.

    Raises:
        BadInput: With the line, what is wrong there and what it takes.
    """
    raw = text.encode("utf-8", "replace")
    if len(raw) > MAX_FILE_BYTES:
        raise BadInput(f"{name}: a workflow has at most {MAX_FILE_BYTES >> 10} KiB, this one has {len(raw) >> 10}")
    check_shape(text, name=name)
    document = read_document(text, name=name)
    members = document.members(
        required=("name", "version", "nodes"), optional=("description", "inputs", "concurrency", "output")
    )
    inputs = _inputs(members["inputs"]) if "inputs" in members else {}
    drafts = [_draft(place, catalog) for place in _listed(members["nodes"], MAX_NODES, "nodes")]
    _check_needs(drafts)
    for draft in drafts:
        _check_names(draft.templates, inputs, draft)
    output, templates = read_value(members["output"]) if "output" in members else (None, ())
    _check_names(templates, inputs, None, ids=frozenset(draft.node.id for draft in drafts))
    return Workflow(
        name=_matching(members["name"], _NAME, "a name is [a-z][a-z0-9_-]{0,62}"),
        version=_number("version", members["version"], 1, 1_000_000_000, is_whole=True),
        inputs=inputs,
        concurrency=_number("concurrency", members["concurrency"], 1, MAX_CONCURRENCY, is_whole=True)
        if "concurrency" in members
        else 1,
        nodes=tuple(draft.node for draft in drafts),
        output=output if "output" in members else f"{{{{ nodes.{drafts[-1].node.id}.output }}}}",
        sha256=hashlib.sha256(raw).hexdigest(),
    )


def workflow_of(document: Any, *, catalog: ModeCatalog) -> Workflow:
    """A workflow that was sent as an object; lines are those of its JSON, indented by two.

    Raises:
        BadInput: As for a file.
    """
    if not isinstance(document, Mapping):
        raise BadInput(f"a workflow is an object, not {named(document)}", field="workflow")
    try:
        orjson.dumps(document)  # refuses what is no JSON, or nested without an end
        text = orjson.dumps(_with_yaml_numbers(document), option=orjson.OPT_INDENT_2).decode()
    except (TypeError, orjson.JSONEncodeError) as error:
        raise BadInput(f"the workflow is not JSON: {error}", field="workflow") from None
    text = _NO_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    return read_workflow(text, name="workflow", catalog=catalog)


def _with_yaml_numbers(value: Any) -> Any:
    """`1e+22` of JSON is a text in YAML, which wants a point and a sign: `1.0e+22`."""
    if isinstance(value, Mapping):
        return {name: _with_yaml_numbers(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_with_yaml_numbers(one) for one in value]
    if not isinstance(value, float) or "e" not in repr(value):
        return value
    digits, _, exponent = repr(value).partition("e")
    return orjson.Fragment(f"{digits if '.' in digits else f'{digits}.0'}e{exponent}")


def _inputs(place: Located) -> dict[str, InputSpec]:
    if place.is_list():
        return {_matching(item, _ID, "an input's name is [a-z][a-z0-9_]{0,62}"): InputSpec() for item in place.items()}
    found: dict[str, InputSpec] = {}
    for name, at, spec in place.pairs():
        _matching(at, _ID, "an input's name is [a-z][a-z0-9_]{0,62}")
        if len(found) >= MAX_INPUTS:
            at.refuse(f"a workflow has at most {MAX_INPUTS} inputs")
        found[name] = _input(spec) if spec.is_mapping() else InputSpec(kind=spec.one_of(KINDS))
    return found


def _input(place: Located) -> InputSpec:
    members = place.members(required=(), optional=("type", "meaning", "default"))
    kind = members["type"].one_of(KINDS) if "type" in members else "any"
    meaning = members["meaning"].scalar() if "meaning" in members else ""
    if "default" not in members:
        return InputSpec(kind, meaning)
    default, _ = read_value(members["default"], may_hold_templates=False)
    if default is not None and not fits(kind, default):
        members["default"].refuse(f"the default must be of type {kind}, not {named(default)}")
    return InputSpec(kind, meaning, is_required=False, default=default)


def _draft(place: Located, catalog: ModeCatalog) -> _Draft:
    members = place.members(required=("id", "mode"), optional=("needs", "when", "with", "retries", "timeout_s"))
    node_id = _matching(members["id"], _ID, "an id is [a-z][a-z0-9_]{0,62}")
    if node_id == OUTPUT:
        members["id"].refuse(f"{OUTPUT!r} is the name of the run's own row; give the node another id")
    mode = catalog.find(members["mode"].scalar())
    if mode is None:
        members["mode"].refuse(f"there is no mode {members['mode'].scalar()!r}; there are {', '.join(catalog.names)}")
    templates: list[FoundTemplate] = []
    when = _condition(members["when"], templates) if "when" in members else None
    given = _with(members.get("with"), mode, place, templates)
    needs = _listed(members["needs"], MAX_NODES, "needs") if "needs" in members else []
    node = NodeSpec(
        id=node_id,
        mode=mode.name,
        needs=tuple(need.scalar() for need in needs),
        when=when,
        given=given,
        retries=_number("retries", members["retries"], 0, MAX_RETRIES, is_whole=True) if "retries" in members else 0,
        timeout_s=_number("timeout_s", members["timeout_s"], 0.001, MAX_TIMEOUT_S)
        if "timeout_s" in members
        else DEFAULT_TIMEOUT_S,
        line=place.line,
    )
    return _Draft(node, place, tuple(needs), tuple(templates))


def _condition(place: Located, templates: list[FoundTemplate]) -> Template | bool:
    value = place.value()
    if isinstance(value, bool):
        return value
    text = place.scalar()
    if not is_template(text):
        place.refuse("'when' is true, false, or one expression in braces: '{{ nodes.check.output.passed }}'")
    with refused_at(place):
        template = compile_condition(text)
    templates.append(FoundTemplate(place, template))
    return template


def _with(place: Located | None, mode: Mode, node: Located, templates: list[FoundTemplate]) -> dict[str, Any]:
    places = {name: (at, value) for name, at, value in place.pairs()} if place is not None else {}
    for name, (at, _) in places.items():
        if name not in mode.fields:
            at.refuse(f"mode {mode.name!r} takes no {name!r}; it takes {', '.join(mode.fields)}")
    given: dict[str, Any] = {}
    for name, field in mode.fields.items():
        if name not in places:
            if field.is_required:
                (place or node).refuse(f"mode {mode.name!r} needs with.{name}: {field.meaning}")
            continue
        at, value_place = places[name]
        is_raw = field.is_raw and value_place.is_mapping()
        given[name], found = read_value(value_place, may_hold_templates=not is_raw)
        templates += found
        is_open = any(one.place is value_place for one in found)  # a template may give any type
        if not is_open and given[name] is not None and not fits(field.kind, given[name]):
            at.refuse(f"with.{name} must be of type {field.kind}, not {named(given[name])}")
    if mode.check is not None:
        with refused_at(place or node):
            mode.check(given)
    return given


def _check_needs(drafts: list[_Draft]) -> None:
    by_id: dict[str, _Draft] = {}
    for draft in drafts:
        if draft.node.id in by_id:
            draft.place.refuse(
                f"the id {draft.node.id!r} stands twice, here and in line {by_id[draft.node.id].place.line}"
            )
        by_id[draft.node.id] = draft
    for draft in drafts:
        for need in draft.needs:
            if need.scalar() not in by_id:
                need.refuse(f"there is no node {need.scalar()!r}; nodes are {', '.join(by_id)}")
    cycle = find_cycle({draft.node.id: draft.node.needs for draft in drafts})
    if cycle is not None:
        by_id[cycle[0]].place.refuse(f"nodes wait for each other in a circle: {' needs '.join(cycle)}")
    graph = {draft.node.id: draft.node.needs for draft in drafts}
    for draft in drafts:
        behind = ancestors(draft.node.id, graph)
        for found in draft.templates:
            for named_node in sorted(found.template.names.nodes - behind):
                if named_node not in by_id:
                    found.place.refuse(
                        f"it looks at node {named_node!r}, no node of this workflow; nodes are {', '.join(by_id)}"
                    )
                found.place.refuse(
                    f"it looks at node {named_node!r}, which {draft.node.id!r} does not wait for; write "
                    f"{named_node!r} into 'needs' of {draft.node.id!r}"
                )


def _check_names(
    templates: tuple[FoundTemplate, ...] | list[FoundTemplate],
    inputs: Mapping[str, InputSpec],
    draft: _Draft | None,
    *,
    ids: frozenset[str] = frozenset(),
) -> None:
    for found in templates:
        for name in sorted(found.template.names.inputs - set(inputs)):
            found.place.refuse(f"there is no input {name!r}; inputs are {', '.join(inputs) or 'none'}")
        for name in sorted(found.template.names.nodes - ids) if draft is None else ():
            found.place.refuse(f"there is no node {name!r}; nodes are {', '.join(sorted(ids))}")


def _listed(place: Located, most: int, what: str) -> list[Located]:
    if place.is_list() and place.value() == []:
        if what == "nodes":
            place.refuse("a workflow has one node at least")
        return []
    items = place.items()
    if len(items) > most:
        place.refuse(f"{what} has {len(items)} elements; at most {most} are taken")
    return items


def _matching(place: Located, pattern: re.Pattern[str], rule: str) -> str:
    text = place.scalar()
    if pattern.fullmatch(text) is None:
        place.refuse(f"{text[:80]!r} is refused: {rule}")
    return text


def _number(name: str, place: Located, least: float, most: float, *, is_whole: bool = False) -> Any:
    value = place.value()
    if not fits("integer" if is_whole else "number", value) or not least <= value <= most:
        place.refuse(f"{name!r} must be a {'whole ' if is_whole else ''}number from {least:g} to {most:g}")
    return value if is_whole else float(value)
