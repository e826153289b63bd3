"""Reading a workflow: YAML or JSON, checked whole before anything runs, every fault told with its line.

Belongs here: the members of a file, of an input, of a node. Not here: YAML (see lakehouse/yaml_lines.py), what nodes
refer to (see references.py), values with templates (see values.py), which modes there are (see catalog.py).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
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
from lakehouse.workflow.fields import KINDS, Field, fits, named
from lakehouse.workflow.mode import Mode
from lakehouse.workflow.references import Draft, check_nodes, check_output
from lakehouse.workflow.templates import Template, compile_condition, is_template
from lakehouse.workflow.values import FoundTemplate, check_shape, read_value, refused_at
from lakehouse.yaml_lines import Faults, Located, read_document

_ID = re.compile(r"[a-z][a-z0-9_]{0,62}")
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
# What YAML takes for a line's end, or does not take at all, in a text of JSON.
_NO_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def read_workflow(text: str, *, name: str, catalog: ModeCatalog) -> Workflow:
    """Read a workflow.

    Args:
        text: YAML, of which JSON is a part.
        name: What it is called in messages.
        catalog: The modes there are.

    Raises:
        BadInput: With each line that is wrong, what is wrong there and what it takes.
    """
    raw = text.encode("utf-8", "replace")
    if len(raw) > MAX_FILE_BYTES:
        raise BadInput(f"{name}: a workflow has at most {MAX_FILE_BYTES >> 10} KiB, this one has {len(raw) >> 10}")
    check_shape(text, name=name)
    return _workflow(read_document(text, name=name), catalog, sha256=hashlib.sha256(raw).hexdigest())


def _workflow(document: Located, catalog: ModeCatalog, *, sha256: str) -> Workflow:
    faults = Faults()
    members = document.members(
        required=("name", "version", "nodes"),
        optional=("description", "inputs", "concurrency", "output"),
        faults=faults,
    )
    title = faults.read(lambda: _matching(members["name"], _NAME, "a name is [a-z][a-z0-9_-]{0,62}"), "")
    version = faults.read(lambda: _number("version", members["version"], 1, 1_000_000_000, is_whole=True), 0)
    concurrency = 1
    with faults.gathered():
        if "concurrency" in members:
            concurrency = _number("concurrency", members["concurrency"], 1, MAX_CONCURRENCY, is_whole=True)
    inputs: dict[str, InputSpec] = faults.read(
        lambda: _inputs(members["inputs"], faults) if "inputs" in members else {}, {}
    )
    drafts: list[Draft] = []
    places: list[Located] = faults.read(lambda: _listed(members["nodes"], MAX_NODES, "nodes"), [])
    for place in places:
        with faults.gathered():
            drafts.append(_draft(place, catalog, faults))
    faults.tell()  # what refers to something that is wrong itself would be told twice
    check_nodes(drafts, inputs, faults)
    output: Any = f"{{{{ nodes.{drafts[-1].node.id}.output }}}}"
    with faults.gathered():
        if "output" in members:
            output, templates = read_value(members["output"])
            check_output(templates, drafts, inputs, faults)
    faults.tell()
    return Workflow(
        name=title,
        version=version,
        inputs=inputs,
        concurrency=concurrency,
        nodes=tuple(draft.node for draft in drafts),
        output=output,
        sha256=sha256,
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


def _inputs(place: Located, faults: Faults) -> dict[str, InputSpec]:
    if place.is_list():
        return {_matching(item, _ID, "an input's name is [a-z][a-z0-9_]{0,62}"): InputSpec() for item in place.items()}
    found: dict[str, InputSpec] = {}
    for name, at, spec in place.pairs():
        if len(found) >= MAX_INPUTS:
            at.refuse(f"a workflow has at most {MAX_INPUTS} inputs")
        with faults.gathered():
            _matching(at, _ID, "an input's name is [a-z][a-z0-9_]{0,62}")
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


def _draft(place: Located, catalog: ModeCatalog, faults: Faults) -> Draft:
    members = place.members(
        required=("id", "mode"), optional=("needs", "when", "with", "retries", "timeout_s"), faults=faults
    )
    mode = faults.read(lambda: _mode(members["mode"], catalog), None)
    templates: list[FoundTemplate] = []
    needs: dict[Located, str] = faults.read(lambda: _needs(members), {})
    node = NodeSpec(
        id=faults.read(lambda: _node_id(members["id"]), ""),
        mode="" if mode is None else mode.name,
        needs=tuple(needs.values()),
        when=faults.read(lambda: _condition(members["when"], templates) if "when" in members else None, None),
        given={} if mode is None else _with(members.get("with"), mode, place, templates, faults),
        retries=faults.read(lambda: _retries(members), 0),
        timeout_s=faults.read(lambda: _timeout(members), DEFAULT_TIMEOUT_S),
        line=place.line,
    )
    if mode is not None and "with" in members:
        _check_inside(members["with"], mode, catalog, faults)
    return Draft(node, place, tuple(needs), tuple(templates))


def _check_inside(place: Located, mode: Mode, catalog: ModeCatalog, faults: Faults) -> None:
    """Read a workflow that stands in a node: what is wrong in it would be refused when the file is run."""
    for name, _, value in place.pairs():
        if name in mode.fields and mode.fields[name].is_raw and value.is_mapping():
            with faults.gathered():
                _workflow(value, catalog, sha256="")


def _node_id(place: Located) -> str:
    node_id = _matching(place, _ID, "an id is [a-z][a-z0-9_]{0,62}")
    if node_id == OUTPUT:
        place.refuse(f"{OUTPUT!r} is the name of the run's own row; give the node another id")
    return node_id


def _mode(place: Located, catalog: ModeCatalog) -> Mode | None:
    mode = catalog.find(place.scalar())
    if mode is None:
        place.refuse(f"there is no mode {place.scalar()!r}; there are {', '.join(catalog.names)}")
    return mode


def _needs(members: Mapping[str, Located]) -> dict[Located, str]:
    places = _listed(members["needs"], MAX_NODES, "needs") if "needs" in members else []
    return {place: place.scalar() for place in places}


def _retries(members: Mapping[str, Located]) -> Any:
    return _number("retries", members["retries"], 0, MAX_RETRIES, is_whole=True) if "retries" in members else 0


def _timeout(members: Mapping[str, Located]) -> Any:
    if "timeout_s" not in members:
        return DEFAULT_TIMEOUT_S
    return _number("timeout_s", members["timeout_s"], 0.001, MAX_TIMEOUT_S)


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


def _with(
    place: Located | None,
    mode: Mode,
    node: Located,
    templates: list[FoundTemplate],
    faults: Faults,
) -> dict[str, Any]:
    before = faults.count
    places = {name: (at, value) for name, at, value in place.pairs()} if place is not None else {}
    for name, (at, _) in places.items():
        with faults.gathered():
            if name not in mode.fields:
                at.refuse(f"mode {mode.name!r} takes no {name!r}; it takes {', '.join(mode.fields)}")
    given: dict[str, Any] = {}
    for name, field in mode.fields.items():
        with faults.gathered():
            if name in places:
                given[name] = _field(name, field, *places[name], templates)
            elif field.is_required:
                (place or node).refuse(f"mode {mode.name!r} needs with.{name}: {field.meaning}")
    if mode.check is not None and faults.count == before:
        with refused_at(place or node):
            mode.check(given)
    return given


def _field(name: str, field: Field, at: Located, place: Located, templates: list[FoundTemplate]) -> Any:
    value, found = read_value(place, may_hold_templates=not (field.is_raw and place.is_mapping()))
    templates += found
    is_open = any(one.place is place for one in found)  # a template may give any type
    if not is_open and value is not None and not fits(field.kind, value):
        at.refuse(f"with.{name} must be of type {field.kind}, not {named(value)}")
    return value


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
