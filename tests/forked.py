"""Processes of tests that are forked from one which has loaded the platform: starting Python and importing are most of
what a process takes.

Belongs here: such processes as `subprocess.Popen` shows them. Not here: how a program is started for real
(tests/integration/test_api_process.py and test_up_down.py do that).
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

# What the processes of tests load sooner or later, but for lance, which must not be forked.
_LOADED = [
    "lakehouse_api.__main__", "lakehouse_api.app", "lakehouse_api.compose", "lakehouse_api.http_protocol",
    "lakehouse.adapters.connect", "uvicorn.loops.uvloop", "uvicorn.lifespan.on", "boto3.s3.transfer", "duckdb",
    "pyarrow.parquet", "tests.evidence_lake", "tests.ingesting", "tests.memory_worker",
]  # fmt: skip


def context() -> ForkServerContext:
    """Makes processes as `multiprocessing` has them."""
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(_LOADED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENBLAS_NUM_THREADS", "1")  # as every program here sets it before numpy is loaded
        forkserver.ensure_running()
    return made


class ForkedProcess:
    """A program `python -m module`, forked; what it says goes to a file.

    Args:
        module: Has a function `main`, which gives the exit code.
        environ: The whole environment.
        folder: Where it runs.
        log: The file, to which is added.
    """

    def __init__(self, module: str, *, environ: Mapping[str, str], folder: Path, log: Path) -> None:
        self._process = context().Process(target=_run, args=(module, dict(environ), folder, log))
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """Its exit code, or None while it runs; a signal's number is negative."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code when it has ended.

        Raises:
            subprocess.TimeoutExpired: It has not.
        """
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


def _run(module: str, environ: Mapping[str, str], folder: Path, log: Path) -> None:
    os.setsid()
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ.clear()  # noqa: TID251 - all of it is another's
    os.environ.update(environ)  # noqa: TID251
    os.chdir(folder)
    sys.argv = [module]
    sys.exit(importlib.import_module(module).main())
