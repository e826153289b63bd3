"""Whose turn it is in the background: one piece of heavy work at a time in a process.

Folding the memory log and training codes each take a core for a while. Both at once would leave none for requests; one
after the other they are done as soon.

Belongs here: the turn. Not here: what takes it (see memory_folder.py, hot_upkeep.py).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from lakehouse.adapters.giving_way import lower_priority_of

PATIENCE_S = 10.0
"""The turn is a courtesy: work that has waited so long begins beside what is stuck."""
_LIBRARIES = ("lance",)  # libraries that do the work in threads of their own, made when there is some
_turn = threading.Lock()


@contextmanager
def background_turn() -> Iterator[None]:
    """Wait for the turn and hold it, for one piece of work that waits for no other."""
    is_taken = _turn.acquire(timeout=PATIENCE_S)
    lower_priority_of(*_LIBRARIES)
    try:
        yield
    finally:
        if is_taken:
            _turn.release()
