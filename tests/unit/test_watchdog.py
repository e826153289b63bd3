"""What hangs is shown and ended, and a test's signal handlers end with it."""

from __future__ import annotations

import signal
import subprocess
import sys

from tests.watchdog import signals_kept


def test_signal_that_a_test_ignored_is_not_ignored_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with signals_kept():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_hangs_where_no_signal_reaches_is_shown_and_ended() -> None:
    # The main thread waits in foreign code that goes on waiting, whatever signal comes.
    program = (
        "import ctypes, signal\n"
        "from tests.watchdog import ended_after\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\n"
        "with ended_after(0.2):\n"
        "    ctypes.CDLL(None).pause()\n"
    )
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert process.returncode == 1
    assert "Timeout" in process.stderr
    assert 'File "<string>", line 5' in process.stderr
