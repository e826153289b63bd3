"""What `/v1/vectors/index` takes and answers (CONTRACTS.md section 7).

Belongs here: its shapes. Not here: how items become rows (see lakehouse/retrieval/vector_items.py).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Raw, Struct
from pydantic import BaseModel, ConfigDict, Field

from lakehouse_api.schemas.request_body import RequestBody

Text = Annotated[str, Meta(min_length=1)]


class NewIndex(RequestBody):
    """An index to make."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"name": "notes", "dimension": 384}})

    name: str = Field(description="`[a-z][a-z0-9_]{0,62}`.")
    dimension: int | None = Field(
        None,
        strict=True,
        ge=1,
        le=8192,
        description="Length of its vectors; default: the embedder's. With another it takes vectors alone, no texts.",
    )
    distance: Literal["cosine", "l2", "dot"] = "cosine"
    embedder: str | None = Field(None, description="Embeds its texts and queries; default: the platform's.")


_EXAMPLE: dict[str, Any] = {
    "name": "notes",
    "dimension": 256,
    "distance": "cosine",
    "embedder": "static",
    "kind": "index",
    "rows": 2,
    "revision": "notes@000001.000000000002",
    "state": {"kind": "exact", "rows": 2},
    "calibration": "embedder",
}


class IndexView(BaseModel):
    """An index: its shape and how many rows it has."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    name: str
    dimension: int
    distance: str
    embedder: str
    kind: str = Field(description="`index`, or `corpus` when a declaration builds it.")
    rows: int
    revision: str
    state: dict[str, Any] = Field(default_factory=dict, description="How it is held: engine, measured recall, bytes.")
    calibration: Literal["own", "embedder", "none"] = Field(
        description="What a relevance threshold goes by: its own texts, what is known of its embedder, or nothing."
    )


class IndexList(BaseModel):
    """All indexes by name."""

    model_config = ConfigDict(json_schema_extra={"example": {"indexes": [_EXAMPLE]}})

    indexes: list[IndexView]


class Item(Struct, forbid_unknown_fields=True, frozen=True):
    """A vector, or a text that the index's embedder makes one of."""

    id: Annotated[str, Meta(min_length=1, max_length=1024)]
    vector: list[float] | None = None
    text: str | None = None
    metadata: dict[str, Any] = {}


class AddItems(Struct, forbid_unknown_fields=True, frozen=True):
    """Items to insert; one whose id is there is replaced."""

    items: Annotated[list[Item], Meta(min_length=1, max_length=10_000)]


class Added(Struct):
    """How many items were written (of two with one id the last), and the revision at which they are visible."""

    added: int
    revision: str


class DeleteItems(Struct, forbid_unknown_fields=True, frozen=True):
    """Ids to take away; unknown ones are no error."""

    ids: Annotated[list[Text], Meta(min_length=1, max_length=100_000)]


class Deleted(Struct):
    """How many were there, and the revision without them."""

    deleted: int
    revision: str


class IndexSearch(Struct, forbid_unknown_fields=True, frozen=True):
    """A vector, or a text that the index's embedder makes one of."""

    vector: list[float] | None = None
    text: Annotated[str, Meta(min_length=1)] | None = None
    k: Annotated[int, Meta(ge=1, le=1000)] = 10
    filter: Any = None
    exclude_ids: Annotated[list[str], Meta(max_length=100_000)] = []
    min_revision: str | None = None


class IndexResult(Struct):
    """One result; `score` is what they are sorted by, higher is better."""

    id: str
    score: float
    distance: float
    metadata: Raw


class IndexAnswer(Struct):
    """Results, nearest first; `stale`: the store did not answer lately."""

    results: list[IndexResult]
    stale: bool = False
