"""Acknowledged memory writes: the log on the embedded store with fsync on, against bare conditional PUTs, in one run.

A round is `--writes` appends by 50 callers, then the very objects that the log made of them, written again under other
keys one after the other: what the store alone takes for groups of these sizes. The log can be faster than that only by
making larger groups. `--folder` sets the disk (by default the temporary folder's); in memory (`/dev/shm`) the store's
own limits show.

    python bench/memory_log.py [--writes 10000] [--callers 50] [--folder DIR]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from _verdict import tell_ratio

from lakehouse.adapters.memory_log import MemoryLog
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.adapters.s3_direct import open_objects
from lakehouse.adapters.seaweedfs import require_fsync
from lakehouse.clock import new_id
from lakehouse.storage.objects import ObjectStore, list_all
from tests.fakes.memory import Collected, FoldedInMemory
from tests.fakes.objects import MemoryObjects
from tests.servers import store_server

ROUNDS = 5


def record(number: int) -> dict[str, object]:
    """A playbook record of about 600 bytes, its text of its own."""
    return {
        "query": f"Electrician x2 in Toledo, OH, starting Monday, order {number}",
        "answer_id": f"w-{number}",
        "answer_corpus": "workers",
        "score": 0.93,
        "tags": ["fill", "OH"],
        "context": f"semantic shortlist, then validate; {number} " * 10,
    }


async def through_the_log(log: MemoryLog, writes: int, callers: int) -> tuple[float, list[float]]:
    """Acknowledgements a second, and the wait of each in ms."""
    waits: list[float] = []
    numbers = iter(range(writes))

    async def call() -> None:
        for number in numbers:
            begun = time.perf_counter()
            await log.append("record", record(number), actor="bench")
            waits.append((time.perf_counter() - begun) * 1000)

    begun = time.perf_counter()
    await asyncio.gather(*(call() for _ in range(callers)))
    return writes / (time.perf_counter() - begun), waits


def bare(objects: ObjectStore, bodies: list[bytes], writes: int) -> float:
    """Acknowledgements a second of the same objects, put one after the other."""
    prefix = f"log/bare/{new_id()}"
    begun = time.perf_counter()
    for number, body in enumerate(bodies):
        objects.put(f"{prefix}/{number:012d}.jsonl", body, if_absent=True)
    return writes / (time.perf_counter() - begun)


def measure(name: str, objects: ObjectStore, writes: int, callers: int) -> None:
    """Rounds on one store, and their medians."""
    rates, bares, waits, sizes, cpu_us = [], [], [], [], []
    for number in range(ROUNDS + 1):
        table = f"round_{number}_{type(objects).__name__.lower()}"
        log = MemoryLog(objects, table, Collected(), FoldedInMemory())
        log.start()
        used = time.process_time()
        rate, waited = asyncio.run(through_the_log(log, writes, callers))
        used = time.process_time() - used
        log.stop()
        keys = [info.key for info in list_all(objects, f"log/{table}/") if info.key.endswith(".jsonl")]
        bodies = [objects.get(key).body for key in keys]
        bare_rate = bare(objects, bodies, writes)
        if number:  # the first round warms up
            rates.append(rate)
            bares.append(bare_rate)
            waits += waited
            sizes.append(writes / len(bodies))
            cpu_us.append(used / writes * 1e6)
    cuts = statistics.quantiles(waits, n=100)
    ours_s, bare_s = statistics.median(rates), statistics.median(bares)
    ratio = statistics.median(ours / other for ours, other in zip(rates, bares, strict=True))
    print(f"{name}: {writes} writes, {callers} callers, medians of {ROUNDS} rounds")
    print(f"  memory log  {ours_s:9,.0f} acks/s   wait p50 {cuts[49]:.2f} ms, p99 {cuts[98]:.2f} ms")
    print(
        f"              {statistics.median(sizes):9.1f} acks a group, {statistics.median(cpu_us):.0f} us of CPU an ack"
    )
    print(f"  bare PUTs   {bare_s:9,.0f} acks/s")
    tell_ratio(f"{name}: acks/s over bare PUTs'", ratio, more_is_better=True)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--writes", type=int, default=10_000)
    arguments.add_argument("--callers", type=int, default=50)
    arguments.add_argument("--folder", type=Path, default=None)
    given = arguments.parse_args()
    measure("objects in memory", MemoryObjects(), given.writes, given.callers)
    with (
        tempfile.TemporaryDirectory(prefix="bench-memory-", dir=given.folder) as name,
        store_server(Path(name)) as server,
    ):
        location = server.objects().location
        require_fsync(server.embedded)
        measure("embedded store, fsync on", open_objects(location), given.writes, given.callers)
        measure("the same through boto3", S3ObjectStore(location), given.writes, given.callers)


if __name__ == "__main__":
    main()
