"""The command in this process, for tests of what it says: Python's start and imports are most of what a process takes.

Belongs here: standing in for a process of its own, in all that a caller sees. Not here: what only a process shows,
signals and kills among it (tests/integration/test_up_down.py and others start real ones).
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import structlog
import typer.main

from lakehouse_cli.main import app


def run_command(
    *arguments: str, environ: Mapping[str, str], cwd: Path | str, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run `lakehouse` as `subprocess.run` would, with an environment, a folder and an input of its own.

    Args:
        arguments: What stands behind `lakehouse`.
        environ: The whole environment.
        cwd: Where it runs.
        stdin: What it reads.
    """
    streams = {name: io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for name in ("stdout", "stderr")}
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as stack:
        for name in [*os.environ]:  # noqa: TID251 - all of it is another's
            patch.delenv(name)
        for name, value in environ.items():
            patch.setenv(name, value)
        patch.chdir(cwd)
        patch.setattr(sys, "argv", ["lakehouse", *arguments])
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), "utf-8"))
        stack.enter_context(contextlib.redirect_stdout(_OfThisThread(streams["stdout"], sys.stdout)))
        stack.enter_context(contextlib.redirect_stderr(_OfThisThread(streams["stderr"], sys.stderr)))
        structlog.reset_defaults()
        code = _exit_code(arguments)
        structlog.reset_defaults()
    said = {name: stream.buffer.getvalue().decode() for name, stream in streams.items()}  # type: ignore[attr-defined]
    return subprocess.CompletedProcess(["lakehouse", *arguments], code, said["stdout"], said["stderr"])


class _OfThisThread:
    """A stream for the thread that makes it; others, as an API's that logs in this process, keep theirs."""

    def __init__(self, own: Any, others: Any) -> None:
        self._own, self._others, self._thread = own, others, threading.get_ident()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own if threading.get_ident() == self._thread else self._others, name)


@functools.cache
def _command() -> Any:
    """Built once, as no call leaves anything in it."""
    return typer.main.get_command(app)


def _exit_code(arguments: tuple[str, ...]) -> int:
    try:
        _command()(list(arguments), prog_name="lakehouse")
    except SystemExit as end:
        if isinstance(end.code, str):
            sys.stderr.write(f"{end.code}\n")
            return 1
        return end.code or 0
    except Exception:
        traceback.print_exc()
        return 1
    return 0
