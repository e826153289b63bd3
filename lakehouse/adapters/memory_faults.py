"""How errors in the threads of a memory log are reported.

Belongs here: the texts. Not here: the threads (see memory_log.py).
"""

from __future__ import annotations

from lakehouse.errors import LakehouseError


def is_fault(error: Exception) -> bool:
    """Whether an error is a fault of the program, and not one that is raised on purpose."""
    return not isinstance(error, LakehouseError)


def told(error: Exception) -> str:
    """What `/health` says of an error."""
    return error.detail if isinstance(error, LakehouseError) else f"a fault in the memory log: {type(error).__name__}"
