"""Threads give way: those of a library by their name, one's own with those that it starts."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from lakehouse.adapters.giving_way import lower_own_priority, lower_priority_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no priorities of threads")


def own_priority() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def in_a_thread(work: Callable[[], object]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_threads_of_a_library_give_way_and_no_others() -> None:
    named, lowered = threading.Event(), threading.Event()
    seen: list[int] = []

    def work() -> None:
        Path(f"/proc/self/task/{threading.get_native_id()}/comm").write_text("vendor-cpu")
        named.set()
        lowered.wait(60)
        seen.append(own_priority())

    before = own_priority()
    thread = threading.Thread(target=work)
    thread.start()
    assert named.wait(60)
    assert lower_priority_of("vendor", "others") == 1
    lowered.set()
    thread.join()
    assert seen == [10]
    assert own_priority() == before
    assert lower_priority_of("nobody is called so") == 0


def test_a_thread_gives_way_with_those_that_it_starts() -> None:
    seen: list[int] = []

    def work() -> None:
        lower_own_priority()
        seen.append(own_priority())
        in_a_thread(lambda: seen.append(own_priority()))

    before = own_priority()
    in_a_thread(work)
    assert seen == [10, 10]
    assert own_priority() == before


def test_a_thread_that_is_lower_already_stays_so() -> None:
    seen: list[int] = []

    def work() -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 15)
        lower_own_priority()
        seen.append(own_priority())

    in_a_thread(work)
    assert seen == [15]
