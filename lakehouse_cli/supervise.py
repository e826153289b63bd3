"""`lakehouse supervise`: the supervisor's process; `up` starts it, users need not.

Belongs here: signals, the lock that keeps it single. Not here: the loop (see supervisor.py).
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import threading

from lakehouse.errors import Conflict
from lakehouse_cli.children import make_children
from lakehouse_cli.start import SUPERVISOR, Installation, remember_settings
from lakehouse_cli.supervisor import Supervisor


def supervise(installation: Installation) -> None:
    """Run until SIGTERM or SIGINT.

    Raises:
        Conflict: Another supervisor looks after this installation.
    """
    settings, table = installation.settings, installation.table
    table.folder.mkdir(parents=True, exist_ok=True)
    with (table.folder / "supervisor.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(f"another supervisor runs for {settings.data_dir}") from None
        remember_settings(installation)
        table.remember(SUPERVISOR, os.getpid(), sys.orig_argv)
        stopping = threading.Event()
        for which in (signal.SIGTERM, signal.SIGINT):
            signal.signal(which, lambda *_: stopping.set())
        Supervisor(
            make_children(settings),
            table=table,
            logs=installation.logs,
            log_max_bytes=settings.child_log_max_bytes,
            log_keep=settings.child_log_keep,
        ).run(stopping)
