"""The shape of an answer: its columns, and a statement whose values Python can hold.

Belongs here: asking the engine for types, and the cast around types that Python bends. Not here: JSON (see
lakehouse/query/json_values.py), running statements (see sql_worker.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lakehouse.query.json_values import fetched_as_text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class Shape:
    """What to run instead of a statement, and the columns that the statement has."""

    sql: str
    columns: tuple[tuple[str, str], ...]


def find_shape(connection: DuckDBPyConnection, text: str) -> Shape | None:
    """The shape of a statement with columns that are fetched as text; None for one that runs as it is.

    Infinite dates, intervals of months and nanoseconds can be written by DuckDB as text but have no Python object. The
    statement becomes a subquery, in the text that DuckDB makes from its own parse tree, without comments and
    semicolons.
    """
    import duckdb

    try:
        described = connection.execute(f"DESCRIBE {text}").fetchall()
    except duckdb.InterruptException:
        raise  # this says nothing about the statement's shape
    except duckdb.Error:
        return None  # DESCRIBE and the like run as they are; an error is best reported by the statement itself
    columns = tuple((str(row[0]), str(row[1])) for row in described)
    if not any(fetched_as_text(type_name) for _, type_name in columns):
        return None
    row = connection.execute("SELECT json_deserialize_sql(json_serialize_sql(?))", [text]).fetchone()
    if row is None:
        return None
    chosen = ", ".join(
        f"CAST(c{n} AS VARCHAR)" if fetched_as_text(type_name) else f"c{n}" for n, (_, type_name) in enumerate(columns)
    )
    names = ", ".join(f"c{n}" for n in range(len(columns)))
    sql = f"SELECT {chosen} FROM ({row[0]}) AS answer({names})"
    try:
        connection.execute(f"DESCRIBE {sql}")
    except duckdb.InterruptException:
        raise
    except duckdb.Error:
        return None
    return Shape(sql, columns)
