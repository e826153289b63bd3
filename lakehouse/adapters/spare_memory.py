"""Memory that was needed for a moment goes back to the system: allocators keep what is freed, for the next time.

After a corpus of 100,000 rows has been read, that is a third of what the process holds.

Belongs here: `give_back`, `share_arenas`. Not here: when (see open_corpus.py, hot_upkeep.py, memory_folder.py).
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

_ARENA_MAX = -8  # M_ARENA_MAX in malloc.h
_ARENAS = 2


def give_back() -> None:
    """Let Arrow's pool and the C library give back what they do not use; some milliseconds of work."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


def share_arenas() -> None:
    """Let the threads of this process share two arenas of the C library; each has its own unless this is said first.

    What a thread frees stays in its arena for that thread, and a dozen threads keep a dozen peaks.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc's; other C libraries have none, or no arenas
    if mallopt is not None:
        mallopt(_ARENA_MAX, _ARENAS)


@lru_cache(maxsize=1)
def _malloc_trim() -> Any:
    """glibc's function; other C libraries have none."""
    return getattr(ctypes.CDLL(None), "malloc_trim", None)
