"""All traces in memory: the state that the memory log of pathways keeps.

Belongs here: the fold, who follows whom, what is found by fingerprint, the index kept in step. Not here: one trace (see
trace.py), ranking (see search.py), the index itself (see lakehouse/adapters/trace_index.py).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

from lakehouse.memory.entry import Entry
from lakehouse.pathway.content import Content, read_content
from lakehouse.pathway.trace import ADD, LINK, REPLAY, PathwayTrace, check_entry
from lakehouse.pathway.trace_rows import State, TraceRow
from lakehouse.retrieval.playbook_codec import decode_vector

_TEXTS_AT_ONCE = 256
_log = structlog.get_logger("lakehouse.pathway")


class TraceIndex(Protocol):
    """Traces by their words and the embedding of them; one thread writes, any number read."""

    @property
    def dimension(self) -> int: ...

    def put(self, rows: Sequence[TraceRow]) -> None: ...

    def vector_of(self, uid: str) -> NDArray[np.float32] | None: ...


class Embed(Protocol):
    """Embeds texts: (n, dimension), rows of unit length."""

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]: ...


class PathwayBook:
    """All traces; implements `MemoryState`. One thread applies, any number read.

    Args:
        index: Kept in step with the traces.
        embedder: Name of the embedder that the index stands on.
        embed: Embeds contents that another embedder's vectors came with.
    """

    def __init__(self, index: TraceIndex, *, embedder: str, embed: Embed) -> None:
        self._index = index
        self._embedder = embedder
        self._embed = embed
        self._traces: dict[str, PathwayTrace] = {}
        self._digests: dict[str, tuple[bytes, ...]] = {}  # by uid: fingerprint and wording
        self._by_digest: dict[bytes, tuple[str, ...]] = {}  # nearly always one
        self._by_former: dict[bytes, tuple[str, ...]] = {}  # what traces said before
        # Contents that this process writes just now: it has read them already.
        self._expected: dict[str, Content] = {}
        self._successors: dict[str, tuple[str, ...]] = {}
        self._seen: set[int] = set()
        self._states: dict[str, State] = {}  # as the index has them
        # What the index does not have yet: by uid its words and its vector, None while it is not embedded.
        self._unstored: dict[str, tuple[str, NDArray[np.float32] | None]] = {}
        self._changed: dict[str, None] = {}
        self._applying = threading.Lock()
        self.counts = {"adds": 0, "replays": 0, "exact": 0, "near": 0, "recalled": 0}

    def __len__(self) -> int:
        return sum(trace.is_known for trace in tuple(self._traces.values()))

    def get(self, uid: str) -> PathwayTrace | None:
        """The trace of a uid."""
        trace = self._traces.get(uid)
        return trace if trace is not None and trace.is_known else None

    def traces(self) -> list[PathwayTrace]:
        """All of them, by uid and so, but for those of keys, by the time they were made."""
        return sorted((t for t in tuple(self._traces.values()) if t.is_known), key=lambda trace: trace.uid)

    def successors(self, uid: str) -> tuple[str, ...]:
        """The traces that revise this one, oldest first."""
        return tuple(sorted(self._successors.get(uid, ())))

    def is_revised(self, uid: str) -> bool:
        """Whether a trace that is not retired revises this one, be it by way of retired ones."""
        waiting, seen = list(self._successors.get(uid, ())), {uid}
        while waiting:
            follower = waiting.pop()
            if follower not in seen:
                seen.add(follower)
                trace = self._traces[follower]
                if trace.is_known and not trace.is_retired:
                    return True
                waiting += self._successors.get(follower, ())
        return False

    def is_current(self, uid: str) -> bool:
        """Whether search may find it by default: neither retired nor revised."""
        trace = self.get(uid)
        return trace is not None and not trace.is_retired and not self.is_revised(uid)

    def twin_of(self, digest: bytes, *, with_retired: Callable[[str], bool]) -> str | None:
        """The trace that says what has this fingerprint, or this wording: a current one, else the oldest.

        Args:
            digest: Of the content.
            with_retired: Tells of a trace that is retired, or said it before, whether it counts all the same.
        """
        said = [uid for uid in self._by_digest.get(digest, ()) if self._traces[uid].is_known]
        living = [uid for uid in said if not self._traces[uid].is_retired]
        if living:
            return min((uid for uid in living if self.is_current(uid)), default=min(living))
        left = [*said, *(uid for uid in self._by_former.get(digest, ()) if self._traces[uid].is_known)]
        return min(filter(with_retired, left), default=None)

    def expect(self, content: Content) -> None:
        """This content comes back as an entry in a moment."""
        self._expected[content.json] = content

    def expect_no_more(self, content: Content) -> None:
        """It has come, or does not."""
        self._expected.pop(content.json, None)

    def apply(self, entries: Sequence[Entry]) -> None:
        """Fold log entries in; each may come any number of times and in any order.

        Raises:
            ValueError, LakehouseError: One of them is no entry of this log; nothing was taken.
        """
        with self._applying:
            new = [entry for entry in entries if _number(entry.op_id) not in self._seen]
            contents = [self._checked(entry) for entry in new]
            for entry, content in zip(new, contents, strict=True):
                if _number(entry.op_id) not in self._seen:  # one that came twice
                    self._apply_one(entry, content)
            self._store()

    def _checked(self, entry: Entry) -> Content | None:
        """The content that an entry brings, once all of it is known to be sound."""
        check_entry(entry)
        if entry.payload.get("content") is None:
            return None
        text = str(entry.payload["content"])
        return self._expected.get(text) or read_content(text.encode())

    def _apply_one(self, entry: Entry, content: Content | None) -> None:
        uid = str(entry.payload["uid"])
        trace = self._traces.setdefault(uid, PathwayTrace(uid))
        before = _standing(trace)
        has_content = trace.take(entry)
        self._seen.add(_number(entry.op_id))
        self._count(trace, entry)
        if has_content and content is not None:
            self._know(uid, content)
            self._unstored[uid] = content.text, self._vector_in(entry)
        if trace.predecessor_uid != before[0]:
            self._follow(uid, before[0], trace.predecessor_uid)
        if _standing(trace) != before:
            # What it revises is current again when it is retired, and is not when it comes.
            self._changed |= dict.fromkeys(filter(None, (uid, before[0], trace.predecessor_uid)))

    def _count(self, trace: PathwayTrace, entry: Entry) -> None:
        if entry.op == LINK:
            kind = str(entry.payload.get("kind"))
            self.counts[kind] = self.counts.get(kind, 0) + 1
        elif entry.op in (ADD, REPLAY):
            self.counts["adds" if trace.adds == 1 else "replays"] += 1

    def _follow(self, uid: str, before: str | None, predecessor_uid: str | None) -> None:
        if before is not None:
            self._successors[before] = tuple(s for s in self._successors[before] if s != uid)
        if predecessor_uid is not None:
            self._successors[predecessor_uid] = (*self._successors.get(predecessor_uid, ()), uid)

    def _know(self, uid: str, content: Content) -> None:
        """Find a trace by what it says now, and by what it said before no more."""
        for digest in self._digests.get(uid, ()):
            self._by_digest[digest] = tuple(u for u in self._by_digest[digest] if u != uid)
            if not self._by_digest[digest]:
                del self._by_digest[digest]
            former = self._by_former.get(digest, ())
            self._by_former[digest] = former if uid in former else (*former, uid)
        self._digests[uid] = tuple(dict.fromkeys((content.fingerprint, content.wording)))
        for digest in self._digests[uid]:
            self._by_digest[digest] = (*self._by_digest.get(digest, ()), uid)

    def _vector_in(self, entry: Entry) -> NDArray[np.float32] | None:
        """The vector that an entry brings; None when it is none of the index's embedder."""
        if entry.payload.get("embedder") != self._embedder:
            return None
        try:
            vector = decode_vector(str(entry.payload["vector"]))
        except (KeyError, ValueError):
            return None
        return vector if vector.any() and np.isfinite(vector).all() else None

    @property
    def has_unstored(self) -> bool:
        """Whether there are traces that search does not find yet."""
        return bool(self._unstored)

    def catch_up(self) -> None:
        """Try again to bring the index in step: the embedder may answer now."""
        with self._applying:
            self._store()

    def _store(self) -> None:
        """Bring the index in step; contents that cannot be embedded now are known, and searched later."""
        if not (self._unstored or self._changed):
            return
        dimension = 0
        try:
            dimension = self._index.dimension
            self._embed_missing(dimension)
        # What is in the log is acknowledged: whatever the embedder says, the traces are known.
        except Exception as error:
            _log.warning("pathways_not_searchable_yet", traces=len(self._unstored), reason=str(error))
            if dimension == 0:
                return
        ready = {
            uid: (text, vector)
            for uid, (text, vector) in self._unstored.items()
            if vector is not None and vector.shape == (dimension,)
        }
        before = {uid: self._states.get(uid) for uid in ready}
        rows = [self._row(self._traces[uid], text, vector) for uid, (text, vector) in ready.items()]
        rows += self._rows_around(before)
        if rows:
            self._index.put(rows)
        self._unstored = {uid: held for uid, held in self._unstored.items() if uid not in ready}
        self._changed.clear()

    def _embed_missing(self, dimension: int) -> None:
        missing = [
            (uid, text)
            for uid, (text, vector) in self._unstored.items()
            if vector is None or vector.shape != (dimension,)
        ]
        self._unstored |= {uid: (text, None) for uid, text in missing}
        for first in range(0, len(missing), _TEXTS_AT_ONCE):
            some = missing[first : first + _TEXTS_AT_ONCE]
            for (uid, text), vector in zip(some, self._embed([text for _, text in some]), strict=True):
                self._unstored[uid] = text, vector

    def _rows_around(self, before: dict[str, State | None]) -> list[TraceRow]:
        """Rows of traces that have changed otherwise than in content, and of what these revise, as far as it matters.

        Args:
            before: Traces whose rows are made already, with the state they had.
        """
        rows: list[TraceRow] = []
        waiting, seen = [*before, *self._changed], set[str]()
        while waiting:
            uid = waiting.pop()
            trace = self._traces.get(uid)
            if uid in seen or trace is None:
                continue
            seen.add(uid)
            known = before[uid] if uid in before else self._states.get(uid)
            if uid not in before and (vector := self._index.vector_of(uid)) is not None:
                rows.append(self._row(trace, read_content(trace.content.encode()).text, vector))
            # A retired one stands in nobody's way: what it revises depends on what revises it.
            if trace.predecessor_uid is not None and (self._states.get(uid) != known or trace.is_retired):
                waiting.append(trace.predecessor_uid)
        return rows

    def _row(self, trace: PathwayTrace, text: str, vector: NDArray[np.float32]) -> TraceRow:
        state: State = "retired" if trace.is_retired else "revised" if self.is_revised(trace.uid) else "current"
        self._states[trace.uid] = state
        return TraceRow(trace.uid, text, trace.tags, state, trace.updated_at, vector)


def _standing(trace: PathwayTrace) -> tuple[str | None, bool, datetime | None, tuple[str, ...]]:
    """What of a trace its row, and that of what it revises, depend on beside the content."""
    return trace.predecessor_uid, trace.is_known, trace.retired_at, trace.tags


def _number(op_id: str) -> int:
    """An op_id in a third of its memory."""
    try:
        return int(op_id.replace("-", ""), 16)
    except ValueError:  # no UUID: no program of ours has written it
        return hash(op_id)
