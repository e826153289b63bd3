"""The playbook desk: records, feedback and credit become entries of the memory log.

Belongs here: what is written, and that the same words share an entry. Not here: the state (see playbook.py), other
words for the same (see playbook_twins.py), how it changes a search (see playbook_scoring.py), the log (see
lakehouse/memory).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from lakehouse.clock import new_id
from lakehouse.errors import BadInput, NotFound
from lakehouse.memory.entry import Entry
from lakehouse.retrieval.playbook import DELETE, FEEDBACK, RECORD, PlaybookBook
from lakehouse.retrieval.playbook_codec import Key, encode_vector, key_of
from lakehouse.retrieval.playbook_entry import PlaybookEntry
from lakehouse.retrieval.trace import Trace

EmbedQuery = Callable[[str], Awaitable[NDArray[np.float32]]]


class Log(Protocol):
    """What the desk needs of the memory log."""

    async def append(self, op: str, payload: dict[str, Any], *, actor: str) -> Entry: ...


class NewRecord(msgspec.Struct, frozen=True, gc=False):
    """A query, the answer that worked or failed for it, and by how much (−1 to 1).

    Of several records of one answer under one `key` the latest counts.
    """

    query: str
    answer_id: str
    answer_corpus: str | None = None
    score: float = 1.0
    tags: Sequence[str] = ()
    key: str | None = None


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """Where a write went: the entry, whether it was there before, the revision at which it is visible."""

    playbook_id: str
    is_merged: bool
    revision: str


class PlaybookDesk:
    """Writes for one process; each is acknowledged when it is durable and the next search sees it.

    Args:
        book: The state that the log keeps.
        log: The memory log of playbooks.
        embed: Embeds a query by the embedder of the book.
        embedder: That embedder's name.
    """

    def __init__(self, book: PlaybookBook, log: Log, embed: EmbedQuery, *, embedder: str) -> None:
        self._book = book
        self._log = log
        self._embed = embed
        self._embedder = embedder
        # Keys that are on their way into the log: a record of the same key that comes meanwhile joins their entry.
        self._pending: dict[Key, str] = {}

    async def record(self, record: NewRecord, *, actor: str) -> Recorded:
        """Record that an answer worked or failed for a query.

        Raises:
            BadInput: A text is blank.
            StoreUnavailable: Nothing was recorded.
        """
        if not record.query.strip() or not record.answer_id.strip():
            raise BadInput("query and answer_id must not be blank")
        key = key_of(record.query, record.answer_id, record.answer_corpus)
        vector = await self._embed(record.query)
        known = self._book.find(key) or self._pending.get(key)
        playbook_id = known or new_id()
        if known is None:
            self._pending[key] = playbook_id
        try:
            payload = {
                "playbook_id": playbook_id,
                "query": record.query,
                "answer_id": record.answer_id,
                "answer_corpus": record.answer_corpus,
                "tags": list(record.tags),
                "score": record.score,
                "embedder": self._embedder,
                "vector": encode_vector(vector),
            }
            if record.key is not None:
                payload["key"] = f"record|{record.key}"  # apart from the keys of judgements
            entry = await self._log.append(RECORD, payload, actor=actor)
        finally:
            if known is None:
                self._pending.pop(key, None)
        return Recorded(playbook_id, known is not None, str(entry.order))

    async def feedback(self, playbook_id: str, score: float, *, actor: str, key: str | None = None) -> Recorded:
        """Judge an entry; of judgements with one `key` the latest counts.

        Raises:
            NotFound: There is no such entry.
            StoreUnavailable: Nothing was recorded.
        """
        entry = self._require(playbook_id)
        payload: dict[str, Any] = {"playbook_id": entry.playbook_id, "score": score}
        if key is not None:
            payload["key"] = key
        written = await self._log.append(FEEDBACK, payload, actor=actor)
        return Recorded(entry.playbook_id, is_merged=False, revision=str(written.order))

    async def delete(self, playbook_id: str, *, actor: str) -> Recorded:
        """Forget an entry, for good; raises as `feedback`."""
        entry = self._require(playbook_id)
        written = await self._log.append(DELETE, {"playbook_id": entry.playbook_id}, actor=actor)
        return Recorded(entry.playbook_id, is_merged=False, revision=str(written.order))

    async def credit(self, trace: Trace, score: float, *, by: str, answer_id: str | None = None) -> list[Recorded]:
        """Credit or debit the entries that were shown for an answer, or for all answers of a trace.

        Only entries that had a part in what was shown are touched; the same judge's later word on the same answer of
        the same trace replaces the earlier one.

        Returns:
            The entries that were credited, in the order of their judgements in the log.
        """
        shown = [s for s in trace.shown if answer_id is None or s.id == answer_id]
        credited: list[Recorded] = []
        for playbook_id in dict.fromkeys(p for s in shown for p in s.playbook_ids):
            if self._book.get(playbook_id) is not None:
                key = f"{trace.run_id}|{answer_id or ''}|{by}"
                credited.append(await self.feedback(playbook_id, score, actor=by, key=key))
        return credited

    def _require(self, playbook_id: str) -> PlaybookEntry:
        entry = self._book.get(playbook_id)
        if entry is None:
            raise NotFound(f"there is no playbook entry {playbook_id[:100]!r}; GET /v1/matrix/playbooks lists those")
        return entry
