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
    # What is lower already stays so: to raise it is not allowed. Some hosts allow neither, and it is only a courtesy.
    with contextlib.suppress(OSError):
        if os.getpriority(os.PRIO_PROCESS, thread_id) < _LOW:
            os.setpriority(os.PRIO_PROCESS, thread_id, _LOW)
