"""Playbooks: which answers worked for which queries, as the memory log tells it.

The state is a fold of log entries that does not depend on the order in which they arrive: evidence is kept by its key
and the latest in the log's order counts, a deletion counts for ever, feedback on an entry that is not known yet waits
for it.

Operations (payloads are JSON; `vector` is the query's embedding, float16 little-endian as base64):

    record    {playbook_id, query, answer_id, answer_corpus, tags, score, embedder, vector, key?}
    feedback  {playbook_id, score, key}         a later one with the same key replaces it
    delete    {playbook_id}
    merge     {playbook_id, into}               `into` is older, and says the same

Belongs here: entries, evidence, the fold. Not here: what evidence is worth (see playbook_scoring.py), the log (see
lakehouse/memory), where vectors are looked up (see playbook_index.py).
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lakehouse.memory.entry import Entry
from lakehouse.memory.rows import RowRules
from lakehouse.retrieval.playbook_codec import Key, decode_vector, index_rows, key_of

if TYPE_CHECKING:
    from lakehouse.retrieval.corpus_view import Hit
    from lakehouse.retrieval.playbook_index import Embed, EntryIndex

RECORD, FEEDBACK, DELETE, MERGE = "record", "feedback", "delete", "merge"
TABLE = "playbooks"
# Two queries this close (cosine distance) that lead to the same answer are one entry.
MERGE_DISTANCE = 0.02
_MERGE_LOOKS = 16
# So many entries of one answer are looked at; an answer that thousands speak of is as well known by some hundred.
_NEWEST = 256
ROW_RULES = RowRules(subject_field="playbook_id", ending_ops=frozenset({DELETE, MERGE}))
"""How entries of this log become rows of its table."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One judgement of an entry: −1 (failed) to 1 (worked), who gave it, when, and its place in the log."""

    order: str
    source: str
    score: float
    at: datetime


@dataclass(slots=True)
class PlaybookEntry:
    """A query and an answer that worked or failed for it, with the evidence."""

    playbook_id: str
    query: str = ""
    answer_id: str = ""
    answer_corpus: str | None = None
    tags: tuple[str, ...] = ()
    created_at: datetime | None = None
    first_order: str = ""
    evidence: dict[str, Evidence] = field(default_factory=dict)
    is_deleted: bool = False
    merged_into: str | None = None
    merged: set[str] = field(default_factory=set)

    @property
    def is_live(self) -> bool:
        """False while only feedback has arrived, and once it is deleted or merged into another."""
        return self.created_at is not None and not self.is_deleted and self.merged_into is None

    @property
    def key(self) -> Key:
        """Equal keys, equal entries: the query but for case and spaces, and the answer."""
        return key_of(self.query, self.answer_id, self.answer_corpus)

    def keep(self, key: str, evidence: Evidence) -> None:
        """Take evidence; of two with one key the later in the log's order counts."""
        known = self.evidence.get(key)
        if known is None or known.order < evidence.order:
            self.evidence[key] = evidence


class PlaybookBook:
    """All entries in memory; implements `MemoryState`. One thread applies, any number read.

    Args:
        index: Where the entries' query embeddings are looked up.
        embedder: Name of the embedder that the index stands on.
        embed: Embeds queries that another embedder's vectors came with.
    """

    def __init__(self, index: EntryIndex, *, embedder: str, embed: Embed) -> None:
        self._index = index
        self._embedder = embedder
        self._embed = embed
        self._entries: dict[str, PlaybookEntry] = {}
        self._by_key: dict[Key, tuple[str, ...]] = {}  # nearly always one
        self._by_answer: dict[str, dict[str, None]] = defaultdict(dict)
        self._live: set[str] = set()
        self._listeners: list[Callable[[Iterable[str]], None]] = []
        self._applying = threading.Lock()
        self.revision = 0
        self.sources: set[str] = set()

    def __len__(self) -> int:
        return len(self._live)

    def subscribe(self, listener: Callable[[Iterable[str]], None]) -> None:
        """Call `listener` with the ids of answers whose entries have changed, at first with all there are."""
        with self._applying:
            self._listeners.append(listener)
            listener(list(self._by_answer))

    def unsubscribe(self, listener: Callable[[Iterable[str]], None]) -> None:
        """Call it no more."""
        self._listeners = [other for other in self._listeners if other != listener]

    def entries_for(self, corpus: str, answer_id: str) -> list[PlaybookEntry]:
        """The newest live entries that speak of an answer of a corpus, those without a corpus included."""
        # Made in one step of the interpreter: the one thread that applies cannot come in between.
        newest = list(islice(reversed(self._by_answer.get(answer_id, {})), _NEWEST))
        found = (self._entries[i] for i in newest)
        return [entry for entry in found if entry.is_live and entry.answer_corpus in (None, corpus)]

    def vector_of(self, entry: PlaybookEntry) -> NDArray[np.float32] | None:
        """The embedding of an entry's query; None when the entry went meanwhile."""
        try:
            return self._index.vector_of(entry.playbook_id)
        except KeyError:
            return None

    def vectors_of(self, entries: Sequence[PlaybookEntry]) -> list[NDArray[np.float32] | None]:
        """The same for several entries, looked up at once."""
        found = self._index.vectors_of([entry.playbook_id for entry in entries])
        return [found.get(entry.playbook_id) for entry in entries]

    def get(self, playbook_id: str) -> PlaybookEntry | None:
        """The live entry that holds what this one said, or None."""
        known = self._entries.get(playbook_id)
        entry = known and self._heir(known)
        return entry if entry is not None and entry.is_live else None

    def entries(self) -> list[PlaybookEntry]:
        """The live entries, by id and so by the time they were made."""
        live = [entry for entry in tuple(self._entries.values()) if entry.is_live]
        return sorted(live, key=lambda entry: entry.playbook_id)

    def find(self, key: Key) -> str | None:
        """The id of the live entry with this key, of the oldest of several."""
        return min(self._by_key.get(key, ()), default=None)

    def nearest(self, vector: NDArray[np.float32], *, k: int, max_distance: float) -> list[tuple[float, PlaybookEntry]]:
        """The live entries whose query is at most `max_distance` (cosine) away, nearest first."""
        return self._live_of(self._index.nearest(vector, k, max_distance))

    async def nearest_together(
        self, vector: NDArray[np.float32], *, k: int, max_distance: float
    ) -> list[tuple[float, PlaybookEntry]]:
        """The same, looked for together with what others ask in this turn of the event loop."""
        return self._live_of(await self._index.nearest_together(vector, k, max_distance))

    def plan_merges(self, playbook_ids: Iterable[str]) -> list[tuple[str, str]]:
        """Pairs (entry, older one that says the same): nearly the same query, the same answer."""
        merges = []
        for playbook_id in sorted(playbook_ids):
            entry = self._entries.get(playbook_id)
            if entry is None or not entry.is_live or (vector := self.vector_of(entry)) is None:
                continue
            near = self.nearest(vector, k=_MERGE_LOOKS, max_distance=MERGE_DISTANCE)
            twins = [e.playbook_id for _, e in near if e.key[1:] == entry.key[1:] and e.playbook_id < playbook_id]
            if twins:
                merges.append((playbook_id, min(twins)))
        return merges

    def apply(self, entries: Sequence[Entry]) -> None:
        """Fold log entries in; each may come any number of times and in any order."""
        with self._applying:
            new: dict[str, Mapping[str, Any]] = {}
            gone: list[str] = []
            answers: set[str] = set()
            for entry in entries:
                playbook_id = str(entry.payload["playbook_id"])
                book = self._entries.setdefault(playbook_id, PlaybookEntry(playbook_id))
                before = book.key
                self.sources.add(entry.actor)
                if entry.op == RECORD and _record(book, entry):
                    new[playbook_id] = entry.payload
                elif entry.op == FEEDBACK:
                    _judge(book, entry, str(entry.payload.get("key") or entry.op_id))
                elif entry.op == DELETE:
                    book.is_deleted = True
                    gone.append(playbook_id)
                elif entry.op == MERGE and str(entry.payload["into"]) < playbook_id:
                    self._merge(book, str(entry.payload["into"]))
                    gone.append(playbook_id)
                self._settle(book, before)
                answers |= {before[1], self._heir(book).answer_id}
            self._store([payload for playbook_id, payload in new.items() if self._entries[playbook_id].is_live])
            if gone:
                self._index.delete(gone)
            self.revision += 1
            for listener in self._listeners:
                listener(answers)

    def evidence_of(self, entry: PlaybookEntry) -> list[Evidence]:
        """The evidence of an entry and of those that were merged into it."""
        if not entry.merged:
            return list(entry.evidence.values())
        gathered = PlaybookEntry(entry.playbook_id)
        waiting = [entry]
        while waiting:
            book = waiting.pop()
            waiting += [self._entries[child] for child in book.merged]
            if not book.is_deleted:
                for key, evidence in book.evidence.items():
                    gathered.keep(key, evidence)
        return list(gathered.evidence.values())

    def _live_of(self, hits: Sequence[Hit]) -> list[tuple[float, PlaybookEntry]]:
        found = ((hit.value, self._entries.get(hit.id)) for hit in hits)
        return [(distance, entry) for distance, entry in found if entry is not None and entry.is_live]

    def _merge(self, book: PlaybookEntry, into: str) -> None:
        # Of two heirs the older one: whichever is heard first, all processes end with the same.
        if book.merged_into is not None and book.merged_into <= into:
            return
        if book.merged_into is not None:
            self._entries[book.merged_into].merged.discard(book.playbook_id)
        book.merged_into = into
        self._entries.setdefault(into, PlaybookEntry(into)).merged.add(book.playbook_id)

    def _settle(self, book: PlaybookEntry, before: Key) -> None:
        """Keep the keys to the live entries, now that an entry has changed."""
        for key in {before, book.key}:
            others = tuple(i for i in self._by_key.get(key, ()) if i != book.playbook_id)
            ids = (*others, book.playbook_id) if book.is_live and key == book.key else others
            if ids:
                self._by_key[key] = ids
            else:
                self._by_key.pop(key, None)
        if book.answer_id:
            if book.is_live:
                self._by_answer[book.answer_id].setdefault(book.playbook_id)
            else:
                self._by_answer[book.answer_id].pop(book.playbook_id, None)
        (self._live.add if book.is_live else self._live.discard)(book.playbook_id)

    def _heir(self, book: PlaybookEntry) -> PlaybookEntry:
        while book.merged_into is not None:
            book = self._entries[book.merged_into]
        return book

    def _store(self, payloads: list[Mapping[str, Any]]) -> None:
        if not payloads:
            return
        vectors: list[NDArray[np.float32] | None] = [
            decode_vector(str(p["vector"])) if p.get("embedder") == self._embedder and p.get("vector") else None
            for p in payloads
        ]
        missing = [n for n, vector in enumerate(vectors) if vector is None]
        if missing:
            embedded = self._embed([str(payloads[n]["query"]) for n in missing])
            for n, vector in zip(missing, embedded, strict=True):
                vectors[n] = vector
        self._index.upsert(index_rows(payloads, np.stack([v for v in vectors if v is not None])))


def _record(book: PlaybookEntry, entry: Entry) -> bool:
    """Take a record's evidence; True when it gives the entry its words, and the index its vector."""
    _judge(book, entry, str(entry.payload.get("key") or entry.op_id))
    # Of two records of one entry the first in the log's order gives its words, wherever it was heard first.
    if book.created_at is not None and str(entry.order) >= book.first_order:
        return False
    payload = entry.payload
    book.first_order = str(entry.order)
    book.query, book.answer_id = str(payload["query"]), str(payload["answer_id"])
    book.answer_corpus = payload.get("answer_corpus")
    book.tags = tuple(payload.get("tags") or ())
    book.created_at = entry.recorded_at
    return True


def _judge(book: PlaybookEntry, entry: Entry, key: str) -> None:
    score = min(1.0, max(-1.0, float(entry.payload["score"])))
    book.keep(key, Evidence(str(entry.order), entry.actor, score, entry.recorded_at))
