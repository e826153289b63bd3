"""A disk without room, told from what an engine says: it has one type of error for all that goes wrong with files.

Belongs here: telling it. Not here: what to do about it, which depends on whose files did not fit (see duckdb_engine.py,
conversion_writing.py, evidence_lake.py).
"""

from __future__ import annotations

import errno
import os

_NO_ROOM = tuple(os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG))


def no_room_in(message: str) -> str | None:
    """The system's words for a disk, a quota or a file that is full, where an engine's message has them; else None."""
    return next((said for said in _NO_ROOM if said in message), None)
