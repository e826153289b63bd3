"""The server's memory in a load's report: of this installation's own API, and of no other."""

from __future__ import annotations

import os
from pathlib import Path

from lakehouse.settings import load_settings
from lakehouse_cli.load_run import server_rss_bytes
from lakehouse_cli.processes import ProcessTable
from lakehouse_cli.remote import Remote

URL = "http://127.0.0.1:8000"


def test_memory_is_that_of_the_process_that_up_started(tmp_path: Path) -> None:
    settings = load_settings({"LAKEHOUSE_DATA_DIR": str(tmp_path)}, env_file=None)
    own, other = Remote(URL, None, is_own=True), Remote(URL, None, is_own=False)
    assert server_rss_bytes(own, settings) is None
    ProcessTable(tmp_path / "run").remember("api", os.getpid(), ["python"])
    assert server_rss_bytes(other, settings) is None
    assert (server_rss_bytes(own, settings) or 0) > 10 << 20
