"""What allocators keep goes back to the system."""

from __future__ import annotations

import sys

import psutil
import pytest

from lakehouse.adapters.spare_memory import give_back

MIB = 1 << 20


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator is meant")
def test_freed_memory_leaves_the_process() -> None:
    process = psutil.Process()
    kept = [bytes(2_000) for _ in range(100_000)]  # 190 MiB in pieces that the C library keeps
    edge = bytes(2_000)  # behind them: without a call nothing could be given back
    held = process.memory_info().rss
    del kept
    give_back()
    assert process.memory_info().rss < held - 100 * MIB
    assert edge == bytes(2_000)


def test_other_c_libraries_have_no_such_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lakehouse.adapters.spare_memory._malloc_trim", lambda: None)
    give_back()
