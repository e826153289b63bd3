"""A query as it is asked, its limits, and the messages between pool and worker.

What goes to a worker and back is a named tuple, which is pickled in a fraction of a dataclass's time.

Belongs here: frozen values. Not here: who handles them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, NamedTuple

from lakehouse.query.views import ViewSpec

Format = Literal["json", "arrow", "csv"]


@dataclass(frozen=True, slots=True)
class SqlRequest:
    """One query. `max_rows` None: the default limit for JSON, no limit for streams."""

    sql: str
    format: Format = "json"
    max_rows: int | None = None
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """What a worker's engine is made with. Secrets are not shown."""

    endpoint: str | None
    bucket: str
    region: str
    access_key_id: str | None
    secret_access_key: str | None
    session_token: str | None
    read_timeout_s: float
    memory_bytes: int
    temp_bytes: int
    threads: int
    temp_folder: str
    ca_file: Path | None = None

    def __repr__(self) -> str:
        return f"EngineConfig(bucket={self.bucket!r})"


class Prepare(NamedTuple):
    """Ask a worker to parse and gate a statement."""

    sql: str


class Prepared(NamedTuple):
    """A worker's answer: the names it needs to know."""

    tables: frozenset[str]
    ctes: frozenset[str]
    is_show_tables: bool
    is_expression: bool = False


class Execute(NamedTuple):
    """Run a statement over these views and those the worker has; the worker parses and gates what it does not know.

    `names` is the list for SHOW TABLES; `absent` are names of the query that no dataset has (any more).
    """

    sql: str
    views: tuple[ViewSpec, ...]
    is_full: bool
    format: Format
    max_rows: int | None
    names: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()


class Answer(NamedTuple):
    """A whole JSON answer."""

    columns: list[dict[str, str]]
    body: bytes
    row_count: int
    truncated: bool
