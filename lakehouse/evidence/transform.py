"""What a transform is: the raw fields of a stream with their types, and what a record of a line is made of.

An expression is SQL over the declared fields, `raw.<field>`, which are typed and may be null; it is evaluated for whole
batches and sees one line alone. A field that is not declared, or declared and not in `promoted`, is kept in `metadata`.

Belongs here: the form of a transform, the fields that every stream has. Not here: the rules of a stream (see
transforms/), making statements of them (see lakehouse/adapters/evidence_sql.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from lakehouse.errors import BadInput

Kind: TypeAlias = Literal["text", "integer", "number", "boolean", "texts", "array", "object", "json"]
"""The type of a raw field; `texts` is an array of texts, `array`, `object` and `json` stay JSON text."""

ENVELOPE: dict[str, Kind] = {
    "run_id": "text",
    "task_id": "text",
    "trace_id": "text",
    "actor": "text",
    "config_version": "text",
    "format_version": "integer",
    "recorded_at": "text",
}
ENVELOPE_PROMOTED = frozenset({"run_id", "task_id", "recorded_at"})
MAX_ID_CHARACTERS = 512


@dataclass(frozen=True, slots=True)
class Transform:
    """How the lines of one stream become records.

    Attributes:
        stream: Name of the stream.
        version: Rises whenever the same line would give another record.
        fields: The stream's own raw fields; a line with a value of another type is unfit.
        expressions: SQL of each evidence column that is not null; the columns of `ENVELOPE_PROMOTED`, `stream`,
            `schema_version`, `provenance`, the hashes and `metadata` are made alike for all streams.
        promoted: Raw fields that are wholly in a column of their own and not in `metadata` again.
        required: Raw fields that must be there and not null.
        unfit: Conditions that make a line unfit, each with its reason.
        moment: Raw text field that says when it happened, where the stream has one that may be null.
        key: SQL of the record's `run_id`, where several lines share the raw one (which then stays in `metadata`).
    """

    stream: str
    version: int
    fields: Mapping[str, Kind]
    expressions: Mapping[str, str]
    promoted: frozenset[str]
    required: tuple[str, ...] = ()
    unfit: tuple[tuple[str, str], ...] = ()
    moment: str | None = None
    key: str | None = None
    all_fields: Mapping[str, Kind] = field(init=False)

    def __post_init__(self) -> None:
        clash = sorted(set(self.fields) & set(ENVELOPE))
        unknown = sorted((self.promoted | set(self.required)) - set(self.fields) - set(ENVELOPE))
        if clash or unknown:
            raise BadInput(
                f"transform {self.stream!r}: {(clash or unknown)[0]!r} is not a field of its own that it declares"
            )
        object.__setattr__(self, "all_fields", {**ENVELOPE, **self.fields})
