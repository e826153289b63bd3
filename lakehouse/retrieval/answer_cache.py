"""A cache of whole search answers, for the next search that asks the same of the same state.

Nothing is invalidated: a key names the config's version, the revision of each corpus and that of the playbooks, so an
answer is found only while all of them are as they were. What playbooks say fades with time, so answers are kept for
seconds only. Each `put` drops up to two answers of an earlier revision: freeing them is cheap while they are still in
the processor's cache.

Belongs here: keys, the cache. Not here: what an answer is and how much memory it takes (see search_answer.py).
"""

from __future__ import annotations

import json
import sys
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import orjson

from lakehouse.retrieval.search_request import SearchRequest

Kept = TypeVar("Kept")
Key = tuple[Any, ...]
KEEP_S = 30.0
MOST_ANSWERS = 1024
MOST_BYTES = 64 << 20
_DROPPED_AT_ONCE = 2
# Larger requests come from exports, which ask for each answer once.
_MOST_RESULTS = 100
_MOST_EXCLUDED = 1_000
# Measured: a key without its texts, an excluded id without its characters, and what orjson allocates beyond a text.
_KEY_BYTES = 1_000
_EXCLUDED_BYTES = 85
_SPARE_BYTES = 4_096


class AnswerCache(Generic[Kept]):
    """The answers used last, for one event loop.

    Args:
        most: How many are kept.
        most_bytes: What all of them may take; one that takes more by itself is not kept.
        keep_s: For how long, seconds.
        clock: Seconds that only rise.
    """

    def __init__(
        self,
        *,
        most: int = MOST_ANSWERS,
        most_bytes: int = MOST_BYTES,
        keep_s: float = KEEP_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._keep_s = keep_s
        self._clock = clock
        self._bytes = 0
        # For each key: when the answer was kept (seconds), its revision, its size in bytes, and the answer.
        self._kept: OrderedDict[Key, tuple[float, int, int, Kept]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def size_bytes(self) -> int:
        """The sizes that were given to `put`, summed over what is kept."""
        return self._bytes

    def get(self, key: Key | None) -> Kept | None:
        """What was kept under a key and is not too old."""
        found = None if key is None else self._kept.get(key)
        if found is None or key is None:
            return None
        if self._clock() - found[0] > self._keep_s:
            del self._kept[key]
            self._bytes -= found[2]
            return None
        self._kept.move_to_end(key)
        return found[3]

    def put(self, key: Key | None, answer: Kept, *, revision: int = 0, size_bytes: int = 0) -> None:
        """Keep an answer; under None nothing is kept.

        Args:
            key: Its key.
            answer: The answer.
            revision: A part of the key that only rises, so that answers of a lower one are never asked for again.
            size_bytes: Memory of the answer and its key.
        """
        if key is None or size_bytes > self._most_bytes:
            return
        kept = self._kept
        before = kept.pop(key, None)
        kept[key] = (self._clock(), revision, size_bytes, answer)
        self._bytes += size_bytes if before is None else size_bytes - before[2]
        for _ in range(_DROPPED_AT_ONCE):
            if len(kept) > self._most or next(iter(kept.values()))[1] < revision:
                self._bytes -= kept.popitem(last=False)[1][2]
        while self._bytes > self._most_bytes:
            self._bytes -= kept.popitem(last=False)[1][2]


def key_of(request: SearchRequest, *, has_pii: bool, k: int, state: Key) -> Key | None:
    """The key of a search; None when its answer is not kept: it is large, or a SQL filter reads data outside `state`.

    Args:
        request: As it was asked.
        has_pii: Whether personal values may be seen.
        k: How many results are wanted, defaults filled in.
        state: Everything else that the answer depends on.
    """
    if request.sql_filter is not None or k > _MOST_RESULTS or len(request.exclude_ids) > _MOST_EXCLUDED:
        return None
    return (
        request.query, tuple(request.corpora), request.k, request.per_corpus_k, _text(request.filter),
        frozenset(request.exclude_ids), _text(request.playbook), request.mode, request.threshold, request.model,
        request.force_full, has_pii, state,
    )  # fmt: skip


def key_bytes(key: Key) -> int:
    """About how many bytes of memory a key of `key_of` takes."""
    query, filtered, excluded, playbook = key[0], key[4], key[5], key[6]
    size_bytes = _KEY_BYTES + sys.getsizeof(query)
    for text in (filtered, playbook):
        if text is not None:
            size_bytes += len(text) + _SPARE_BYTES
    if excluded:
        size_bytes += sum(map(len, excluded)) + _EXCLUDED_BYTES * len(excluded)
    return size_bytes


def _text(document: object) -> bytes | None:
    if document is None:
        return None
    try:
        return orjson.dumps(document)
    except TypeError:  # an integer beyond 64 bits, which orjson does not take
        return json.dumps(document).encode()
