"""What tools of `/mcp` take and give where it is not what the HTTP route does.

Belongs here: those shapes. Not here: the routes' own (their modules beside this one).
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct
from pydantic import ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from lakehouse_api.schemas.request_body import RequestBody
from lakehouse_api.schemas.sql import SqlQuery
from lakehouse_api.schemas.validation import TaggedRefusal, ValidationFinding

DEFAULT_ROWS, MAX_ROWS = 200, 1000


class SqlToolQuery(SqlQuery):
    """One statement that reads, for an answer that a language model can hold."""

    model_config = ConfigDict(json_schema_extra=SqlQuery.model_config["json_schema_extra"])

    format: SkipJsonSchema[Literal["json"]] = "json"
    max_rows: int = Field(
        DEFAULT_ROWS, ge=1, le=MAX_ROWS, description="Most rows; `truncated` says whether more exist."
    )


class PathwayHistoryAsked(RequestBody):
    """A trace whose history is wanted."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"uid": "0198f0c2-7c1e-7f43-9a51-0f6a3a1d2b3c"}}
    )

    uid: str = Field(min_length=1, max_length=100, description="As a search or an add gave it.")
    min_revision: str | None = Field(None, description="Wait up to 2 s until this write is visible.")


class Verdict(Struct):
    """Whether an artifact may be sent or used."""

    passed: bool
    error: Annotated[TaggedRefusal | None, Meta(description="Why it is refused; null when it passed.")]
    findings: Annotated[list[ValidationFinding], Meta(description="Worth knowing, and no reason to refuse.")] = []
    elapsed_ms: float | None = None
