"""Work that nobody waits for gives way to answers: on the processors, and for the interpreter.

Linux has a priority for each thread. Only threads that seldom hold the interpreter may have a low one: whoever waits
for the interpreter waits for a processor for them, too. Work in Python takes a breath between its pieces instead.

Belongs here: `breathe`, priorities of threads. Not here: whose turn it is (see background_turn.py).
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path

_TASKS = Path("/proc/self/task")
_LOW = 10  # a ninth of the time of a thread that is as busy; all of it where none is
_BREATH_S = 0.001


def breathe() -> None:
    """Leave the interpreter to others for a moment; between pieces of about a millisecond.

    Without it a thread keeps what another has let go of for 5 ms, and an event loop lets go of it at every product of
    matrices.
    """
    time.sleep(_BREATH_S)


def lower_own_priority() -> None:
    """Let this thread, and those that it starts from now on, give way."""
    if _TASKS.is_dir():
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOW)


def lower_priority_of(*prefixes: str) -> int:
    """Let a library's own threads give way.

    Args:
        prefixes: What their names begin with.

    Returns:
        How many there are; 0 where the system has no priorities of threads.
    """
    count = 0
    for task in _TASKS.glob("*/comm"):
        # A thread may end meanwhile.
        with contextlib.suppress(OSError):
            if task.read_text().startswith(prefixes):
                os.setpriority(os.PRIO_PROCESS, int(task.parent.name), _LOW)
                count += 1
    return count
