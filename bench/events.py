"""Durable run-log lines: the event log against the same lines written bare, in one run.

`bare group` writes and syncs 50 lines at once, the most that 50 callers can share; `bare single` syncs each line.

    python bench/events.py [--lines 20000] [--callers 50]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _verdict import tell_ratio

from lakehouse.adapters.event_log import EventLog
from lakehouse.settings import load_settings
from tests.fakes.objects import MemoryObjects

ROUNDS = 5
LINE = {"action": "ingest", "subject": "workers", "status": "ok", "actor": "primary", "text": "x" * 200}


async def through_the_log(folder: Path, lines: int, callers: int) -> tuple[float, list[float]]:
    """Lines a second, and the wait of each in ms."""
    log = EventLog(load_settings({"LAKEHOUSE_DATA_DIR": str(folder)}, env_file=None), MemoryObjects())
    log.start()
    waits: list[float] = []

    async def call() -> None:
        for _ in range(lines // callers):
            begun = time.perf_counter()
            await log.append("audits", LINE)
            waits.append((time.perf_counter() - begun) * 1000)

    begun = time.perf_counter()
    await asyncio.gather(*(call() for _ in range(callers)))
    rate = lines / (time.perf_counter() - begun)
    log.stop()
    return rate, waits


def bare(folder: Path, lines: int, group: int) -> float:
    """Lines a second of write + fdatasync, `group` lines at a time."""
    line = b"x" * 400 + b"\n"
    descriptor = os.open(folder / f"bare-{group}-{time.monotonic_ns()}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    begun = time.perf_counter()
    for _ in range(lines // group):
        os.write(descriptor, line * group)
        os.fdatasync(descriptor)
    rate = lines / (time.perf_counter() - begun)
    os.close(descriptor)
    return rate


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--lines", type=int, default=20_000)
    arguments.add_argument("--callers", type=int, default=50)
    given = arguments.parse_args()
    ours, groups, singles, waits = [], [], [], []
    with tempfile.TemporaryDirectory(prefix="bench-events-") as name:
        for number in range(ROUNDS + 1):
            rate, waited = asyncio.run(through_the_log(Path(name) / str(number), given.lines, given.callers))
            group, single = bare(Path(name), given.lines, given.callers), bare(Path(name), given.lines // 10, 1)
            if number:  # the first round warms up
                ours.append(rate)
                waits += waited
                groups.append(group)
                singles.append(single)
    cuts = statistics.quantiles(waits, n=100)
    ours_s, group_s, single_s = (statistics.median(rates) for rates in (ours, groups, singles))
    print(f"{given.lines} lines, {given.callers} callers, medians of {ROUNDS} rounds")
    print(f"event log    {ours_s:10,.0f} lines/s   wait p50 {cuts[49]:.2f} ms, p99 {cuts[98]:.2f} ms")
    print(f"bare group   {group_s:10,.0f} lines/s")
    print(f"bare single  {single_s:10,.0f} lines/s")
    tell_ratio("lines/s over bare groups'", ours_s / group_s, more_is_better=True)
    tell_ratio("lines/s over bare single lines'", ours_s / single_s, more_is_better=True)


if __name__ == "__main__":
    main()
