"""The command in the test's process: what it says is what its own thread says."""

from __future__ import annotations

import importlib.metadata
import sys
import threading
from pathlib import Path

import pytest

from tests.commands import run_command


def test_what_others_log_meanwhile_is_not_what_the_command_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def version_while_others_log(_: str) -> str:
        other = threading.Thread(target=lambda: sys.stdout.write("a line of a log\n"))
        other.start()
        other.join()
        return "1.2.3"

    monkeypatch.setattr(importlib.metadata, "version", version_while_others_log)
    done = run_command("--version", environ={}, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "lakehouse 1.2.3\n")
    assert capsys.readouterr().out == "a line of a log\n"
