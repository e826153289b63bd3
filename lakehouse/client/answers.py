"""The answers that calls give, as types: what stands on the wire under the same names.

Belongs here: shapes that users read. Not here: the server's own (see lakehouse_api/schemas).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict


@dataclass(frozen=True, slots=True)
class SqlRows:
    """Rows of a query, in its order; iterating gives each as a dict.

    Args:
        columns: Names, in the query's order; one may occur twice, and only `rows` shows both then.
        types: Their DuckDB types.
        rows: Values in their JSON form: integers beyond 2^53 and decimals are text, times ISO 8601.
        is_truncated: There are more than `max_rows`.
    """

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: Sequence[Sequence[Any]]
    is_truncated: bool

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (dict(zip(self.columns, row, strict=True)) for row in self.rows)

    @classmethod
    def of(cls, body: bytes) -> SqlRows:
        """Read the answer of `/v1/sql`."""
        answer = json.loads(body)
        columns = answer["columns"]
        names, types = tuple(c["name"] for c in columns), tuple(c["type"] for c in columns)
        return cls(names, types, answer["rows"], answer["truncated"])


class Ingested(TypedDict):
    """What an ingest did; `existing`: these bytes with these options were there already."""

    dataset_id: str
    name: str
    schema_fingerprint: str
    row_count: int
    bytes: int
    objects: int
    version: int
    existing: bool
    quarantined: int
    quarantine_keys: list[str]


class Lift(TypedDict):
    """What playbooks did to a result."""

    boost: float
    playbook_ids: list[str]


class SearchResult(TypedDict):
    """One result of a matrix search; `distance` is None for what vector search did not score."""

    id: str
    corpus: str
    score: float
    distance: float | None
    metadata: dict[str, Any]
    playbook: Lift | None


class SearchAnswer(TypedDict):
    """Results, best first; `trace_id` is what an outcome names, `stale` the corpora that may be behind.

    `unjudged` says of which corpora a relevance threshold dropped nothing, and why.
    """

    query: str
    results: list[SearchResult]
    corpora: dict[str, dict[str, int]]
    downgraded: bool
    arm: str
    config_version: str
    trace_id: str
    timings_ms: dict[str, float]
    stale: list[str]
    unjudged: dict[str, str]


class Recorded(TypedDict):
    """The entry that holds a record; `merged`: it was there already. Reads with `revision` see it everywhere."""

    playbook_id: str
    merged: bool
    revision: str


class BulkRecorded(TypedDict):
    """What became of one record of many: the entry, or the error that refused it."""

    ok: bool
    playbook_id: NotRequired[str]
    merged: NotRequired[bool]
    revision: NotRequired[str]
    error: NotRequired[str]


class IndexView(TypedDict):
    """An index: its shape, its rows, how it is held."""

    name: str
    dimension: int
    distance: str
    embedder: str
    kind: str
    rows: int
    revision: str
    state: dict[str, Any]
    calibration: str


class IndexResult(TypedDict):
    """One result of a search in one index."""

    id: str
    score: float
    distance: float
    metadata: dict[str, Any]


class Page(TypedDict):
    """A page of playbook entries; `next` is the `start_after` of the following one, None on the last."""

    playbooks: list[dict[str, Any]]
    next: str | None
