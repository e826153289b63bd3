"""What searches have given to whom lately: content that comes back from there soon after is not learned again.

Belongs here: the memory of recalls, and its counts. Not here: what becomes of such content (see desk.py).
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable

RECALL_S = 3600.0
_KEPT = 20_000


class RecentlyRecalled:
    """The traces that searches of this process gave to each caller within the last hour, for one thread.

    Args:
        clock: Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._given: OrderedDict[tuple[str, str], float] = OrderedDict()
        self.unknown = 0

    def give(self, uids: Iterable[str], *, actor: str) -> None:
        """A search gives somebody these traces."""
        now_s = self._clock()
        for uid in uids:
            self._given[actor, uid] = now_s
            self._given.move_to_end((actor, uid))
        while len(self._given) > _KEPT:
            self._given.popitem(last=False)

    def has(self, uid: str, *, actor: str) -> bool:
        """Whether a search gave them this trace within the last hour."""
        given_s = self._given.get((actor, uid))
        return given_s is not None and self._clock() - given_s <= RECALL_S

    def count_unknown(self) -> None:
        """Content was said to be recalled that no trace says: it was dropped."""
        self.unknown += 1
