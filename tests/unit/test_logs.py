"""Logs of the API: a line is one JSON object, whoever wrote it."""

from __future__ import annotations

import json
import subprocess
import sys

_WRITTEN = """
import warnings
from lakehouse_api.logs import configure_logs
configure_logs()
warnings.warn("a library warns")
warnings.warn("lance is not fork-safe. If you are using multiprocessing, use spawn")
"""


def test_warnings_of_libraries_are_lines_of_the_log_and_those_of_known_forks_are_none() -> None:
    done = subprocess.run([sys.executable, "-c", _WRITTEN], capture_output=True, text=True, check=True)
    (line,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert (line["logger"], line["level"]) == ("py.warnings", "warning")
    assert "a library warns" in line["event"]
    assert done.stderr == ""
