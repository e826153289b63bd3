"""What of Jinja2's language a workflow may use: output, `if`, `for`, and expressions without calls.

Belongs here: the check of a parse tree, what it names, the counting that is put into it. Not here: the environment that
runs it (see sandbox.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from jinja2 import nodes as ast

from lakehouse.errors import BadInput
from lakehouse.workflow.sandbox import COUNTED, JOINED, WEIGHED

INPUTS, NODES = "inputs", "nodes"
MAX_DEPTH = 60
_MAX_LOOPS = 3
_TAKEN: tuple[type[ast.Node], ...] = (
    ast.Template, ast.Output, ast.TemplateData, ast.Name, ast.Const, ast.Getattr, ast.Getitem, ast.Slice, ast.Filter,
    ast.Test, ast.Compare, ast.Operand, ast.And, ast.Or, ast.Not, ast.CondExpr, ast.If, ast.For, ast.Concat, ast.Add,
    ast.Sub, ast.Mul, ast.Div, ast.FloorDiv, ast.Mod, ast.Neg, ast.Pos, ast.List, ast.Tuple, ast.Dict, ast.Pair,
    ast.Keyword,
)  # fmt: skip
_WORDS = {ast.Call: "a call", ast.Pow: "'**'", ast.Assign: "'set'", ast.Macro: "'macro'", ast.Include: "'include'"}


@dataclass(frozen=True, slots=True)
class Names:
    """What a template looks at: inputs by name, nodes by id."""

    inputs: frozenset[str]
    nodes: frozenset[str]


class TemplateProblem(BadInput):
    """A template is refused; `line` counts from its own first line."""

    def __init__(self, problem: str, *, line: int) -> None:
        super().__init__(problem, line=line)
        self.line = line


def check_tree(tree: ast.Template, filters: frozenset[str], tests: frozenset[str]) -> Names:
    """Refuse what is not of the language, and say what is named.

    Args:
        tree: As it was parsed, before `count_in`.
        filters: Filters that may be used.
        tests: Tests that may be used.

    Raises:
        TemplateProblem: With the line.
    """
    inputs: set[str] = set()
    nodes: set[str] = set()
    for node, loops, locals_ in _walk(tree):
        if type(node) not in _TAKEN:
            _refuse(node, f"{_WORDS.get(type(node), type(node).__name__.lower())} cannot stand in a template")
        if isinstance(node, ast.For) and (node.recursive or loops > _MAX_LOOPS):
            _refuse(node, f"loops go {_MAX_LOOPS} deep at most, and not into themselves")
        if isinstance(node, ast.Filter) and (node.node is None or node.name not in filters):
            _refuse(node, f"there is no filter {node.name!r}; there are {', '.join(sorted(filters))}")
        if isinstance(node, ast.Test) and node.name not in tests:
            _refuse(node, f"there is no test {node.name!r}")
        if isinstance(node, ast.Getattr) and node.attr.startswith("_"):
            _refuse(node, f"{node.attr!r} is out of a template's reach")
        if isinstance(node, ast.Getattr | ast.Getitem):
            _note_member(node, locals_, inputs, nodes)
        if isinstance(node, ast.Name) and node.ctx == "load" and node.name not in locals_ | {INPUTS, NODES}:
            _refuse(node, f"there is no {node.name!r}; a template knows 'inputs' and 'nodes'")
    return Names(frozenset(inputs), frozenset(nodes))


def count_in(tree: ast.Template) -> None:
    """Put counting into a tree that was checked: loops pay for steps, `~`, comparing and slicing for sizes."""
    for loop in list(tree.find_all(ast.For)):
        loop.iter = _filter(COUNTED, loop.iter, [])
    for parent in list(_all(tree)):
        for name, value in list(parent.iter_fields()):
            if isinstance(value, ast.Concat):
                setattr(parent, name, _filter(JOINED, value.nodes[0], value.nodes[1:]))
            elif isinstance(value, list):
                value[:] = [
                    _filter(JOINED, one.nodes[0], one.nodes[1:]) if isinstance(one, ast.Concat) else one
                    for one in value
                ]
    for compare in tree.find_all(ast.Compare):
        compare.expr = _filter(WEIGHED, compare.expr, [])
    for operand in tree.find_all(ast.Operand):
        operand.expr = _filter(WEIGHED, operand.expr, [])
    for test in tree.find_all(ast.Test):
        if test.args:
            test.node, test.args = _filter(WEIGHED, test.node, []), [_filter(WEIGHED, one, []) for one in test.args]
    for item in tree.find_all(ast.Getitem):
        if isinstance(item.arg, ast.Slice):
            item.node = _filter(WEIGHED, item.node, [])


def single_expression(tree: ast.Template) -> ast.Expr | None:
    """The expression that is all of a template; None where there is text around it, or more than one."""
    if len(tree.body) != 1 or not isinstance(tree.body[0], ast.Output):
        return None
    parts = [part for part in tree.body[0].nodes if not _is_blank(part)]
    return parts[0] if len(parts) == 1 and not isinstance(parts[0], ast.TemplateData) else None


def _is_blank(node: ast.Node) -> bool:
    return isinstance(node, ast.TemplateData) and not node.data.strip()


def _note_member(node: ast.Getattr | ast.Getitem, locals_: frozenset[str], inputs: set[str], nodes: set[str]) -> None:
    of = node.node
    if not isinstance(of, ast.Name) or of.name in locals_ or of.name not in (INPUTS, NODES):
        return
    named: Any = node.attr if isinstance(node, ast.Getattr) else None
    if isinstance(node, ast.Getitem) and isinstance(node.arg, ast.Const):
        named = node.arg.value
    if not isinstance(named, str):
        _refuse(node, f"name the member of {of.name!r}, so that it can be checked before the run")
    (inputs if of.name == INPUTS else nodes).add(named)


def _walk(tree: ast.Template) -> Iterator[tuple[ast.Node, int, frozenset[str]]]:
    """Every node with the number of loops around it and the names that these give; no recursion of Python's."""
    left: list[tuple[ast.Node, int, int, frozenset[str]]] = [(tree, 0, 0, frozenset())]
    while left:
        node, depth, loops, locals_ = left.pop()
        if depth > MAX_DEPTH:
            _refuse(node, f"a template is nested deeper than {MAX_DEPTH}")
        if isinstance(node, ast.For):
            names = {name.name for name in [node.target, *node.target.find_all(ast.Name)] if isinstance(name, ast.Name)}
            if names & {INPUTS, NODES}:
                _refuse(node, "a loop must not give its variable the name 'inputs' or 'nodes'")
            inner = locals_ | names | {"loop"}
            yield node, loops + 1, locals_
            left.append((node.iter, depth + 1, loops, locals_))
            parts = [*node.body, *([node.test] if node.test else []), node.target]
            left += [(part, depth + 1, loops + 1, inner) for part in parts]
            left += [(part, depth + 1, loops, locals_) for part in node.else_]
            continue
        _refuse_bare(node)
        yield node, loops, locals_
        left += [(child, depth + 1, loops, locals_) for child in node.iter_child_nodes()]


def _refuse_bare(node: ast.Node) -> None:
    """`nodes` as a whole tells nothing of what a node waits for."""
    for child in node.iter_child_nodes():
        is_member = isinstance(node, ast.Getattr | ast.Getitem) and child is node.node
        if isinstance(child, ast.Name) and child.name == NODES and child.ctx == "load" and not is_member:
            _refuse(child, "'nodes' needs the id of a node behind it: nodes.<id>.output")


def _all(tree: ast.Node) -> Iterator[ast.Node]:
    left = [tree]
    while left:
        node = left.pop()
        yield node
        left += node.iter_child_nodes()


def _filter(name: str, value: ast.Node, args: list[Any]) -> ast.Filter:
    return ast.Filter(value, name, args, [], None, None, lineno=value.lineno)


def _refuse(node: ast.Node, problem: str) -> NoReturn:
    raise TemplateProblem(problem, line=max(1, node.lineno or 1))
