"""Filters on metadata: how one is written, and what it means, row by row.

Belongs here: parsing a filter document, its form, and `matches`, the definition that everything faster must agree with.
Not here: many rows at once (see metadata_columns.py), fields that no corpus knows (see filter_fit.py).

    {"state": "OH", "certifications": {"contains": "OSHA-30"}, "or": [{"reliability": {"gte": 0.8}}, {"not": {…}}]}
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from lakehouse.errors import BadInput
from lakehouse.tables.reserved import MASK

Scalar: TypeAlias = str | bool | int | float
Kind: TypeAlias = Literal["text", "boolean", "number", "list", "object"]
MAX_CONDITIONS = 1_000
MAX_DEPTH = 32

OPERATORS = ("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "contains", "exists")
ORDERED = frozenset({"gt", "gte", "lt", "lte"})
_WORDS = ("and", "or", "not")


@dataclass(frozen=True, slots=True, eq=False)
class Compare:
    """A condition on one field; `value` is a tuple for `in` and `nin`.

    Two conditions are equal when they mean the same: with Python's `1 == True`, `{"a": 1}` and `{"a": true}` would be.
    """

    field: str
    op: str
    value: Scalar | tuple[Scalar, ...]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Compare) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash((self.field, self.op, self.value))

    def _identity(self) -> tuple[object, ...]:
        values = self.value if isinstance(self.value, tuple) else (self.value,)
        return (self.field, self.op, self.value, tuple(map(type, values)))


@dataclass(frozen=True, slots=True)
class And:
    """All of them; without any, every row."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """One of them at least."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The rows that `part` does not match."""

    part: Filter


Filter: TypeAlias = Compare | And | Or | Not


def parse_filter(document: object) -> Filter:
    """Read a filter as it came in JSON.

    Args:
        document: An object whose members must all hold: a field with a value (equality) or with operators, `and` and
            `or` with a list of filters, `not` with one. A field within a field is named by its path: `address.city`.

    Raises:
        BadInput: Names the path of what is wrong, and what may stand there.

    Source:
        CONTRACTS.md section 7.
    """
    return _Reader().filter_of(document, "filter", 1)


def conditions(filter: Filter) -> Iterator[Compare]:  # noqa: A002 - the word of the contract
    """Yield every comparison in it."""
    if isinstance(filter, Compare):
        yield filter
    else:
        for part in (filter.part,) if isinstance(filter, Not) else filter.parts:
            yield from conditions(part)


def matches(filter: Filter, metadata: Mapping[str, object], *, masked: frozenset[str] = frozenset()) -> bool:  # noqa: A002
    """Whether a row with this metadata passes; the meaning of a filter.

    A field that is missing or null passes only `exists: false`, `ne` and `nin`. Kinds never mix: true is not 1, "1" is
    not 1, while 1 and 1.0 are one number. Texts are ordered by code point.

    Args:
        filter: A parsed filter.
        metadata: A JSON object.
        masked: Columns that read as the constant `[masked]` in every row, in whatever case they are written.
    """
    return _holds(filter, fields_of(metadata), masked)


def fields_of(metadata: Mapping[str, object]) -> dict[str, object]:
    """Every field by its path.

    A member of an object inside is `outer.inner`; where two have one path, the outer one counts.
    """
    fields: dict[str, object] = {}
    waiting: deque[tuple[str, Mapping[str, object]]] = deque([("", metadata)])
    while waiting:
        prefix, members = waiting.popleft()
        for name, value in members.items():
            path = prefix + name
            if path not in fields:
                fields[path] = value
            if isinstance(value, dict):
                waiting.append((f"{path}.", value))
    return fields


def kind_of(value: object) -> Kind | None:
    """The kind of a JSON value; None for null."""
    if isinstance(value, str):
        return "text"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if value is None:
        return None
    return "list" if isinstance(value, list | tuple) else "object"


def mask_of(field: str, masked: frozenset[str]) -> Literal["constant", "gone"] | None:
    """How masking changes a field: it reads as the constant, or is missing as it is inside of one that does."""
    if not masked:
        return None
    path = field.casefold()
    for name in masked:
        hidden = name.casefold()
        if path == hidden:
            return "constant"
        if path.startswith(f"{hidden}."):
            return "gone"
    return None


def _holds(filter: Filter, fields: Mapping[str, object], masked: frozenset[str]) -> bool:  # noqa: A002
    if isinstance(filter, And):
        return all(_holds(part, fields, masked) for part in filter.parts)
    if isinstance(filter, Or):
        return any(_holds(part, fields, masked) for part in filter.parts)
    if isinstance(filter, Not):
        return not _holds(filter.part, fields, masked)
    mask = mask_of(filter.field, masked)
    value = fields.get(filter.field) if mask is None else MASK if mask == "constant" else None
    return holds(filter, value)


def holds(condition: Compare, value: object) -> bool:
    """Whether one value (None: missing or null) passes a comparison."""
    op, wanted = condition.op, condition.value
    if op == "exists":
        return (value is not None) == wanted
    if op in ("ne", "nin"):
        return not _is_one_of(value, wanted if isinstance(wanted, tuple) else (wanted,))
    if value is None:
        return False
    if op in ("eq", "in"):
        return _is_one_of(value, wanted if isinstance(wanted, tuple) else (wanted,))
    if op == "contains":
        if isinstance(value, list):
            return any(_is_one_of(element, (wanted,)) for element in value)
        return isinstance(value, str) and isinstance(wanted, str) and wanted in value
    return kind_of(value) == kind_of(wanted) and _IN_ORDER[op](value, wanted)


def _is_one_of(value: object, wanted: tuple[object, ...]) -> bool:
    kind = kind_of(value)
    return kind not in (None, "list", "object") and any(kind_of(one) == kind and one == value for one in wanted)


_IN_ORDER: dict[str, Callable[[object, object], bool]] = {
    "gt": lambda a, b: a > b,  # type: ignore[operator]
    "gte": lambda a, b: a >= b,  # type: ignore[operator]
    "lt": lambda a, b: a < b,  # type: ignore[operator]
    "lte": lambda a, b: a <= b,  # type: ignore[operator]
}


class _Reader:
    """Reads one document and counts what is in it."""

    def __init__(self) -> None:
        self._count = 0

    def filter_of(self, document: object, path: str, depth: int) -> Filter:
        if not isinstance(document, dict):
            raise BadInput(f'{path} must be an object such as {{"state": "OH"}}, not {_shown(document)}')
        if depth > MAX_DEPTH:
            raise BadInput(f"{path} is nested deeper than {MAX_DEPTH} levels")
        parts: list[Filter] = []
        for name, value in document.items():
            where = f"{path}.{name}"
            if not isinstance(name, str) or not name or not _is_unicode(name):
                raise BadInput(f"{path} names the field {name!r}; a field's name is a text that is not empty")
            if name == "not":
                parts.append(Not(self.filter_of(value, where, depth + 1)))
            elif name in _WORDS:
                inner = tuple(
                    self.filter_of(v, f"{where}[{i}]", depth + 1) for i, v in enumerate(_filled(value, where))
                )
                parts.append(And(inner) if name == "and" else Or(inner))
            else:
                parts += self._field(name, value, where)
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _field(self, field: str, value: object, path: str) -> list[Filter]:
        if not isinstance(value, dict):
            return [self._compare(field, "eq", value, path)]
        if not value:
            raise BadInput(f"{path} names no operator; known: {', '.join(OPERATORS)}")
        return [self._compare(field, op, wanted, f"{path}.{op}") for op, wanted in value.items()]

    def _compare(self, field: str, op: str, value: object, path: str) -> Compare:
        self._count += 1
        if self._count > MAX_CONDITIONS:
            raise BadInput(f"the filter has more than {MAX_CONDITIONS} conditions; name many values by one 'in'")
        if op not in OPERATORS:
            raise BadInput(
                f"{path}: there is no operator {op!r}; known: {', '.join(OPERATORS)}."
                f" A field inside an object is named by its path: {field}.{op}"
            )
        return Compare(field, op, _value(op, value, path))


def _value(op: str, value: object, path: str) -> Scalar | tuple[Scalar, ...]:
    if op == "exists":
        if not isinstance(value, bool):
            raise BadInput(f"{path} must be true or false, not {_shown(value)}")
        return value
    if op in ("in", "nin"):
        if not isinstance(value, list | tuple):
            raise BadInput(f"{path} must be a list of values, not {_shown(value)}")
        return tuple(_scalar(one, f"{path}[{i}]", "") for i, one in enumerate(value))
    hint = '; use {"in": […]} or {"contains": …}' if isinstance(value, list) else ""
    scalar = _scalar(value, path, hint)
    if op in ORDERED and isinstance(scalar, bool):
        raise BadInput(f"{path} must be a number or a text, not {_shown(value)}")
    return scalar


def _scalar(value: object, path: str, hint: str) -> Scalar:
    if value is None:
        raise BadInput(f'{path} must not be null; use {{"exists": false}} for what is missing')
    if not isinstance(value, str | bool | int | float):
        raise BadInput(f"{path} must be a text, a number, true or false, not {_shown(value)}{hint}")
    if isinstance(value, float) and not math.isfinite(value):
        raise BadInput(f"{path} must be a finite number, not {value}")
    if isinstance(value, str) and not _is_unicode(value):
        raise BadInput(f"{path} is not valid Unicode")
    return value


def _filled(value: object, path: str) -> list[object]:
    if not isinstance(value, list) or not value:
        raise BadInput(f"{path} must be a list of filters with one at least, not {_shown(value)}")
    return value


def _is_unicode(text: str) -> bool:
    # A lone surrogate, which JSON can escape and UTF-8 cannot encode.
    return text.isascii() or not any("\ud800" <= c <= "\udfff" for c in text)


def _shown(value: object) -> str:
    kind = kind_of(value)
    return "null" if kind is None else {"list": "a list", "object": "an object"}.get(kind, repr(value)[:60])
