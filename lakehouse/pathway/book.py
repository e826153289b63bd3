"""All traces in memory: the state that the memory log of pathways keeps.

Belongs here: the fold, who follows whom, what is found by fingerprint, the index kept in step. Not here: one trace (see
trace.py), ranking (see search.py), the index itself (see lakehouse/adapters/trace_index.py).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

from lakehouse.errors import LakehouseError
from lakehouse.memory.entry import Entry
from lakehouse.pathway.content import Content, read_content
from lakehouse.pathway.trace import ADD, LINK, REPLAY, UPDATE, PathwayTrace, check_entry
from lakehouse.pathway.trace_rows import State, TraceRow
from lakehouse.retrieval.playbook_codec import decode_vector

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
        self._digests: dict[str, tuple[bytes, bytes]] = {}  # by uid: fingerprint and wording
        self._by_digest: dict[bytes, tuple[str, ...]] = {}  # nearly always one
        # Contents that this process writes just now: it has read them already.
        self._expected: dict[str, Content] = {}
        self._successors: dict[str, tuple[str, ...]] = {}
        self._seen: set[int] = set()
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

    def successor(self, uid: str) -> str | None:
        """The newest trace that revises this one and is not retired."""
        living = [s for s in self._successors.get(uid, ()) if s != uid and self._traces[s].is_known]
        return max((s for s in living if not self._traces[s].is_retired), default=None)

    def twin_of(self, digest: bytes) -> str | None:
        """The oldest current trace with this fingerprint, or this wording."""
        return min((uid for uid in self._by_digest.get(digest, ()) if self.is_current(uid)), default=None)

    def expect(self, content: Content) -> None:
        """This content comes back as an entry in a moment."""
        self._expected[content.json] = content

    def expect_no_more(self, content: Content) -> None:
        """It has come, or does not."""
        self._expected.pop(content.json, None)

    def is_current(self, uid: str) -> bool:
        """Whether search may find it by default: neither retired nor revised."""
        trace = self.get(uid)
        return trace is not None and not trace.is_retired and self.successor(uid) is None

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
        if entry.op not in (ADD, UPDATE):
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
            left = tuple(u for u in self._by_digest.get(digest, ()) if u != uid)
            if left:
                self._by_digest[digest] = left
            else:
                self._by_digest.pop(digest, None)
        self._digests[uid] = content.fingerprint, content.wording
        for digest in self._digests[uid]:
            self._by_digest[digest] = (*self._by_digest.get(digest, ()), uid)

    def _vector_in(self, entry: Entry) -> NDArray[np.float32] | None:
        """The vector that an entry brings; None when it is no vector of the index's embedder."""
        if entry.payload.get("embedder") != self._embedder:
            return None
        try:
            vector = decode_vector(str(entry.payload["vector"]))
        except (KeyError, ValueError):
            return None
        is_sound = vector.shape == (self._index.dimension,) and bool(np.isfinite(vector).all()) and vector.any()
        return vector if is_sound else None

    def _store(self) -> None:
        """Bring the index in step; contents that cannot be embedded now are known, and searched later."""
        self._embed_missing()
        rows = []
        for uid, (text, vector) in self._unstored.items():
            if vector is not None:
                rows.append(self._row(self._traces[uid], text, vector))
        for uid in self._changed.keys() - self._unstored.keys():
            vector = self._index.vector_of(uid)
            if vector is not None:
                trace = self._traces[uid]
                rows.append(self._row(trace, read_content(trace.content.encode()).text, vector))
        if rows:
            self._index.put(rows)
        self._unstored = {uid: held for uid, held in self._unstored.items() if held[1] is None}
        self._changed.clear()

    def _embed_missing(self) -> None:
        missing = {uid: text for uid, (text, vector) in self._unstored.items() if vector is None}
        if not missing:
            return
        try:
            embedded = self._embed(list(missing.values()))
        except LakehouseError as error:
            _log.warning("pathways_not_embedded", traces=len(missing), reason=error.detail)
            return
        for (uid, text), vector in zip(missing.items(), embedded, strict=True):
            self._unstored[uid] = text, vector

    def _row(self, trace: PathwayTrace, text: str, vector: NDArray[np.float32] | None) -> TraceRow:
        state: State = "retired" if trace.is_retired else "current" if self.successor(trace.uid) is None else "revised"
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
