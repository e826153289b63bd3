"""Memory that was needed for a moment goes back to the system: allocators keep what is freed, for the next time.

After a corpus of 100,000 rows has been read, that is a third of what the process holds.

Belongs here: `give_back`, `keep_little`. Not here: when (see open_corpus.py, hot_upkeep.py, memory_folder.py).
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

# Of mallopt, in malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_MIB = 1 << 20
_ARENAS = 2
_OWN_PAGES_BYTES = _MIB
_TOP_BYTES = 4 * _MIB


def give_back() -> None:
    """Let Arrow's pool and the C library give back what they do not use; some milliseconds of work."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


def keep_little() -> None:
    """Let allocators keep little of what is freed; to be said before there are threads.

    Large blocks have pages of their own, and these go back at once: left alone, the C library takes ever larger ones
    from its arenas once one was freed, where they leave holes. What a thread frees stays in its arena for that thread,
    and a dozen threads keep a dozen peaks: they share two. Arrow asks the C library, too: its own pool kept 140 MiB
    after 100,000 rows, and gives them back to no call.
    """
    import pyarrow as pa

    pa.set_memory_pool(pa.system_memory_pool())
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc's; other C libraries have none, or no arenas
    if mallopt is not None:
        mallopt(_ARENA_MAX, _ARENAS)
        mallopt(_MMAP_THRESHOLD, _OWN_PAGES_BYTES)
        mallopt(_TRIM_THRESHOLD, _TOP_BYTES)


@lru_cache(maxsize=1)
def _malloc_trim() -> Any:
    """glibc's function; other C libraries have none."""
    return getattr(ctypes.CDLL(None), "malloc_trim", None)
