"""A trace, as the memory log tells it: one uid with everything that was said of it.

What a trace is does not depend on the order in which entries arrive: the first `add` in the log's order gives it its
content, the latest `update` replaces that, the first `retire` ends it, each `add` and `replay` after the first counts
as a replay, and tags of links are added to its own.

Operations (payloads are JSON; `content` is a JSON document as text, `vector` the embedding of its words, float16
little-endian as base64):

    add     {uid, content, tags, predecessor_uid, key, embedder, vector}
    replay  {uid}                                       the same key again
    link    {uid, kind, content, tags}                  what was not added, because the trace says it already
    update  {uid, content, tags, embedder, vector}      tags null: as they were
    retire  {uid, reason}

Belongs here: one trace and its fold. Not here: all of them (see book.py), writes (see desk.py).
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

from lakehouse.memory.entry import Entry
from lakehouse.memory.rows import RowRules

ADD, REPLAY, LINK, UPDATE, RETIRE = "add", "replay", "link", "update", "retire"
TABLE = "pathways"
ROW_RULES = RowRules(subject_field="uid", closing_ops=frozenset({UPDATE, RETIRE}))
"""How entries of this log become rows of its table: a row holds until its trace is updated or retired."""
LinkKind: TypeAlias = Literal["exact", "near", "recalled"]
_FIELDS = {ADD: ("content",), REPLAY: (), LINK: ("kind",), UPDATE: ("content",), RETIRE: ("reason",)}
# So many of the newest, and of their contents so much; all of them are rows of the Lance table.
_CHANGES_KEPT = 256
_CHANGES_BYTES = 1 << 20


# Neither is looked at by the garbage collector: there are no cycles among them, and full collections that visit a
# million of them hold everybody up for a tenth of a second.
class Change(msgspec.Struct, frozen=True, order=True, gc=False):
    """One thing that was said of a trace; `note` is the reason of a `retire`, the kind of a `link`."""

    order: str
    event: str
    at: datetime
    actor: str
    content: str | None
    note: str | None


class PathwayTrace(msgspec.Struct, gc=False):
    """What is known of one uid; while no `add` has arrived it is not there."""

    uid: str
    content: str = ""
    own_tags: tuple[str, ...] = ()
    predecessor_uid: str | None = None
    key: str | None = None
    created_at: datetime | None = None
    retired_at: datetime | None = None
    retired_reason: str | None = None
    adds: int = 0
    links: int = 0
    link_tags: dict[str, str] = {}  # and the order of the last link that brought each
    changes: tuple[Change, ...] = ()
    changes_dropped: int = 0
    dropped_through: str = ""
    first_add: str = ""
    last_content: str = ""
    last_tags: str = ""
    first_retire: str = ""
    content_at: datetime | None = None

    @property
    def is_known(self) -> bool:
        """False while what makes it has not arrived."""
        return self.created_at is not None

    @property
    def is_retired(self) -> bool:
        """Whether it must not be followed any more."""
        return self.retired_at is not None

    @property
    def replay_count(self) -> int:
        """How often it was added again by its key."""
        return max(0, self.adds - 1)

    @property
    def tags(self) -> tuple[str, ...]:
        """Its tags, then those of what was linked to it since an update gave it its own."""
        said = self.last_tags.removeprefix("1") if self.last_tags.startswith("1") else ""
        linked = (tag for tag, order in self.link_tags.items() if order > said and tag not in self.own_tags)
        return (*self.own_tags, *sorted(linked))

    @property
    def updated_at(self) -> datetime:
        """When its content was last said, or it was retired."""
        moments = [at for at in (self.content_at, self.retired_at) if at is not None]
        return max(moments)

    def take(self, entry: Entry) -> bool:
        """Fold one entry in, which must not have been taken yet; True when its content is another one now."""
        order, payload = str(entry.order), entry.payload
        if entry.op != REPLAY:
            self._remember(entry, order)
        if entry.op in (ADD, REPLAY):
            self.adds += 1
        if entry.op == ADD and (not self.first_add or order < self.first_add):
            self.first_add = order
            self.created_at = entry.recorded_at
            self.predecessor_uid = payload.get("predecessor_uid")
            self.key = payload.get("key")
            return self._say(entry, order)
        if entry.op == UPDATE:
            return self._say(entry, order)
        if entry.op == LINK:
            self.links += 1
            for tag in payload.get("tags") or ():
                self.link_tags[tag] = max(order, self.link_tags.get(tag, ""))
        if entry.op == RETIRE and (not self.first_retire or order < self.first_retire):
            self.first_retire = order
            self.retired_at, self.retired_reason = entry.recorded_at, str(payload.get("reason") or "")
        return False

    def _say(self, entry: Entry, order: str) -> bool:
        """Take content and tags, unless what is later in the log has given them; an update is later than any add."""
        place = f"{int(entry.op == UPDATE)}{order}"
        # Of several adds the first counts, of several updates the last: adds sort downwards.
        is_first_add = entry.op == ADD and not self.last_content.startswith("1")
        if entry.payload.get("tags") is not None and (
            (entry.op == ADD and not self.last_tags.startswith("1")) or (entry.op == UPDATE and place > self.last_tags)
        ):
            self.last_tags = place
            self.own_tags = tuple(dict.fromkeys(entry.payload["tags"]))
        if is_first_add or (entry.op == UPDATE and place > self.last_content):
            self.last_content = place
            self.content = str(entry.payload["content"])
            self.content_at = entry.recorded_at
            return True
        return False

    def _remember(self, entry: Entry, order: str) -> None:
        note = entry.payload.get("reason") if entry.op == RETIRE else entry.payload.get("kind")
        content = entry.payload.get("content")
        change = Change(
            order, entry.op, entry.recorded_at, entry.actor, content, None if note is None else str(note)
        )  # fmt: skip
        if order <= self.dropped_through:
            self.changes_dropped += 1
            return
        # Always the newest ones, in whichever order they come.
        self.changes = tuple(sorted((*self.changes, change)))
        while len(self.changes) > 1 and (len(self.changes) > _CHANGES_KEPT or self._changes_bytes() > _CHANGES_BYTES):
            self.dropped_through = self.changes[0].order
            self.changes = self.changes[1:]
            self.changes_dropped += 1

    def _changes_bytes(self) -> int:
        return sum(len(change.content or "") for change in self.changes)


def check_entry(entry: Entry) -> None:
    """Look at an entry before anything is done with it.

    Raises:
        ValueError: It is none of this log: its operation is unknown, or a field is missing or of another type.
    """
    fields = _FIELDS.get(entry.op)
    if fields is None:
        raise ValueError(f"the operation {entry.op!r} is unknown to this program")
    for name in ("uid", *fields):
        if not isinstance(entry.payload.get(name), str):
            raise ValueError(f"{name} of {entry.op!r} is not text")
    tags = entry.payload.get("tags")
    if tags is not None and not (isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)):
        raise ValueError(f"tags of {entry.op!r} are not a list of texts")
    for name in ("predecessor_uid", "key", "content"):
        if not isinstance(entry.payload.get(name), str | None):
            raise ValueError(f"{name} of {entry.op!r} is not text")
