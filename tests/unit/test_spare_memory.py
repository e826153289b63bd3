"""What allocators keep goes back to the system."""

from __future__ import annotations

import subprocess
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


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator is meant")
def test_told_to_keep_little_large_blocks_go_back_at_once() -> None:
    told = """
import psutil, pyarrow as pa
from lakehouse.adapters.spare_memory import keep_little
keep_little()
assert pa.default_memory_pool().backend_name == "system"
process = psutil.Process()
begun = process.memory_info().rss
for _ in range(3):  # a freed one of 24 MiB would raise the C library's own threshold above the next
    kept = [bytearray(24 << 20), *(bytearray(b"x" * (2 << 20)) for _ in range(30)), pa.array(range(1_000_000))]
    edge = bytearray(1000)
    del kept
print((process.memory_info().rss - begun) >> 20)
"""
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 20
