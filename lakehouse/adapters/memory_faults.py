"""How what goes wrong in the threads of a memory log is told.

Belongs here: the words. Not here: the threads (see memory_log.py).
"""

from __future__ import annotations

from lakehouse.errors import LakehouseError


def is_fault(error: Exception) -> bool:
    """Whether an error is none that is raised on purpose."""
    return not isinstance(error, LakehouseError)


def told(error: Exception) -> str:
    """What `/health` says of an error."""
    return error.detail if isinstance(error, LakehouseError) else f"a fault in the memory log: {type(error).__name__}"
