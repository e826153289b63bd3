"""One boolean SQL expression over a dataset, as search filters send it.

The expression is put where it stands alone (`SELECT (<expression>)`) and must be just that to the parser; then it is a
WHERE clause of ours. A bracket closed early or a clause smuggled in leaves another tree and is refused.

Belongs here: the statements. Not here: the gate (see gate.py), running them (see lakehouse/adapters/sql_filter.py).
"""

from __future__ import annotations

from lakehouse.query.quoting import quote_name


def bare_expression(expression: str) -> str:
    """A statement that is an expression alone if `expression` is one; the line ends close comments."""
    return f"SELECT (\n{expression}\n)"


def bracketed_expression(expression: str) -> str:
    """The same between other brackets: `false) OR (true` closes one kind early and not both."""
    return f"SELECT [\n{expression}\n]"


def typed_expression(dataset: str, expression: str) -> str:
    """A statement whose only column has the type of the expression over the dataset."""
    return f"SELECT (\n{expression}\n) AS expression FROM {quote_name(dataset)} LIMIT 0"


def matching_ids(dataset: str, id_column: str, expression: str) -> str:
    """A statement for the ids, as text, of the rows for which the expression is true."""
    column = f"CAST({quote_name(id_column)} AS VARCHAR) AS id"
    return f"SELECT {column} FROM {quote_name(dataset)} WHERE (\n{expression}\n)"
