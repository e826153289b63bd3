"""Processes that write and fold and are killed at any point: nothing acknowledged is lost, nothing is there twice."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from lakehouse.adapters.lance_tables import LanceTables
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.adapters.s3_direct import DirectObjects
from lakehouse.memory.keys import parse_object_key
from lakehouse.memory.log_object import read_object
from lakehouse.storage.objects import list_all
from tests.fakes.memory import Collected
from tests.forked import context
from tests.memory_logs import NEXT_LOOK, wait_for_looks, wait_until
from tests.memory_worker import TABLE, KillPoint, open_log, work

ACKNOWLEDGED = 10_000


@pytest.fixture
def bucket(objects: S3ObjectStore) -> Iterator[S3ObjectStore]:
    """An empty bucket, emptied by the thousand: what one test leaves here is more than others do."""
    yield objects
    while keys := [{"Key": info.key} for info in objects.list("", limit=1000).objects]:
        objects._client.delete_objects(Bucket=objects.bucket, Delete={"Objects": keys, "Quiet": True})


class Writer:
    """A writing process and what it has acknowledged so far."""

    def __init__(self, objects: S3ObjectStore, name: str, **options: Any) -> None:
        self.name = name
        self.acknowledged: list[tuple[str, str]] = []
        self.is_done = False
        children = context()
        (heard, saying), (told, self._ending) = children.Pipe(duplex=False), children.Pipe(duplex=False)
        arguments = objects.location, (saying, told), name
        self.process = children.Process(target=work, args=arguments, kwargs=options)
        self.process.start()
        saying.close()
        told.close()
        self._heard = heard
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        with open(self._heard.fileno(), "rb", closefd=False) as lines:
            for line in lines:
                if line == b"done\n":
                    self.is_done = True
                elif line.endswith(b"\n") and line != b"started\n":
                    number, op_id, _ = line.decode().split()
                    self.acknowledged.append((number, op_id))
        self._heard.close()

    def end(self, how: signal.Signals | None = None) -> None:
        """Kill it, or let it end by itself."""
        if how is not None:
            assert self.process.pid is not None
            os.kill(self.process.pid, how)
        self._ending.close()
        self.process.join(60)
        self.reader.join()


def recorded(objects: S3ObjectStore) -> Counter[str]:
    """How often each op_id is in the log."""
    found: Counter[str] = Counter()
    for info in list_all(objects, f"log/{TABLE}/"):
        if (key := parse_object_key(info.key)) is not None:
            item = read_object(objects.get(info.key).body, writer=key[1], seq=key[2])
            assert item.corrupt == ()
            found.update(entry.op_id for entry in item.entries)
    return found


def check(objects: S3ObjectStore, acknowledged: list[tuple[str, str]]) -> None:
    """Every acknowledged entry is there once: in the log, in a state that starts now, and in the table after a fold."""
    in_log = recorded(objects)
    op_ids = {op_id for _, op_id in acknowledged}
    assert len(op_ids) == len(acknowledged)
    assert op_ids <= in_log.keys()
    assert set(in_log.values()) <= {1}
    state = Collected()
    log = open_log(objects, state)
    log.start()
    assert state.entries.keys() == in_log.keys()
    assert log.stats()["lost_objects"] == log.stats()["missing_objects"] == 0
    names = Counter(entry.payload["n"] for entry in state.entries.values())
    assert set(names.values()) <= {1}
    assert {name for name, _ in acknowledged} <= names.keys()
    wait_until(lambda: log.fold() or not behind(log, objects), timeout_s=60)
    log.stop()
    table = LanceTables(objects.location, objects).open(TABLE)
    assert table is not None
    rows = [row for batch in table.scan() for row in batch.to_pylist()]
    assert Counter(row["op_id"] for row in rows) == in_log
    open_ended = Counter(row["subject_id"] for row in rows if row["valid_to"] is None)
    assert set(open_ended.values()) == {1}  # of each subject only the latest holds


def behind(log: Any, objects: S3ObjectStore) -> bool:
    table = LanceTables(objects.location, objects).open(TABLE)
    through = {} if table is None else table.folded_through
    last: dict[str, int] = {}
    for info in list_all(objects, f"log/{TABLE}/"):
        if (key := parse_object_key(info.key)) is not None:
            last[key[1]] = max(last.get(key[1], 0), key[2])
    return any(seq > through.get(writer, 0) for writer, seq in last.items())


@pytest.mark.slow
def test_ten_thousand_acknowledged_writes_survive_kills_at_random(bucket: S3ObjectStore) -> None:
    chance = random.Random(20260301)
    acknowledged: list[tuple[str, str]] = []
    kills = 0
    while len(acknowledged) < ACKNOWLEDGED or kills < 8:
        writer = Writer(bucket, f"w{kills}")
        enough = chance.randint(200, 2300)
        wait_until(lambda writer=writer, enough=enough: len(writer.acknowledged) > enough, timeout_s=60)
        writer.end(signal.SIGKILL)
        acknowledged += writer.acknowledged
        kills += 1
    check(bucket, acknowledged)


POINTS = [
    ("/000000000003.jsonl", "before", 1), ("/000000000003.jsonl", "after", 1),
    ("lease.json", "before", 1), ("lease.json", "after", 1), ("lease.json", "after", 3),
    ("lance/playbooks/live.json", "before", 1), ("lance/playbooks/live.json", "after", 1),
    ("lance/playbooks/live.json", "before", 2), ("lance/playbooks/live.json", "after", 2),
    ("lance/playbooks/live.json", "before", 4),
]  # fmt: skip


@pytest.mark.slow
def test_writes_survive_a_kill_at_each_point_of_write_and_fold(bucket: S3ObjectStore) -> None:
    acknowledged: list[tuple[str, str]] = []
    for number, (part, when, count) in enumerate(POINTS):
        if part.startswith("lance/") and count == 1:
            LanceTables(bucket.location, bucket).drop(TABLE)  # so that the table is made at this point
        writer = Writer(bucket, f"p{number}", kill_at=KillPoint(part, when, count), callers=4, rest_s=0.02)
        writer.process.join(60)
        assert writer.process.exitcode == -signal.SIGKILL
        writer.end()
        acknowledged += writer.acknowledged
    assert len(acknowledged) > 50
    check(bucket, acknowledged)


@pytest.mark.slow
def test_two_processes_on_one_bucket_lose_nothing_and_see_each_other_within_two_seconds(
    bucket: S3ObjectStore,
) -> None:
    state = Collected()
    log = open_log(DirectObjects(bucket.location), state, poll_s=0.5)
    log.start()
    writers = [Writer(bucket, name, writes=1500, callers=25, rest_s=0.05) for name in ("a", "b")]
    try:
        for _ in range(5):
            wait_until(lambda: all(writer.acknowledged for writer in writers), timeout_s=60)
            told = {op_id for writer in writers for _, op_id in list(writer.acknowledged)}
            wait_for_looks(log, NEXT_LOOK)
            assert told <= state.entries.keys()
        wait_until(lambda: all(writer.is_done for writer in writers), timeout_s=120)
        wait_for_looks(log, NEXT_LOOK)
        assert len(state.entries) == 3000
    finally:
        for writer in writers:
            writer.end()
        log.stop()
    acknowledged = [pair for writer in writers for pair in writer.acknowledged]
    assert len(acknowledged) == 3000
    check(bucket, acknowledged)
