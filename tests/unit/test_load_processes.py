"""Processes in a load's report: whose are looked at, what they took over time, and that ends are survived."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lakehouse.adapters.process_meter import Metered, ProcessMeter, Sample
from lakehouse.errors import BadInput
from lakehouse.settings import load_settings
from lakehouse_cli.load_processes import processes_of, read_processes, rss_of, to_documents
from lakehouse_cli.processes import ProcessTable
from lakehouse_cli.remote import Remote
from tests.memory_logs import wait_until

URL = "http://127.0.0.1:8000"
BUSY = """
import subprocess, sys
say_and_wait = "print('ready', flush=True); input()"
child = subprocess.Popen([sys.executable, "-c", say_and_wait], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()
print("ready", flush=True)
while True: pass
"""


def test_processes_are_those_that_up_started_for_its_own_api_alone(tmp_path: Path) -> None:
    settings = load_settings({"LAKEHOUSE_DATA_DIR": str(tmp_path)}, env_file=None)
    own, other = Remote(URL, None, is_own=True), Remote(URL, None, is_own=False)
    me = {"generator": os.getpid()}
    assert processes_of(own, settings) == me
    ProcessTable(tmp_path / "run").remember("api", os.getpid(), ["python"])
    assert processes_of(own, settings) == {"api": os.getpid(), **me}
    assert processes_of(other, settings) == me
    assert processes_of(other, settings, [f"api={os.getpid()}"]) == {"api": os.getpid(), **me}


@pytest.mark.parametrize("text", ["4711", "api=", "api=x", "=1", "generator=1", "api=4194399"])
def test_what_is_no_process_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="process"):
        read_processes([text])


def test_busy_process_and_its_child_are_sampled_until_they_end() -> None:
    with subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE) as busy:
        assert busy.stdout is not None
        busy.stdout.readline()
        meter = ProcessMeter({"api": busy.pid, "generator": os.getpid()}, alone=frozenset({"generator"}), each_s=0.1)
        meter.start()
        wait_until(lambda: any(one.cpu_s > 0.1 for one in list(meter._known.values()) if one.pid == busy.pid))
        busy.kill()
        busy.wait()
        metered = meter.stop()
    assert [(one.group, one.is_child) for one in metered] == [("api", False), ("api", True), ("generator", False)]
    api, child, _ = metered
    assert api.cpu_s > 0.1 > child.cpu_s
    assert api.samples[0].rss_bytes > 1 << 20
    # What it had taken before is in no sample.
    assert (api.samples[0].cpu_share, child.samples[0].cpu_share) == (0, 0)
    # Shares over their times are what was taken, but for the first sample and what is rounded off.
    spans = [(later.cpu_share, later.at_s - earlier.at_s) for earlier, later in itertools.pairwise(api.samples)]
    assert 0 < sum(share * span_s for share, span_s in spans) < api.cpu_s + 0.01
    assert [sample.at_s for sample in api.samples] == sorted(sample.at_s for sample in api.samples)
    assert meter.own_cpu_s > 0
    (shown, *_) = to_documents(metered)
    assert (shown["name"], shown["pid"], shown["samples"][0].keys()) == (
        "api", busy.pid, {"at_s", "cpu_share", "rss_bytes"},
    )  # fmt: skip


def test_memory_of_a_group_counts_at_each_end_who_was_there_then() -> None:
    api = Metered("api", 1, False, "", samples=[Sample(0, 0, 10), Sample(1, 0, 12), Sample(2, 0, 14)])
    ended = Metered("api", 2, True, "", samples=[Sample(0, 0, 5), Sample(1, 0, 5)])
    late = Metered("api", 3, True, "", samples=[Sample(1, 0, 7), Sample(2, 0, 8)])
    assert rss_of([api, ended, late], "api") == (15, 22)
    assert rss_of([api], "store") is None
