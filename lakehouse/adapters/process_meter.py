"""Processor time and memory of processes over time, sampled beside whatever else this process does.

Listing all processes of a machine takes milliseconds, and reading a known one some microseconds, so children are looked
for now and then, and known processes are read each second.

Belongs here: sampling by psutil. Not here: which processes matter (see lakehouse_cli/load_processes.py), how samples
are shown (see lakehouse/load/chart.py).
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import psutil

_EACH_S = 1.0
_CHILDREN_EACH = 10
_LEAST_SHARE = 0.3
_MOST_WORDS = 3


@dataclass(frozen=True, slots=True)
class Sample:
    """A process at one moment: seconds since the start, the part of one core since the sample before, its memory."""

    at_s: float
    cpu_share: float
    rss_bytes: int


@dataclass(slots=True)
class Metered:
    """One process: its group (the name that it, or its parent, was given), what it runs, its samples in order."""

    group: str
    pid: int
    is_child: bool
    command: str
    cpu_s: float = 0.0
    samples: list[Sample] = field(default_factory=list)


class ProcessMeter:
    """Samples processes and their children from `start` to `stop`; those that end keep what they had.

    Args:
        roots: Process ids by group.
        alone: Groups whose children are not looked at.
        each_s: Seconds between two samples.
    """

    def __init__(
        self, roots: Mapping[str, int], *, alone: frozenset[str] = frozenset(), each_s: float = _EACH_S
    ) -> None:
        self._roots = dict(roots)
        self._alone = alone
        self._each_s = each_s
        self._known: dict[psutil.Process, Metered] = {}
        self._cpu_s: dict[psutil.Process, float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="process-meter", daemon=True)
        self._begun = self._last = 0.0
        self.own_cpu_s = 0.0
        """What the sampling itself took of the processor."""

    def start(self) -> None:
        """Take the first sample, and go on beside the caller."""
        self._look_for_children()
        self._begun = self._last = time.perf_counter()
        self._sample()
        self._thread.start()

    def stop(self) -> list[Metered]:
        """Take the last sample; every process that was seen, each group's own first."""
        self._over.set()
        self._thread.join()
        # Processor time is counted in hundredths of a second, so a share right after another sample would be noise.
        if time.perf_counter() - self._last >= self._each_s * _LEAST_SHARE:
            self._sample()
        groups = list(self._roots)
        return sorted(self._known.values(), key=lambda one: (groups.index(one.group), one.is_child, one.pid))

    def _run(self) -> None:
        turn = 0
        while not self._over.wait(self._each_s):
            begun = time.thread_time()
            turn += 1
            if turn % _CHILDREN_EACH == 0:
                self._look_for_children()
            self._sample()
            self.own_cpu_s += time.thread_time() - begun

    def _look_for_children(self) -> None:
        for group, pid in self._roots.items():
            with contextlib.suppress(psutil.Error):
                root = psutil.Process(pid)
                self._know(root, group, is_child=False)
                if group not in self._alone:
                    for child in root.children(recursive=True):
                        self._know(child, group, is_child=True)

    def _know(self, process: psutil.Process, group: str, *, is_child: bool) -> None:
        if process in self._known:
            return
        with contextlib.suppress(psutil.Error):
            command = " ".join(process.cmdline()[:_MOST_WORDS])
            times = process.cpu_times()
            # All processor time of a child that was found later counts, as it was started during the measurement.
            is_later = is_child and self._begun > 0
            self._cpu_s[process] = 0.0 if is_later else times.user + times.system
            self._known[process] = Metered(group, process.pid, is_child, command)

    def _sample(self) -> None:
        now = time.perf_counter()
        passed = now - self._last
        for process, metered in self._known.items():
            # The process has ended; its samples stay.
            with contextlib.suppress(psutil.Error), process.oneshot():
                times, rss_bytes = process.cpu_times(), process.memory_info().rss
                taken = max(0.0, times.user + times.system - self._cpu_s[process])
                self._cpu_s[process] = times.user + times.system
                metered.cpu_s += taken
                share = taken / passed if passed >= self._each_s * _LEAST_SHARE else 0.0  # the first one
                sample = Sample(round(now - self._begun, 3), round(share, 4), rss_bytes)
                metered.samples.append(sample)
        self._last = now
