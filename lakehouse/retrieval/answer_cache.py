"""Whole answers of searches, kept for the next one that asks the very same of the very same state.

Nothing is invalidated: a key names the config's version, the revision of each corpus and that of the playbooks, so an
answer is found only while all of them are as they were. Playbooks fade with time, so answers are kept for seconds.
Those of an earlier revision go two at a time, before they have left the processor's cache: freeing them is cheap there.

Belongs here: keys and what is kept. Not here: what an answer is (see search_service.py).
"""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import orjson

from lakehouse.retrieval.search_request import SearchRequest

Kept = TypeVar("Kept")
KEEP_S = 30.0
MOST_ANSWERS = 1024
MOST_PASSING = 128
_DROPPED_AT_ONCE = 2
# Larger ones are asked for once, by those who export.
_MOST_RESULTS = 100
_MOST_EXCLUDED = 1_000


class AnswerCache(Generic[Kept]):
    """The answers used last, for one event loop.

    Args:
        most: How many are kept.
        keep_s: For how long, seconds.
        clock: Seconds that only rise.
    """

    def __init__(
        self, *, most: int = MOST_ANSWERS, keep_s: float = KEEP_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._keep_s = keep_s
        self._clock = clock
        # By key when it was kept, under which revision, and the answer.
        self._kept: OrderedDict[Hashable, tuple[float, int, Kept]] = OrderedDict()

    def get(self, key: Hashable | None) -> Kept | None:
        """What was kept under a key and is not too old."""
        found = None if key is None else self._kept.get(key)
        if found is None:
            return None
        if self._clock() - found[0] > self._keep_s:
            del self._kept[key]
            return None
        self._kept.move_to_end(key)
        return found[2]

    def put(self, key: Hashable | None, answer: Kept, *, revision: int = 0) -> None:
        """Keep an answer; under None nothing is kept.

        Args:
            key: Its key.
            answer: The answer.
            revision: A number in the key that only rises: what was kept under a lower one is not asked for again.
        """
        if key is None:
            return
        self._kept[key] = (self._clock(), revision, answer)
        self._kept.move_to_end(key)
        for _ in range(_DROPPED_AT_ONCE):
            if len(self._kept) > self._most or next(iter(self._kept.values()))[1] < revision:
                self._kept.popitem(last=False)


def key_of(request: SearchRequest, *, has_pii: bool, k: int, state: Hashable) -> Hashable | None:
    """The key of a search; None for one whose answer is not kept: SQL filters read data that the state does not name.

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


def _text(document: object) -> bytes | None:
    if document is None:
        return None
    try:
        return orjson.dumps(document)
    except TypeError:  # a number that has more digits than most
        return json.dumps(document).encode()
