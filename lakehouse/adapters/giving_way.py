"""Background work gives way to requests: for the processors, and for Python's interpreter lock (GIL).

Linux has a priority for each thread. Only threads that seldom hold the GIL may have a low one, because whoever waits
for the GIL also waits until its holder gets a processor. Work in Python pauses between its pieces instead.

Belongs here: `breathe`, priorities of threads. Not here: whose turn it is (see background_turn.py).
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path

_TASKS = Path("/proc/self/task")
_LOW = 10  # a ninth of the time of a busy thread of normal priority; all of the time when none is busy
_BREATH_S = 0.001


def breathe() -> None:
    """Release the GIL for a moment; call it between pieces of about a millisecond.

    Otherwise a thread keeps the GIL for up to 5 ms when another has released it, as an event loop does at every product
    of matrices.
    """
    time.sleep(_BREATH_S)


def lower_own_priority() -> None:
    """Let this thread, and those that it starts from now on, give way."""
    if _TASKS.is_dir():
        _lower(threading.get_native_id())


def lower_priority_of(*prefixes: str) -> int:
    """Let a library's own threads give way.

    Args:
        prefixes: What their names begin with.

    Returns:
        How many there are; 0 where the system has no priorities of threads.
    """
    count = 0
    for task in _TASKS.glob("*/comm"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if task.read_text().startswith(prefixes):
                _lower(int(task.parent.name))
                count += 1
    return count


def _lower(thread_id: int) -> None:
    # A thread of lower priority stays so, as raising it is not permitted. Some hosts permit no change at all; this is
    # only
    # an optimization.
    with contextlib.suppress(OSError):
        if os.getpriority(os.PRIO_PROCESS, thread_id) < _LOW:
            os.setpriority(os.PRIO_PROCESS, thread_id, _LOW)
