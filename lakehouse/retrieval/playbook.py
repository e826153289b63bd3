"""Playbooks: which answers worked for which queries, as the memory log tells it.

The state is a fold of log entries that does not depend on the order in which they arrive: of evidence with one key the
latest in the log's order counts, a deletion is final, and feedback on an entry that is not known yet waits for it.

Operations (payloads are JSON; `vector` is the query's embedding, float16 little-endian as base64):

    record    {playbook_id, query, answer_id, answer_corpus, tags, score, embedder, vector, key?}
    feedback  {playbook_id, score, key}         a later one with the same key replaces it
    delete    {playbook_id}
    merge     {playbook_id, into}               `into` is older, and says the same

Belongs here: all entries, the fold. Not here: one of them (see playbook_entry.py), what evidence is worth (see
playbook_scoring.py), the log (see lakehouse/memory), where vectors are looked up (see playbook_index.py).
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lakehouse.memory.entry import Entry
from lakehouse.memory.rows import RowRules
from lakehouse.retrieval.playbook_codec import Key
from lakehouse.retrieval.playbook_entry import Evidence, PlaybookEntry
from lakehouse.retrieval.playbook_vectors import EntryVectors

if TYPE_CHECKING:
    from lakehouse.retrieval.playbook_index import Embed, EntryIndex, Nearby

RECORD, FEEDBACK, DELETE, MERGE = "record", "feedback", "delete", "merge"
TABLE = "playbooks"
# Two queries this close (cosine distance) that lead to the same answer are one entry.
MERGE_DISTANCE = 0.02
_MERGE_LOOKS = 16
# Most entries of one answer that are looked at: some hundred say as much about an answer as thousands.
_NEWEST = 256
ROW_RULES = RowRules(subject_field="playbook_id", ending_ops=frozenset({DELETE, MERGE}))
"""How entries of this log become rows of its table."""


class PlaybookBook:
    """All entries in memory; implements `MemoryState`. One thread applies, any number read.

    Args:
        index: Where the entries' query embeddings are looked up.
        embedder: Name of the embedder that the index stands on.
        embed: Embeds queries whose vectors are of another embedder; what it fails at is tried again by `catch_up`.
    """

    def __init__(self, index: EntryIndex, *, embedder: str, embed: Embed) -> None:
        self._index = index
        self._vectors = EntryVectors(index, embedder=embedder, embed=embed)
        self._entries: dict[str, PlaybookEntry] = {}
        # From the hash of a key to the id of its live entry, or the ids of several.
        self._by_key: dict[int, str | tuple[str, ...]] = {}
        # From an answer to the id of its live entry, or the ids of all its entries in the order in which they came.
        self._by_answer: dict[str, str | list[str]] = {}
        self._live = 0
        self._listeners: list[Callable[[Iterable[str]], None]] = []
        self._applying = threading.Lock()
        self.revision = 0
        self.sources: set[str] = set()

    def __len__(self) -> int:
        return self._live

    def subscribe(self, listener: Callable[[Iterable[str]], None]) -> None:
        """Call `listener` with the ids of answers whose entries have changed."""
        with self._applying:
            self._listeners.append(listener)

    def unsubscribe(self, listener: Callable[[Iterable[str]], None]) -> None:
        """Call it no more."""
        self._listeners = [other for other in self._listeners if other != listener]

    def entries_for(self, corpus: str, answer_id: str) -> list[PlaybookEntry]:
        """The newest live entries that speak of an answer of a corpus, those without a corpus included."""
        held = self._by_answer.get(answer_id, ())
        # One slice, which is a single step of the interpreter, so the applying thread cannot change the list meanwhile.
        newest = [held] if isinstance(held, str) else held[: -_NEWEST - 1 : -1]
        found = (self._entries[i] for i in newest)
        return [entry for entry in found if entry.is_live and entry.answer_corpus in (None, corpus)]

    def spoken_of(self, answer_ids: Iterable[str]) -> list[str]:
        """Those of some answers that live entries speak of."""
        return [answer_id for answer_id in answer_ids if answer_id in self._by_answer]

    def row_of(self, entry: PlaybookEntry) -> int | None:
        """The row of an entry's query embedding; None when the entry has been removed meanwhile."""
        return self._index.row_of(entry.playbook_id)

    def vectors_at(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The embeddings at some rows; raises `NotFound` when one is gone."""
        return self._index.vectors_at(rows)

    def products_at(self, rows: NDArray[np.int64], vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """The cosines of a unit vector and the embeddings at some rows; raises as `vectors_at`."""
        return self._index.products_at(rows, vector)

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
        held = self._by_key.get(_hash_of(key))
        if held is None:
            return None
        if isinstance(held, str):
            return held if self._entries[held].key == key else None
        return min((i for i in held if self._entries[i].key == key), default=None)

    def nearest(self, vector: NDArray[np.float32], *, k: int, max_distance: float) -> Nearby:
        """The entries whose query is at most `max_distance` (cosine) away, nearest first."""
        return self._index.nearest(vector, k, max_distance)

    def look(self, vector: NDArray[np.float32], *, k: int, max_distance: float) -> Awaitable[Nearby]:
        """The same, joined with other searches of this turn of the event loop; it is begun at once."""
        return self._index.look(vector, k, max_distance)

    def live_of(self, nearby: Nearby) -> Iterator[tuple[float, PlaybookEntry]]:
        """The entries found that are still live; each is looked up lazily."""
        for distance, playbook_id in zip(nearby.distances, nearby.ids, strict=True):
            entry = self._entries.get(playbook_id)
            if entry is not None and entry.is_live:
                yield distance, entry

    def plan_merges(self, playbook_ids: Iterable[str]) -> list[tuple[str, str]]:
        """Pairs (entry, older one that says the same): nearly the same query, the same answer."""
        merges = []
        for playbook_id in sorted(playbook_ids):
            entry = self._entries.get(playbook_id)
            if entry is None or not entry.is_live or (row := self.row_of(entry)) is None:
                continue
            vector = self.vectors_at(np.array([row], np.int64))[0]
            near = self.live_of(self.nearest(vector, k=_MERGE_LOOKS, max_distance=MERGE_DISTANCE))
            answer = entry.answer_id, entry.answer_corpus
            twins = [
                e.playbook_id
                for _, e in near
                if (e.answer_id, e.answer_corpus) == answer and e.playbook_id < playbook_id
            ]
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
                book = self._entries.get(playbook_id)
                if book is None:
                    book = self._entries[playbook_id] = PlaybookEntry(playbook_id)
                before = book.key if book.is_live else None
                answers.add(book.answer_id)
                if entry.op in (RECORD, FEEDBACK):  # deleting or merging is no judgement of an answer
                    self.sources.add(entry.actor)
                if entry.op == RECORD and book.record(entry, same_answer=self._same_answer):
                    new[book.playbook_id] = entry.payload
                elif entry.op == FEEDBACK:
                    book.judge(entry)
                elif entry.op == DELETE:
                    book.is_deleted = True
                    gone.append(playbook_id)
                elif entry.op == MERGE and str(entry.payload["into"]) < playbook_id:
                    self._merge(book, str(entry.payload["into"]))
                    gone.append(playbook_id)
                self._settle(book, before)
                answers.add(self._heir(book).answer_id)
            self._vectors.store({i: payload for i, payload in new.items() if self._entries[i].is_live})
            if gone:
                self._vectors.forget(gone)
                self._index.delete(gone)
            self._tell(answers)

    @property
    def unplaced(self) -> int:
        """How many live entries no search finds yet: their queries could not be embedded when they came."""
        return self._vectors.missing

    def catch_up(self) -> None:
        """Try again to make all entries findable: the embedder may answer now."""
        with self._applying:
            if found := self._vectors.catch_up():
                self._tell({self._entries[playbook_id].answer_id for playbook_id in found})

    def evidence_of(self, entry: PlaybookEntry) -> Sequence[Evidence]:
        """The evidence of an entry and of those that were merged into it."""
        if not entry.merged:
            return entry.evidence
        gathered = PlaybookEntry(entry.playbook_id)
        waiting = [entry]
        while waiting:
            book = waiting.pop()
            waiting += [self._entries[child] for child in book.merged]
            if not book.is_deleted:
                for evidence in book.evidence:
                    gathered.keep(evidence)
        return gathered.evidence

    def _merge(self, book: PlaybookEntry, into: str) -> None:
        # Of two targets the older one counts, so that all processes agree, in whatever order they read the merges.
        if book.merged_into is not None and book.merged_into <= into:
            return
        if book.merged_into is not None:
            self._entries[book.merged_into].merged -= {book.playbook_id}
        book.merged_into = into
        self._entries.setdefault(into, PlaybookEntry(into)).merged |= {book.playbook_id}

    def _settle(self, book: PlaybookEntry, before: Key | None) -> None:
        """Update the indexes by key and answer after a change of one entry; `before` is its old key, if it was live."""
        after = book.key if book.is_live else None
        if after == before:
            return
        self._live += (after is not None) - (before is not None)
        if before is not None:
            _take_out(self._by_key, _hash_of(before), book.playbook_id)
            held = self._by_answer[before[1]]
            if isinstance(held, list):
                held.remove(book.playbook_id)
            if isinstance(held, str) or not held:
                del self._by_answer[before[1]]
        if after is not None:
            key = _hash_of(after)
            held_ids = self._by_key.get(key, ())
            others = (held_ids,) if isinstance(held_ids, str) else held_ids
            self._by_key[key] = (*others, book.playbook_id) if others else book.playbook_id
            known = self._by_answer.get(book.answer_id)
            if isinstance(known, list):
                known.append(book.playbook_id)
            else:
                alone = book.playbook_id if known is None else [known, book.playbook_id]
                self._by_answer[book.answer_id] = alone

    def _same_answer(self, answer_id: str) -> str:
        """The string object of an answer's id that other entries have already, so that all share one."""
        held = self._by_answer.get(answer_id)
        if held is None:
            return answer_id
        return self._entries[held if isinstance(held, str) else held[0]].answer_id

    def _heir(self, book: PlaybookEntry) -> PlaybookEntry:
        while book.merged_into is not None:
            book = self._entries[book.merged_into]
        return book

    def _tell(self, answers: set[str]) -> None:
        for listener in self._listeners:
            listener(answers)
        # Last, so that no cached answer under the new revision was made from older entries.
        self.revision += 1


def _hash_of(key: Key) -> int:
    """The hash of a key in 60 bits, as Python's integers beyond take more memory."""
    return hash(key) >> 4


def _take_out(held_by: dict[int, str | tuple[str, ...]], key: int, playbook_id: str) -> None:
    held = held_by.pop(key)
    others = () if isinstance(held, str) else tuple(i for i in held if i != playbook_id)
    if others:
        held_by[key] = others if len(others) > 1 else others[0]
