"""What `/v1/pathway` takes and answers (CONTRACTS.md section 7).

Belongs here: its shapes. Not here: what they mean (see lakehouse/pathway), how they are read (see struct_bodies.py).
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Raw, Struct, field

Content = Annotated[Raw, Meta(description="Any JSON that says something, 512 KiB at the most.")]
Uid = Annotated[str, Meta(min_length=1, max_length=100)]
Tag = Annotated[str, Meta(min_length=1, max_length=256)]
Tags = Annotated[list[Tag], Meta(max_length=32)]


class PathwayGate(Struct, forbid_unknown_fields=True, frozen=True):
    """A validation that must pass before anything is remembered."""

    kind: Annotated[str, Meta(max_length=100, description="`email`, `sms`, `fill` or `playbook`.")]
    context: Annotated[dict[str, Any] | None, Meta(description="Of the validation.")] = None
    artifact: Annotated[dict[str, Any] | None, Meta(description="What is validated; default: the content.")] = None


class PathwayAdd(Struct, forbid_unknown_fields=True, frozen=True):
    """A trace of how something was solved."""

    content: Content
    tags: Tags = []
    provenance: Annotated[
        Literal["observed", "recalled"], Meta(description="`recalled`: it came back from a search; not learned again.")
    ] = "observed"
    validate: PathwayGate | None = None


class PathwayAddIdempotent(Struct, forbid_unknown_fields=True, frozen=True):
    """A trace under a key; the same key again raises its `replay_count`, and its content stays."""

    key: Annotated[str, Meta(min_length=1, max_length=1024)]
    content: Content
    tags: Tags = []
    validate: PathwayGate | None = None


class PathwayUpdate(Struct, forbid_unknown_fields=True, frozen=True):
    """Other content for a trace."""

    uid: Uid
    content: Content
    tags: Annotated[Tags | None, Meta(description="Default: as they are.")] = None
    validate: PathwayGate | None = None


class PathwayRevise(Struct, forbid_unknown_fields=True, frozen=True):
    """A better version of a trace, as a new one."""

    predecessor_uid: Uid
    content: Content
    tags: Annotated[Tags | None, Meta(description="Default: those of the predecessor.")] = None
    validate: PathwayGate | None = None


class PathwayRetire(Struct, forbid_unknown_fields=True, frozen=True):
    """A trace that nobody should follow any more, and why."""

    uid: Uid
    reason: Annotated[str, Meta(min_length=1, max_length=4096)]


class PathwaySearchBody(Struct, forbid_unknown_fields=True, frozen=True):
    """What is looked for; all conditions hold together."""

    text: (
        Annotated[str, Meta(max_length=65_536, description="Words and meaning; without it the newest come.")] | None
    ) = None
    tags: Annotated[Tags, Meta(description="All of them are on a trace that is found.")] = []
    since: Annotated[datetime, Meta(description="Updated at or after; without a zone it is UTC.")] | None = None
    k: Annotated[int, Meta(ge=1, le=1000)] = 10
    include_retired: bool = False
    include_revised: Annotated[bool, Meta(description="Also those that a revision has taken the place of.")] = False
    min_revision: Annotated[str, Meta(description="Wait up to 2 s until this write is visible.")] | None = None


class PathwayTrace(Struct):
    """A trace; without the scope `pii`, `content` and the reason read `[masked]`, and tags stay away."""

    uid: str
    content: Raw
    tags: list[str]
    predecessor_uid: str | None
    retired: bool
    retired_reason: str | None
    replay_count: int
    created_at: datetime
    updated_at: datetime
    links: Annotated[int, Meta(description="What was linked to it because it says the same.")]


class PathwayWritten(Struct):
    """The trace that holds what was written, and the revision at which it is visible.

    `added` is false where a trace says it already (`link` tells how alike), or a key came again. Of content that was
    `recalled` and that no trace says nothing is remembered: `uid` and `content` are null then.
    """

    uid: str | None
    content: Raw
    tags: list[str]
    predecessor_uid: str | None
    retired: bool
    retired_reason: str | None
    replay_count: int
    created_at: datetime | None
    updated_at: datetime | None
    links: int
    revision: str
    added: bool
    link: Literal["exact", "near", "recalled"] | None


class PathwayFound(PathwayTrace):
    """A trace with its score, 0 to 1; 0 without a text."""

    score: float = 0.0


class PathwayResults(Struct):
    """What was found, best first."""

    results: list[PathwayFound]
    truncated: Annotated[bool, Meta(description="More were found than fit into 8 MiB.")] = False


class PathwayChange(Struct):
    """One thing that was said of a trace; `note` is the reason of a `retire`, the kind of a `link`."""

    uid: str
    event: Literal["add", "update", "link", "retire"]
    at: datetime
    actor: str
    revision: str
    content: Raw | None = None
    note: str | None = None


class PathwayHistory(Struct):
    """A trace and what it revises, the newest first, and all that was said of them, oldest first."""

    traces: list[PathwayTrace]
    complete: bool
    stopped_by: Literal["cycle", "missing"] | None
    changes: list[PathwayChange]
    changes_dropped: Annotated[int, Meta(description="Older ones, which the Lance table `pathways` alone has.")]
    truncated: Annotated[bool, Meta(description="There are more traces than fit into 8 MiB.")] = False


class PathwayStats(Struct):
    """How much is remembered, and how much of what came was known already.

    `duplicate_rate`: share of adds that were linked. `recall_of_self_rate`: share of adds that a search had given.
    """

    traces: int
    current: int
    revised: int
    retired: int
    adds: int
    replays: int
    links: dict[str, int] = field(default_factory=dict)
    duplicate_rate: float = 0.0
    recall_of_self_rate: float = 0.0
