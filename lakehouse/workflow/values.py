"""Values of a workflow's file with the templates in them, each with its line.

Belongs here: walking through values, the shape that a file may have. Not here: what templates may name (see
reading.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lakehouse.errors import BadInput
from lakehouse.workflow.template_rules import TemplateProblem
from lakehouse.workflow.templates import Template, compile_template, is_template
from lakehouse.yaml_lines import Located

_MAX_NESTING = 24


@dataclass(frozen=True, slots=True)
class FoundTemplate:
    """A template and where it stands."""

    place: Located
    template: Template


def check_shape(text: str, *, name: str) -> None:
    """Refuse what could grow while it is read: aliases, deep nesting, several documents.

    Raises:
        BadInput: With the line. What is no YAML passes; reading it says so.
    """
    import yaml

    depth = documents = 0
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            line = 1 if event.start_mark is None else event.start_mark.line + 1
            documents += isinstance(event, yaml.DocumentStartEvent)
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise BadInput(f"{name}, line {line}: anchors and aliases are not taken; write it out", line=line)
            if depth > _MAX_NESTING:
                raise BadInput(
                    f"{name}, line {line}: is nested deeper than {_MAX_NESTING}; write it flatter", line=line
                )
            if documents > 1:
                raise BadInput(f"{name}, line {line}: a second document begins; write one to a file", line=line)
    except yaml.YAMLError:
        return


def read_value(place: Located, *, may_hold_templates: bool = True) -> tuple[Any, list[FoundTemplate]]:
    """A value, and the templates in it.

    Args:
        place: Where it stands.
        may_hold_templates: False: a text with braces is that text.

    Raises:
        BadInput: A template is refused, with its line.
    """
    found: list[FoundTemplate] = []
    return _value(place, found if may_hold_templates else None), found


def _value(place: Located, found: list[FoundTemplate] | None) -> Any:
    if place.is_mapping():
        return {name: _value(value, found) for name, _, value in place.pairs()}
    if place.is_list():
        return [] if place.value() == [] else [_value(item, found) for item in place.items()]
    value = place.value()
    if not isinstance(value, str | int | float | bool | None):
        value = place.scalar()  # a date of YAML is a text of JSON
    if isinstance(value, float) and not math.isfinite(value):
        place.refuse("is not a number of JSON: it is not finite")
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        place.refuse("is not a number that can be kept: it passes 64 bits")
    if found is not None and isinstance(value, str) and is_template(value):
        with refused_at(place):
            found.append(FoundTemplate(place, compile_template(value)))
    return value


@contextmanager
def refused_at(place: Located) -> Iterator[None]:
    """Tell a refusal with the line where it stands."""
    try:
        yield
    except TemplateProblem as problem:
        lines = f" (line {problem.line} of the text)" if problem.line > 1 else ""
        place.refuse(f"{problem.detail}{lines}")
    except BadInput as problem:
        place.refuse(problem.detail)
