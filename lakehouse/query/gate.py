"""The gate: passes one statement that reads the catalog's datasets by listed functions, and nothing else.

It walks the parse tree that DuckDB itself gives (`json_serialize_sql`), so there is no second parser to disagree with.

Belongs here: rules over the tree. Not here: parsing (see lakehouse/adapters/duckdb_engine.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lakehouse.catalog.names import ENGINE_NAMES
from lakehouse.errors import BadInput, Forbidden
from lakehouse.query.functions import SCALAR_FUNCTIONS, TABLE_FUNCTIONS
from lakehouse.tables.reserved import PII_VIEWS

MAX_SQL_BYTES = 256 << 10
MAX_DEPTH = 400
# A plain identifier cannot be a path; a CTE must not lend its name to one of the engine's own tables elsewhere.
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SHOW_TABLES = ["SELECT_NODE", "SHOW_REF"]
_SHOWN = ("DESCRIBE", "SUMMARY")
# What a tree may consist of; what another version of the engine adds is refused until it is looked at.
_EXPRESSIONS = frozenset(
    {
        "BETWEEN", "CASE", "CAST", "COLLATE", "COLUMN_REF", "COMPARISON", "CONJUNCTION", "CONSTANT", "FUNCTION",
        "LAMBDA", "OPERATOR", "POSITIONAL_REFERENCE", "STAR", "SUBQUERY", "WINDOW",
    }
)  # fmt: skip
_SOURCES = frozenset(
    {
        "BASE_TABLE", "CTE_NODE", "EMPTY", "EXPRESSION_LIST", "JOIN", "PIVOT", "RECURSIVE_CTE_NODE", "SELECT_NODE",
        "SET_OPERATION_NODE", "SHOW_REF", "SUBQUERY", "TABLE_FUNCTION",
    }
)  # fmt: skip
_DETAILS = re.compile(r"[A-Z_]+_(MODIFIER|TYPE_INFO)|ASCENDING|DESCENDING|ORDER_DEFAULT")


@dataclass(frozen=True, slots=True)
class Gated:
    """A statement that may run.

    `tables` are the datasets and reserved views it names, in lower case; a name among `ctes` may also mean the query's
    own WITH, and need not be a dataset. `is_expression`: it is `SELECT <one expression>` and nothing more.
    """

    tables: frozenset[str]
    ctes: frozenset[str] = frozenset()
    is_show_tables: bool = False
    is_expression: bool = False


def check_tree(tree: Mapping[str, Any]) -> Gated:
    """Check a serialized statement.

    Args:
        tree: What `json_serialize_sql` answers, decoded.

    Raises:
        BadInput: It does not parse, is empty, or holds more than one statement or a parameter.
        Forbidden: It does something other than reading datasets with listed functions.
    """
    if tree.get("error"):
        if tree.get("error_type") == "not implemented":
            raise Forbidden(
                "only statements that read are allowed: SELECT, WITH, EXPLAIN, DESCRIBE, SHOW TABLES, SUMMARIZE;"
                " a PIVOT names its values: FROM t PIVOT (sum(x) FOR y IN ('a', 'b'))"
            )
        raise BadInput(f"the SQL does not parse: {tree.get('error_message')}")
    statements = tree["statements"]
    if not statements:
        raise BadInput("the SQL is empty; send one statement such as SELECT count(*) FROM workers")
    if len(statements) > 1:
        raise Forbidden(f"one statement a request is allowed; this has {len(statements)}")
    nodes = list(_nodes(statements[0]))
    ctes = frozenset(name for node in nodes for name in _cte_names(node))
    tables: set[str] = set()
    is_show_tables = False
    for node in nodes:
        _check_kind(node)
        _check_function(node)
        if node.get("type") == "BASE_TABLE":
            _check_table(node, ctes, tables)
        elif node.get("type") == "SHOW_REF":
            is_show_tables = _check_show(node) or is_show_tables
    kinds = [node["type"] for node in nodes if isinstance(node.get("type"), str) and "class" not in node]
    if is_show_tables and kinds != _SHOW_TABLES:
        raise Forbidden("SHOW TABLES stands alone")
    return Gated(frozenset(tables), ctes & tables, is_show_tables, _is_expression(statements[0]["node"]))


def _is_expression(node: Mapping[str, Any]) -> bool:
    """True for `SELECT <one expression>`: what closes a bracket early, or adds a clause, leaves another tree."""
    is_bare = (
        node.get("type") == "SELECT_NODE"
        and node.get("from_table", {}).get("type") == "EMPTY"
        and len(node.get("select_list", ())) == 1
        and node["select_list"][0].get("class") != "STAR"
        and not (node.get("cte_map") or {}).get("map")
    )
    clauses = ("modifiers", "where_clause", "group_expressions", "group_sets", "having", "qualify", "sample")
    return is_bare and not any(node.get(clause) for clause in clauses)


def _check_kind(node: Mapping[str, Any]) -> None:
    kind = node.get("type")
    if not isinstance(kind, str):
        return
    expression = node.get("class")
    if expression == "PARAMETER":
        raise BadInput("parameters such as ? and $1 are not supported; write the value")
    is_known = expression in _EXPRESSIONS if expression is not None else kind in _SOURCES or _DETAILS.fullmatch(kind)
    if not is_known:
        raise Forbidden(f"{expression or kind} is not allowed here")


def _nodes(root: Any) -> Iterator[Mapping[str, Any]]:
    pending: list[tuple[Any, int]] = [(root, 0)]
    while pending:
        value, depth = pending.pop()
        if depth > MAX_DEPTH:
            raise BadInput(f"the SQL is nested deeper than {MAX_DEPTH} levels")
        if isinstance(value, dict):
            yield value
            pending += [(item, depth + 1) for item in value.values()]
        elif isinstance(value, list):
            pending += [(item, depth + 1) for item in value]


def _cte_names(node: Mapping[str, Any]) -> list[str]:
    ctes = node.get("cte_map")
    entries = ctes.get("map", []) if isinstance(ctes, dict) else []
    names = [str(entry["key"]) for entry in entries]
    if isinstance(node.get("cte_name"), str):
        names.append(node["cte_name"])
    for name in names:
        if name and (not _PLAIN_NAME.fullmatch(name) or ENGINE_NAMES.fullmatch(name)):
            raise Forbidden(f"the name {name[:60]!r} is not allowed in WITH; use letters, digits and underscores")
    return [name.lower() for name in names]


def _check_function(node: Mapping[str, Any]) -> None:
    name = node.get("function_name")
    if not isinstance(name, str) or name == "":
        if node.get("type") == "TABLE_FUNCTION" and not _is_listed_table_function(node):
            raise Forbidden(
                "only the table functions range, generate_series, unnest, json_each and json_tree are allowed"
            )
        return
    # The parser itself writes `main` before what stands for {…} and [:].
    if node.get("schema") not in (None, "", "main") or node.get("catalog"):
        raise Forbidden(f"function {name[:60]!r} is not allowed with a schema")
    if name.lower() not in SCALAR_FUNCTIONS and name.lower() not in TABLE_FUNCTIONS:
        raise Forbidden(f"function {name[:60]!r} is not allowed; docs/reference/functions.md lists those that are")


def _is_listed_table_function(node: Mapping[str, Any]) -> bool:
    function = node.get("function")
    return isinstance(function, dict) and str(function.get("function_name", "")).lower() in TABLE_FUNCTIONS


def _check_table(node: Mapping[str, Any], ctes: frozenset[str], tables: set[str]) -> None:
    name = str(node.get("table_name", ""))
    if node.get("schema_name") or node.get("catalog_name"):
        raise Forbidden(f"table {name[:60]!r} is named with a schema; datasets have none")
    if node.get("at_clause"):
        raise Forbidden("AT is not supported; send as_of for the state of a time")
    if not _PLAIN_NAME.fullmatch(name):
        raise Forbidden(
            f"{name[:60]!r} is not a dataset: files and addresses cannot be read from SQL; ingest them first"
        )
    if ENGINE_NAMES.fullmatch(name):
        raise Forbidden(f"{name[:60]!r} is a table of the engine and cannot be read")
    if name.lower() in ctes and name.lower() in PII_VIEWS:
        raise Forbidden(f"{name!r} is a reserved name and cannot be used in WITH")
    tables.add(name.lower())


def _check_show(node: Mapping[str, Any]) -> bool:
    if node.get("show_type") in _SHOWN and node.get("query"):
        return False
    if node.get("show_type") == "SHOW_UNQUALIFIED" and node.get("table_name") == '"tables"':
        return True
    raise Forbidden("of SHOW only SHOW TABLES and SHOW <dataset> are allowed")
