"""The pathway desk: adds, updates, revisions and retirements become entries of the memory log.

What a trace says already is linked to it instead of added: the same content, nearly the same, or content that a search
has just given and that comes back.

Belongs here: what is written. Not here: the state (see book.py), when contents say the same (see likeness.py), the log
(see lakehouse/memory).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import NAMESPACE_OID, uuid5

import numpy as np
from numpy.typing import NDArray

from lakehouse.clock import new_id
from lakehouse.errors import BadInput, LakehouseError, NotFound
from lakehouse.memory.entry import Entry
from lakehouse.pathway.book import PathwayBook
from lakehouse.pathway.content import Content
from lakehouse.pathway.recall import RecentlyRecalled
from lakehouse.pathway.trace import ADD, LINK, REPLAY, RETIRE, UPDATE, LinkKind, PathwayTrace
from lakehouse.retrieval.playbook_codec import encode_vector

MAX_TAGS = 64
"""Of one trace, with those of what is linked to it."""
EmbedText = Callable[[str], Awaitable[NDArray[np.float32]]]


class Log(Protocol):
    """What the desk needs of the memory log."""

    async def append(self, op: str, payload: dict[str, Any], *, actor: str) -> Entry: ...


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a write.

    Attributes:
        uid: The trace; None where nothing is remembered.
        revision: At which it is visible; empty where nothing was written.
        link: Why it was linked to a trace that was there; None: it was not.
    """

    uid: str | None
    revision: str
    link: LinkKind | None = None


class PathwayDesk:
    """Writes for one process; each is acknowledged when it is durable and the next search sees it.

    Args:
        book: The state that the log keeps.
        log: The memory log of pathways.
        embed: Embeds a text by the embedder of the book.
        embedder: That embedder's name.
        recalled: What searches have given lately.
    """

    def __init__(
        self,
        book: PathwayBook,
        log: Log,
        embed: EmbedText,
        *,
        embedder: str,
        recalled: RecentlyRecalled,
    ) -> None:
        self._book = book
        self._log = log
        self._embed = embed
        self._embedder = embedder
        self._recalled = recalled
        # Contents on their way into the log: a twin that comes meanwhile waits for them.
        self._pending: dict[bytes, asyncio.Future[LakehouseError | None]] = {}

    async def add(
        self, content: Content, *, tags: Sequence[str] = (), actor: str, is_recalled: bool = False
    ) -> Written:
        """Remember a content, or link it to the trace that says it already.

        Args:
            content: What is remembered.
            tags: Of the trace; a linked one gets them too.
            actor: Who says it.
            is_recalled: It came back from a search, as its sender says: it is never learned again.

        Raises:
            StoreUnavailable: Nothing was recorded.
        """
        while (pending := self._pending.get(content.wording)) is not None:
            refusal = await asyncio.shield(pending)
            if refusal is not None:  # the store that refused it would refuse this one after as long a wait
                raise refusal
        twin, kind = self._known(content, actor=actor)
        if twin is not None:
            return await self._link(twin, kind, content, tags, actor=actor, is_recalled=is_recalled)
        if is_recalled:
            self._recalled.count_unknown()
            return Written(None, "", "recalled")
        settled = self._pending[content.wording] = asyncio.get_running_loop().create_future()
        failure: LakehouseError | None = None
        try:
            return await self._add(new_id(), content, actor=actor, tags=tags)
        except LakehouseError as error:
            failure = error
            raise
        finally:
            del self._pending[content.wording]
            settled.set_result(failure)

    async def add_idempotent(self, key: str, content: Content, *, tags: Sequence[str] = (), actor: str) -> Written:
        """Remember a content under a key; the same key again is a replay, whatever it brings.

        Raises:
            BadInput: The key is blank.
            StoreUnavailable: Nothing was recorded.
        """
        if not key.strip():
            raise BadInput("key must not be blank", field="key")
        uid = uid_of(key)
        if self._book.get(uid) is not None:
            entry = await self._log.append(REPLAY, {"uid": uid}, actor=actor)
            return Written(uid, str(entry.order))
        return await self._add(uid, content, actor=actor, tags=tags, key=key)

    async def update(self, uid: str, content: Content, *, tags: Sequence[str] | None = None, actor: str) -> Written:
        """Replace what a trace says; of several updates the latest in the log's order counts, and none is lost.

        Raises:
            NotFound: There is no such trace.
            StoreUnavailable: Nothing was recorded.
        """
        self.require(uid)
        payload = {
            "uid": uid,
            "content": content.json,
            "tags": None if tags is None else list(tags),
            "embedder": self._embedder,
            "vector": encode_vector(await self._embed(content.text)),
        }
        return Written(uid, str((await self._append(UPDATE, payload, content, actor=actor)).order))

    async def revise(
        self, predecessor_uid: str, content: Content, *, tags: Sequence[str] | None = None, actor: str
    ) -> Written:
        """Remember a better version of a trace as a new one, linked back; search finds it in the other's place.

        Args:
            predecessor_uid: What is revised.
            content: What the new trace says.
            tags: Its tags; None: those of its predecessor.
            actor: Who says it.

        Raises:
            NotFound: There is no such predecessor.
            StoreUnavailable: Nothing was recorded.
        """
        predecessor = self.require(predecessor_uid)
        kept = predecessor.tags if tags is None else tags
        return await self._add(new_id(), content, actor=actor, tags=kept, predecessor_uid=predecessor_uid)

    async def retire(self, uid: str, reason: str, *, actor: str) -> Written:
        """Take a trace out of searches; it stays readable.

        Raises:
            BadInput: There is no reason.
            NotFound: There is no such trace.
            StoreUnavailable: Nothing was recorded.
        """
        self.require(uid)
        if not reason.strip():
            raise BadInput("reason must not be blank: say why nobody should follow this trace any more", field="reason")
        return Written(uid, str((await self._log.append(RETIRE, {"uid": uid, "reason": reason}, actor=actor)).order))

    def require(self, uid: str) -> PathwayTrace:
        """The trace of a uid.

        Raises:
            NotFound: There is none.
        """
        trace = self._book.get(uid)
        if trace is None:
            raise NotFound(f"there is no pathway {uid[:100]!r}; POST /v1/pathway/search finds those there are")
        return trace

    async def _add(
        self,
        uid: str,
        content: Content,
        *,
        actor: str,
        tags: Sequence[str],
        predecessor_uid: str | None = None,
        key: str | None = None,
    ) -> Written:
        payload = {
            "uid": uid,
            "content": content.json,
            "tags": list(tags),
            "predecessor_uid": predecessor_uid,
            "key": key,
            "embedder": self._embedder,
            "vector": encode_vector(await self._embed(content.text)),
        }
        return Written(uid, str((await self._append(ADD, payload, content, actor=actor)).order))

    async def _append(self, op: str, payload: dict[str, Any], content: Content, *, actor: str) -> Entry:
        self._book.expect(content)
        try:
            return await self._log.append(op, payload, actor=actor)
        finally:
            self._book.expect_no_more(content)

    async def _link(
        self,
        uid: str,
        kind: LinkKind,
        content: Content,
        tags: Sequence[str],
        *,
        actor: str,
        is_recalled: bool,
    ) -> Written:
        # What a search gave them a moment ago and comes back now is no second observation.
        is_recalled = is_recalled or self._recalled.has(uid, actor=actor)
        trace = self.require(uid)
        new_tags = [tag for tag in dict.fromkeys(tags) if tag not in trace.tags]
        payload = {
            "uid": uid,
            "kind": "recalled" if is_recalled else kind,
            "content": None if content.json == trace.content else content.json,  # nothing is lost
            "tags": new_tags[: max(0, MAX_TAGS - len(trace.tags))],
        }
        entry = await self._log.append(LINK, payload, actor=actor)
        return Written(uid, str(entry.order), "recalled" if is_recalled else kind)

    def _known(self, content: Content, *, actor: str) -> tuple[str | None, LinkKind]:
        """The trace that says this, and how much it does; a retired one only to whom a search has just given it."""

        def with_retired(uid: str) -> bool:
            return self._recalled.has(uid, actor=actor)

        if (twin := self._book.twin_of(content.fingerprint, with_retired=with_retired)) is not None:
            return twin, "exact"
        return self._book.twin_of(content.wording, with_retired=with_retired), "near"


def uid_of(key: str) -> str:
    """The uid of a key: UUIDv5 in the namespace of object identifiers (RFC 9562)."""
    return str(uuid5(NAMESPACE_OID, key))
