"""What `/v1/sql` takes and answers (CONTRACTS.md section 5).

Belongs here: its shapes. Not here: how values look (see lakehouse/query/json_values.py).
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lakehouse_api.schemas.request_body import RequestBody
from lakehouse_api.schemas.times import Moment


class SqlQuery(RequestBody):
    """One statement that reads."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"sql": "SELECT state, count(*) FROM workers GROUP BY state"}},
    )

    sql: str = Field(min_length=1, description="SELECT, WITH, EXPLAIN, DESCRIBE, SHOW TABLES or SUMMARIZE.")
    format: Literal["json", "arrow", "csv"] = Field("json", description="Arrow (IPC stream) and CSV are streamed.")
    max_rows: int | None = Field(
        None, ge=1, le=2**31, description="Most rows; unset: 10,000 for JSON (a setting), all for Arrow and CSV."
    )
    as_of: Moment | None = Field(
        None, description="Datasets and memory as they were at this time (ISO 8601 with offset)."
    )


class SqlColumn(BaseModel):
    """A column of the answer."""

    name: str
    type: str = Field(description="Its DuckDB type.")
    json_: Literal["number", "string", "boolean", "json"] = Field(
        alias="json", description="Its form in `rows`; integers beyond 2^53 make a whole column strings."
    )


class SqlAnswer(BaseModel):
    """Rows, in the order of the query."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "columns": [
                    {"name": "state", "type": "VARCHAR", "json": "string"},
                    {"name": "n", "type": "BIGINT", "json": "number"},
                ],
                "rows": [["OH", 412]],
                "row_count": 1,
                "truncated": False,
            }
        }
    )

    columns: list[SqlColumn]
    rows: list[list[Any]]
    row_count: int
    truncated: bool = Field(description="True: there are more rows than `max_rows`.")
