"""Quoting for SQL text that is put together here: names and strings, as DuckDB reads them.

Belongs here: the two quotings. Not here: statements.
"""

from __future__ import annotations


def quote_text(value: str) -> str:
    """A string literal."""
    return "'" + value.replace("'", "''") + "'"


def quote_name(value: str) -> str:
    """An identifier."""
    return '"' + value.replace('"', '""') + '"'
