"""The sandbox of templates: a Jinja2 environment that reaches JSON values and nothing else.

No attribute of a Python object can be reached: a dot and an index look into mappings, lists and texts alone. Nothing
can be called. What can grow is counted: loops, what filters go over, texts.

Belongs here: the environment, its budget, its filters. Not here: which parts of the language are taken (see
template_rules.py), templates (see templates.py).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from contextvars import ContextVar
from typing import Any

import orjson
from jinja2 import StrictUndefined, Undefined, pass_environment
from jinja2.filters import FILTERS
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from lakehouse.errors import BadInput
from lakehouse.query.quoting import quote_text

MAX_STEPS = 100_000
MAX_TEXT = 512 << 10
_MAX_INTEGER = 1 << 63
_LOOP = frozenset({"index", "index0", "first", "last", "length", "revindex", "revindex0", "previtem", "nextitem"})
_AS_THEY_ARE = (
    "abs", "capitalize", "count", "default", "d", "dictsort", "first", "float", "int", "items", "last", "length",
    "list", "lower", "map", "max", "min", "reject", "rejectattr", "reverse", "select", "selectattr", "sort", "string",
    "title", "trim", "truncate", "unique", "upper", "wordcount",
)  # fmt: skip
COUNTED = "counted steps of a loop"  # no template can write these names: they hold spaces
JOINED = "parts as one text"
WEIGHED = "a value that is gone through"


class Budget:
    """What one rendering may still do."""

    def __init__(self) -> None:
        self._steps = MAX_STEPS

    def spend(self, steps: int) -> None:
        """Count steps.

        Raises:
            BadInput: There are too many.
        """
        self._steps -= steps
        if self._steps < 0:
            raise BadInput(f"a template goes over more than {MAX_STEPS:,} elements; hand it less")


BUDGET: ContextVar[Budget] = ContextVar("template budget")


class Sandbox(ImmutableSandboxedEnvironment):
    """Values of JSON, no calls, bounded arithmetic."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, autoescape=False, optimized=False, keep_trailing_newline=True)
        self.globals.clear()
        of_jinja: Mapping[str, Any] = FILTERS
        self.filters = {name: _charged(of_jinja[name]) for name in _AS_THEY_ARE}
        own: Mapping[str, Any] = {
            "join": _join, "replace": _replace, "round": _round, "sum": _sum, "tojson": _tojson, "sql": _sql,
        }  # fmt: skip
        self.filters |= {name: _charged(function) for name, function in own.items()}
        self.filters |= {COUNTED: _counted, JOINED: _joined, WEIGHED: _weighed}

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A member of a mapping, or what a loop knows of itself; nothing of any other object."""
        if isinstance(obj, Mapping):
            return obj[attribute] if attribute in obj else self.undefined(obj=obj, name=attribute)
        if isinstance(obj, LoopContext) and attribute in _LOOP:
            return super().getattr(obj, attribute)
        return self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """A member of a mapping, an element of a list, a character of a text."""
        is_place = isinstance(argument, int | slice) and isinstance(obj, list | tuple | str)
        if is_place or (isinstance(obj, Mapping) and isinstance(argument, str)):
            try:
                return obj[argument]
            except (LookupError, TypeError, ValueError):
                pass
        return self.undefined(obj=obj, name=argument)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Arithmetic of numbers; `+` also puts texts or lists together."""
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            return _joined(left, right)
        if operator == "+" and isinstance(left, list) and isinstance(right, list):
            BUDGET.get().spend(len(left) + len(right))
            return left + right
        for value in (left, right):
            if isinstance(value, Undefined):
                str(value)  # it says what is missing
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise BadInput(f"{operator!r} takes numbers in a template, not {type(value).__name__}")
        try:
            result = super().call_binop(context, operator, left, right)
        except (ArithmeticError, ValueError) as error:
            raise BadInput(f"a template cannot reckon: {error}") from None
        if isinstance(result, int) and abs(result) >= _MAX_INTEGER:
            raise BadInput("a number in a template passes 64 bits")
        return result


def bounded(text: str) -> str:
    """A text, if it is not too long.

    Raises:
        BadInput: It is.
    """
    if len(text) > MAX_TEXT:
        raise BadInput(f"a template makes more than {MAX_TEXT >> 10} KiB of text; hand it less")
    return text


def _charged(function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that pays for what it goes over; what is lazy pays as it goes."""
    place = 1 if hasattr(function, "jinja_pass_arg") else 0

    @functools.wraps(function)
    def charged(*args: Any, **kwargs: Any) -> Any:
        value = args[place]
        if isinstance(value, Mapping | list | tuple):
            BUDGET.get().spend(len(value) + 1 + _weight(value))
        elif isinstance(value, Iterator):
            value = list(_counted(value))
        else:
            is_sized = isinstance(value, Sized) and not isinstance(value, Undefined)
            BUDGET.get().spend(1 + (len(value) >> 10 if is_sized else 0))
        if isinstance(value, Mapping | list | tuple):
            # What each element is held against is gone through each time: `select('in', …)`.
            BUDGET.get().spend(len(value) * sum(map(_weight, args[place + 1 :])))
        return function(*args[:place], value, *args[place + 1 :], **kwargs)

    return charged


def _counted(values: Iterable[Any]) -> Iterator[Any]:
    if isinstance(values, Undefined):
        str(values)  # it says what is missing
    if not isinstance(values, Mapping | list | tuple | Iterator):
        raise BadInput(f"a loop goes over a list, not {type(values).__name__}")
    budget = BUDGET.get()
    for value in values:
        budget.spend(1)
        yield value


def _weight(value: Any) -> int:
    """Steps that it takes to go through all of a value: one for 16 elements, one for a KiB of text."""
    found, left = 0, [value]
    while left and found >> 4 <= MAX_STEPS:
        one = left.pop()
        if isinstance(one, str):
            found += len(one) >> 6
        elif isinstance(one, Mapping):
            found += len(one)
            left += one.values()
        elif isinstance(one, list | tuple):
            found += len(one)
            left += one
    return found >> 4


def _weighed(value: Any) -> Any:
    """What is compared, or copied in part: it pays each time."""
    BUDGET.get().spend(1 + _weight(value))
    return value


def _joined(*parts: Any) -> str:
    BUDGET.get().spend(1 + sum(map(_weight, parts)))
    texts = [part if isinstance(part, str) else str(part) for part in parts]
    if sum(map(len, texts)) > MAX_TEXT:
        bounded(" " * (MAX_TEXT + 1))
    return "".join(texts)


def _join(values: Any, separator: str = "", attribute: str | None = None) -> str:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise BadInput(f"'join' takes a list, not {type(values).__name__}")
    given = [value.get(attribute) if attribute and isinstance(value, Mapping) else value for value in values]
    texts = [value if isinstance(value, str) else str(value) for value in given]
    if sum(map(len, texts)) + len(separator) * len(texts) > MAX_TEXT:
        bounded(" " * (MAX_TEXT + 1))
    return separator.join(texts)


def _replace(text: Any, old: Any, new: Any) -> str:
    if not all(isinstance(value, str) for value in (text, old, new)) or not old:
        raise BadInput("'replace' takes a text, what is replaced, and by what")
    if len(text) + text.count(old) * len(new) > MAX_TEXT:
        bounded(" " * (MAX_TEXT + 1))
    return str(text.replace(old, new))


def _round(value: Any, precision: int = 0) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= precision <= 15:
        raise BadInput("'round' takes a number and up to 15 digits")
    return round(float(value), precision)


@pass_environment
def _sum(environment: Any, values: Any, attribute: str | None = None, start: Any = 0) -> Any:
    """Of numbers: lists that are added one by one would be copied each time."""
    if isinstance(start, bool) or not isinstance(start, int | float):
        raise BadInput("'sum' takes a list of numbers, and a number to start with")
    summed: Any = FILTERS["sum"]
    return summed(environment, values, attribute, start)


def _tojson(value: Any, indent: int | None = None) -> str:
    """JSON as it is written for readers and models, not for a page."""
    try:
        return bounded(orjson.dumps(value, option=orjson.OPT_INDENT_2 if indent else None).decode())
    except (TypeError, orjson.JSONEncodeError) as error:
        raise BadInput(f"'tojson' cannot write this: {error}") from None


def _sql(value: Any) -> str:
    """A literal of SQL: whatever is in it, it stays a value."""
    if isinstance(value, bool) or value is None:
        return {True: "TRUE", False: "FALSE", None: "NULL"}[value]
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list):
        return f"({', '.join(_sql(one) for one in value)})"
    if not isinstance(value, str):
        raise BadInput(
            f"'sql' takes a text, a number, true, false or null, or a list of them; not {type(value).__name__}"
        )
    return quote_text(value)
