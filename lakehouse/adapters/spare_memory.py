"""Memory that was needed for a moment goes back to the system: allocators keep what is freed, for the next time.

After a corpus of 100,000 rows has been read, that is a third of what the process holds.

Belongs here: `give_back`. Not here: when (see open_corpus.py, hot_upkeep.py).
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any


def give_back() -> None:
    """Let Arrow's pool and the C library give back what they do not use; some milliseconds of work."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@lru_cache(maxsize=1)
def _malloc_trim() -> Any:
    """glibc's function; other C libraries have none."""
    return getattr(ctypes.CDLL(None), "malloc_trim", None)
