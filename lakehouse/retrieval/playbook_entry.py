"""A playbook entry: a query, an answer, and the evidence that speaks for or against it.

A process holds hundreds of thousands of these, so they are kept small: an entry with one judgement has no dictionary,
equal values share one object, and the garbage collector does not track them.

Belongs here: one entry and how records and judgements change it. Not here: all of them (see playbook.py), what
evidence is worth (see playbook_scoring.py).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache

import msgspec

from lakehouse.memory.entry import Entry, Order
from lakehouse.retrieval.playbook_codec import Key, key_of

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_SHARED_SCORES = {score: score for score in (-1.0, 0.0, 0.5, 1.0)}


class Evidence(msgspec.Struct, frozen=True, gc=False):
    """One judgement of an entry: −1 (failed) to 1 (worked), who gave it, when, and its place in the log.

    Of several with one `key` the latest in the log's order counts; most have none but the number of their operation.
    """

    key: str | int
    order: Order
    source: str
    score: float
    at: datetime


class PlaybookEntry(msgspec.Struct, gc=False, eq=False):
    """A query and an answer that worked or failed for it, with the evidence: one judgement, or several by their key."""

    playbook_id: str
    query: str = ""
    answer_id: str = ""
    answer_corpus: str | None = None
    tags: tuple[str, ...] = ()
    created_at: datetime | None = None
    first_order: Order | None = None
    held: Evidence | dict[str | int, Evidence] | None = None
    is_deleted: bool = False
    merged_into: str | None = None
    merged: frozenset[str] = frozenset()

    @property
    def is_live(self) -> bool:
        """False while only feedback has arrived, and once it is deleted or merged into another."""
        return self.created_at is not None and not self.is_deleted and self.merged_into is None

    @property
    def key(self) -> Key:
        """Equal keys, equal entries: the query but for case and spaces, and the answer."""
        return key_of(self.query, self.answer_id, self.answer_corpus)

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """The judgements that count, without those of entries that were merged into this one."""
        held = self.held
        if held is None:
            return ()
        return tuple(held.values()) if isinstance(held, dict) else (held,)

    def keep(self, evidence: Evidence) -> None:
        """Take evidence; of two with one key the later in the log's order counts."""
        held = self.held
        if held is None:
            self.held = evidence
            return
        if not isinstance(held, dict):
            if held.key == evidence.key:
                self.held = max(held, evidence, key=_order_of)
                return
            held = self.held = {held.key: held}
        known = held.get(evidence.key)
        held[evidence.key] = evidence if known is None else max(known, evidence, key=_order_of)

    def judge(self, entry: Entry) -> None:
        """Take the judgement of a log entry."""
        score = min(1.0, max(-1.0, float(entry.payload["score"])))
        given = entry.payload.get("key")
        key = str(given) if given else _number_of(entry.op_id)
        score = _SHARED_SCORES.get(score, score)
        self.keep(Evidence(key, entry.order, sys.intern(entry.actor), score, entry.recorded_at))

    def record(self, entry: Entry, *, same_answer: Callable[[str], str] = str) -> bool:
        """Take a record's evidence; True when it gives the entry its words, and the index its vector.

        Args:
            entry: Of the log.
            same_answer: Gives the one text that all entries have for an answer's id.
        """
        self.judge(entry)
        # Of several records the first in the log's order gives the entry its words, in whatever order they arrive here.
        if self.first_order is not None and entry.order >= self.first_order:
            return False
        payload = entry.payload
        corpus = payload.get("answer_corpus")
        self.first_order = entry.order
        self.query, self.answer_id = str(payload["query"]), same_answer(str(payload["answer_id"]))
        self.answer_corpus = corpus if corpus is None else sys.intern(str(corpus))
        self.tags = _shared_tags(tuple(payload.get("tags") or ()))
        self.created_at = entry.recorded_at
        return True


def _number_of(op_id: str) -> str | int:
    """The number that a UUID is, in a third of its memory; any other text as it is."""
    return int(op_id.replace("-", ""), 16) if _UUID.fullmatch(op_id) else op_id


def _order_of(evidence: Evidence) -> Order:
    return evidence.order


@lru_cache(maxsize=1024)
def _shared_tags(tags: tuple[str, ...]) -> tuple[str, ...]:
    return tags
