"""The gate over the engine's own parse trees: what reads passes, everything else is refused."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.adapters.duckdb_engine import parse
from lakehouse.errors import BadInput, Forbidden
from lakehouse.query.expression import bare_expression
from lakehouse.query.functions import SCALAR_FUNCTIONS, TABLE_FUNCTIONS
from lakehouse.query.gate import Gated, check_tree
from tests.sql_attacks import ATTACKS, EXPLAIN_IN_COMMENTS, READS


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def gate(engine: duckdb.DuckDBPyConnection, sql: str) -> Gated:
    return check_tree(parse(engine, sql)[0])


@pytest.mark.parametrize("sql", ATTACKS)
def test_statement_that_does_more_than_read_is_refused(engine: duckdb.DuckDBPyConnection, sql: str) -> None:
    with pytest.raises((Forbidden, BadInput)):
        gate(engine, sql)


@pytest.mark.parametrize("sql", READS)
def test_statement_that_reads_passes(engine: duckdb.DuckDBPyConnection, sql: str) -> None:
    assert gate(engine, sql).tables <= {"people", "a", "r", "builds"}


@pytest.mark.parametrize("sql", EXPLAIN_IN_COMMENTS)
def test_explain_analyze_behind_nested_comments_is_refused(engine: duckdb.DuckDBPyConnection, sql: str) -> None:
    with pytest.raises(Forbidden, match="ANALYZE"):
        gate(engine, sql)


def test_what_is_run_of_an_explain_is_what_was_looked_at(engine: duckdb.DuckDBPyConnection) -> None:
    tree, text = parse(engine, "-- why\nexplain /* x */ SELECT 1 -- end")
    check_tree(tree)
    assert text.split() == ["EXPLAIN", "/*", "x", "*/", "SELECT", "1", "--", "end"]


def test_named_tables_are_given(engine: duckdb.DuckDBPyConnection) -> None:
    gated = gate(engine, 'WITH a AS (SELECT * FROM Workers) SELECT * FROM a, (SELECT 1 FROM "client_blocks") AS x')
    assert gated.tables == {"a", "workers", "client_blocks"}
    assert gated.ctes == {"a"}


@pytest.mark.parametrize("name", ["evidence", "quarantine", "pathways"])
def test_personal_views_name_no_with(engine: duckdb.DuckDBPyConnection, name: str) -> None:
    with pytest.raises(Forbidden, match="reserved"):
        gate(engine, f"SELECT * FROM (WITH {name} AS (SELECT 1) SELECT 1), {name}")


def test_deep_nesting_is_refused(engine: duckdb.DuckDBPyConnection) -> None:
    sql = "SELECT " + "(SELECT " * 150 + "1" + ")" * 150
    with pytest.raises((BadInput, Forbidden)):
        gate(engine, sql)


def test_every_listed_function_is_one_of_the_engine(engine: duckdb.DuckDBPyConnection) -> None:
    known = {row[0] for row in engine.execute("SELECT lower(function_name) FROM duckdb_functions()").fetchall()}
    written_by_the_parser = {"coalesce", "if", "ifnull", "nullif", "unnest", "grouping"}
    window_functions = {
        "cume_dist", "dense_rank", "fill", "first_value", "lag", "last_value", "lead", "nth_value", "ntile",
        "percent_rank", "rank", "rank_dense", "row_number",
    }  # fmt: skip
    unknown = (SCALAR_FUNCTIONS | TABLE_FUNCTIONS) - known - written_by_the_parser - window_functions
    assert unknown <= {
        "current_date",
        "current_timestamp",
        "current_time",
        "current_localtime",
        "current_localtimestamp",
    }


FUNCTIONS = duckdb.execute(
    "SELECT DISTINCT lower(function_name) FROM duckdb_functions() WHERE function_name ~ '[a-z_0-9]+' ORDER BY 1"
).fetchall()
WRAPPINGS = [
    "SELECT {}", "SELECT 1 WHERE {} IS NULL", "SELECT count(*) FROM people ORDER BY {}", "SELECT (SELECT {})",
    "WITH a AS (SELECT {}) SELECT * FROM a", "SELECT list_transform([1], lambda x: {})", "SELECT [1, {}]",
    "SELECT CASE WHEN true THEN {} END", "VALUES ({})", "SELECT 1 GROUP BY {}", "SELECT sum(1) OVER (ORDER BY {})",
    "SELECT 1 UNION ALL SELECT {}", "SELECT CAST({} AS VARCHAR)", "SUMMARIZE SELECT {}", "EXPLAIN SELECT {}",
    "SELECT 1 LIMIT {}", "SELECT sum(1) FILTER (WHERE {})", "SELECT string_agg('a', ',' ORDER BY {})",
]  # fmt: skip


@given(name=st.sampled_from([row[0] for row in FUNCTIONS]), wrapping=st.sampled_from(WRAPPINGS), upper=st.booleans())
def test_function_off_the_list_is_refused_wherever_it_stands(
    engine: duckdb.DuckDBPyConnection, name: str, wrapping: str, upper: bool
) -> None:
    called = f"{name.upper() if upper else name}(1)"
    if name in SCALAR_FUNCTIONS | TABLE_FUNCTIONS:
        return
    with pytest.raises((Forbidden, BadInput)):
        gate(engine, wrapping.format(called))


@given(name=st.sampled_from([row[0] for row in FUNCTIONS]))
def test_table_function_off_the_list_is_refused(engine: duckdb.DuckDBPyConnection, name: str) -> None:
    if name in TABLE_FUNCTIONS:
        return
    for source in (f"FROM {name}('x')", f"SELECT 1 FROM people, {name}(people.name)", f"SELECT 1 FROM main.{name}(1)"):
        with pytest.raises((Forbidden, BadInput)):
            gate(engine, source)


@given(text=st.text(max_size=60))
def test_any_text_is_refused_or_reads(engine: duckdb.DuckDBPyConnection, text: str) -> None:
    try:
        gate(engine, text)
    except (Forbidden, BadInput):
        return
    assert engine.extract_statements(text)[0].type in (
        duckdb.StatementType.SELECT,
        duckdb.StatementType.EXPLAIN,
    )


@pytest.mark.parametrize(
    "expression",
    [
        "a > 1 AND b = 'x'",
        "a > 1 -- why",
        "a > 1 /* why */",
        "a IN (SELECT worker_id FROM blocks)",
        "NOT (a OR b)",
        "true",
    ],
)
def test_one_expression_is_one(engine: duckdb.DuckDBPyConnection, expression: str) -> None:
    assert gate(engine, bare_expression(expression)).is_expression


@pytest.mark.parametrize(
    "smuggled",
    [
        "1) UNION SELECT (2", "1), (2", "1) AS a, (2", "1) FROM people WHERE (2", "1) ORDER BY (1", "1) LIMIT (1",
        "1) GROUP BY (1", "1) HAVING (1", "1) QUALIFY (true", "1) USING SAMPLE (1", "*", "people.*", "1) WHERE (2",
        "1; SELECT (2", "a /*", "", "a AS b", "1)) --",
    ],
)  # fmt: skip
def test_what_closes_the_bracket_is_no_expression(engine: duckdb.DuckDBPyConnection, smuggled: str) -> None:
    try:
        gated = gate(engine, bare_expression(smuggled))
    except (BadInput, Forbidden):
        return
    assert not gated.is_expression
