"""Templates: texts with `{{ … }}` in them, checked before a run, and rendered in it.

A template that is one expression gives the value itself, of whatever type; any other gives text.

Belongs here: compiling, rendering, templates inside of lists and mappings. Not here: the sandbox (see sandbox.py),
which names there are (see reading.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jinja2 import TemplateError, TemplateSyntaxError, Undefined
from jinja2 import nodes as ast
from jinja2.environment import TemplateExpression

from lakehouse.errors import BadInput
from lakehouse.workflow.sandbox import BUDGET, MAX_TEXT, Budget, Sandbox, bounded
from lakehouse.workflow.template_rules import Names, TemplateProblem, check_tree, count_in, single_expression

MAX_TEMPLATE = 32 << 10
_MAX_NESTING = 32
_RESULT = "result"


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled template and what it names."""

    text: str
    names: Names
    run: Callable[[Mapping[str, Any]], Any]

    def render(self, values: Mapping[str, Any]) -> Any:
        """Its value, JSON all through.

        Args:
            values: `inputs` and `nodes`.

        Raises:
            BadInput: It looks at what is not there, makes too much, or gives what is no JSON.
        """
        spent = BUDGET.set(Budget())
        try:
            return _plain(self.run(values))
        except TemplateError as error:
            raise BadInput(f"the template {_shown(self.text)} cannot be rendered: {error.message or error}") from None
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise BadInput(f"the template {_shown(self.text)} cannot be rendered: {error}") from None
        finally:
            BUDGET.reset(spent)


def is_template(text: str) -> bool:
    """Whether a text is more than itself."""
    return any(mark in text for mark in ("{{", "{%", "{#"))


@lru_cache(maxsize=1024)
def compile_template(text: str) -> Template:
    """A template, ready to be rendered.

    Raises:
        TemplateProblem: It is no template, too long, or uses what no template may.
    """
    if len(text) > MAX_TEMPLATE:
        raise TemplateProblem(f"a template has at most {MAX_TEMPLATE >> 10} KiB", line=1)
    sandbox = _sandbox()
    try:
        tree = sandbox.parse(text)
        names = check_tree(tree, _FILTERS, frozenset(sandbox.tests))
        only = single_expression(tree)
        count_in(tree)
        only = single_expression(tree) if only is not None else None
        run = _as_text(sandbox, tree) if only is None else _as_value(sandbox, only)
    except TemplateSyntaxError as error:
        raise TemplateProblem(f"is not a template: {error.message}", line=error.lineno) from None
    except (RecursionError, MemoryError, SyntaxError, UnicodeError, ValueError, OverflowError):
        raise TemplateProblem("is nested too deep, or holds what no template can", line=1) from None
    return Template(text, names, run)


def compile_condition(text: str) -> Template:
    """A template that must be one expression.

    Raises:
        TemplateProblem: It is none.
    """
    template = compile_template(text)
    if single_expression(_sandbox().parse(text)) is None:
        raise TemplateProblem("a condition is one expression: '{{ nodes.check.output.passed }}'", line=1)
    return template


def render_all(value: Any, values: Mapping[str, Any]) -> Any:
    """A value with every template in it rendered."""
    if isinstance(value, str):
        return compile_template(value).render(values) if is_template(value) else value
    if isinstance(value, Mapping):
        return {name: render_all(one, values) for name, one in value.items()}
    if isinstance(value, list):
        return [render_all(one, values) for one in value]
    return value


def _sandbox() -> Sandbox:
    return _SANDBOX


def _as_text(sandbox: Sandbox, tree: ast.Template) -> Callable[[Mapping[str, Any]], Any]:
    template = sandbox.from_string(tree)

    def run(values: Mapping[str, Any]) -> str:
        parts: list[str] = []
        length = 0
        for part in template.generate(values):
            length += len(part)
            if length > MAX_TEXT:
                bounded(" " * (MAX_TEXT + 1))
            parts.append(part)
        return "".join(parts)

    return run


def _as_value(sandbox: Sandbox, expression: ast.Expr) -> Callable[[Mapping[str, Any]], Any]:
    # As `compile_expression` does, of a tree that counting was put into.
    body = [ast.Assign(ast.Name(_RESULT, "store"), expression, lineno=1)]
    template = sandbox.from_string(ast.Template(body, lineno=1))
    given: Callable[[Mapping[str, Any]], Any] = TemplateExpression(template, undefined_to_none=False)
    return given


def _plain(value: Any, depth: int = 0) -> Any:
    """JSON of what an expression gave."""
    if isinstance(value, Undefined):
        str(value)  # raises, and says what is missing
    if depth > _MAX_NESTING:
        raise BadInput(f"a value is nested deeper than {_MAX_NESTING}")
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return bounded(str(value))
    if isinstance(value, float):
        if not math.isfinite(value):
            raise BadInput("a template gives a number that is not finite")
        return value
    if isinstance(value, Mapping):
        return {str(name): _plain(one, depth + 1) for name, one in value.items()}
    if isinstance(value, list | tuple | Iterator):
        return [_plain(one, depth + 1) for one in value]
    raise BadInput(f"a template gives {type(value).__name__}, which is not a value of JSON")


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}…")


_SANDBOX = Sandbox()
_FILTERS = frozenset(name for name in _SANDBOX.filters if " " not in name)
