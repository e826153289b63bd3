"""No test holds the run up: what hangs is shown, thread by thread, and ended; signals stay as they were.

`pytest-timeout` raises in the main thread, which a thread that waits in foreign code never sees, and only once per
test, so that a teardown may still hang. `faulthandler` has its own thread, which needs nothing of Python: it writes
every stack to the real stderr and ends the process; pytest-xdist names the test and goes on in a new worker.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
from collections.abc import Iterator

import pytest

# Later than pytest-timeout, which says more and goes on with the same process.
_AFTER_TIMEOUT_S = 60
_END_S = 120
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_stderr = os.dup(2)  # pytest's capture takes the number 2


@contextlib.contextmanager
def ended_after(seconds: float) -> Iterator[None]:
    """End this process, with every thread's stack on stderr, if the block takes longer."""
    faulthandler.dump_traceback_later(seconds, exit=True, file=_stderr)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


@contextlib.contextmanager
def signals_kept() -> Iterator[None]:
    """Put SIGINT and SIGTERM back as they were.

    A Dagster run in process gives SIGTERM the handler of SIGINT. A worker of pytest-xdist ignores SIGINT, so both were
    ignored from then on, and by every child that a later test started: processes inherit what is ignored.
    """
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is not handler:
                signal.signal(number, handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    limit_s = float(item.config.getini("timeout")) + _AFTER_TIMEOUT_S
    with ended_after(limit_s), signals_kept():
        return (yield)


def pytest_unconfigure() -> None:
    """The process's own end has its time too: a thread that never ends would keep it for ever."""
    faulthandler.dump_traceback_later(_END_S, exit=True, file=_stderr)
