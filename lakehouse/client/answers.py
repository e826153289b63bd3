"""The answers that calls give, as types with the names that fields have on the wire.

Belongs here: shapes that users read. Not here: the server's own (see lakehouse_api/schemas).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NotRequired, TypedDict


@dataclass(frozen=True, slots=True)
class SqlRows:
    """Rows of a query, in its order; iterating gives each as a dict.

    Args:
        columns: Names, in the query's order; one may occur twice, and only `rows` shows both then.
        types: Their DuckDB types.
        rows: Values in their JSON form: integers beyond 2^53 and decimals are text, times ISO 8601.
        is_truncated: Whether there are more rows than `max_rows`.
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
    """What an ingest did; `existing` is true when these bytes with these options were loaded already."""

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
    """The entry that holds a record; `merged` is true when it existed. Reads that name `revision` see it everywhere."""

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


class PathwayTrace(TypedDict):
    """A trace; `content` is `[masked]` in answers to tokens without the scope `pii`; times are ISO 8601."""

    uid: str
    content: Any
    tags: list[str]
    predecessor_uid: str | None
    retired: bool
    retired_reason: str | None
    replay_count: int
    created_at: str
    updated_at: str
    links: int


class PathwayWritten(PathwayTrace):
    """The trace that holds what was written; reads with `revision` see it everywhere.

    `added` is false when a trace says it already (`link` tells how alike they are), or when its key was used before.
    Content that was `recalled` and is in no trace is not kept: `uid` and `content` are None then.
    """

    revision: str
    added: bool
    link: Literal["exact", "near", "recalled"] | None


class PathwayFound(PathwayTrace):
    """A trace with its score, 0 to 1; 0 without a text."""

    score: float


class PathwayChange(TypedDict):
    """One thing that was said of a trace; `note` is the reason of a `retire`, the kind of a `link`."""

    uid: str
    event: Literal["add", "update", "link", "retire"]
    at: str
    actor: str
    revision: str
    content: Any
    note: str | None


class PathwayHistory(TypedDict):
    """A trace and what it revises, the newest first, and all that was said of them, oldest first.

    `complete` is false where the walk back ended early, at a `cycle` or a `missing` predecessor.
    """

    traces: list[PathwayTrace]
    complete: bool
    stopped_by: Literal["cycle", "missing"] | None
    changes: list[PathwayChange]
    changes_dropped: int


class PathwayStats(TypedDict):
    """How much is remembered; the rates are the shares of adds that were known already and that a search had given."""

    traces: int
    current: int
    revised: int
    retired: int
    adds: int
    replays: int
    links: dict[str, int]
    duplicate_rate: float
    recall_of_self_rate: float


class StoredObject(TypedDict):
    """An object of the bucket; `etag` changes with its content."""

    key: str
    size: int
    etag: str


class ListedObject(StoredObject):
    """An object with the time at which it was written, ISO 8601 in UTC."""

    modified_at: str


class ObjectPage(TypedDict):
    """A page of a listing; `next` is the `start_after` of the following one, None on the last."""

    keys: list[ListedObject]
    truncated: bool
    next: str | None


class Page(TypedDict):
    """A page of playbook entries; `next` is the `start_after` of the following one, None on the last."""

    playbooks: list[dict[str, Any]]
    next: str | None
