"""Replays and baselines out of one bucket and into another: see lakehouse/replay/exchange.py for the lines.

A file with one wrong line, or with an object that is another one here, is taken in not at all. Taking a file in twice
adds nothing. What a batch has beside its objects, its Parquet file and its raw lines, is made again here.

Belongs here: objects read and written. Not here: the form of a line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from lakehouse.adapters.replay_store import RUNS, VERDICT, ReplayStore
from lakehouse.errors import BadInput, Conflict, NotFound, PreconditionFailed
from lakehouse.replay.batch import PREFIX, key_of
from lakehouse.replay.exchange import MOST_LINE_BYTES, ExchangedObject, kind_of, read_object
from lakehouse.storage.objects import ObjectStore, list_all

BASELINES = ("audits/baselines/", "drift/")
# A batch exists once its document does, so that is written after all it needs, and the verdict after it.
_LAST = ("batch.json", "judge.json", "verdict.md", "verdict.json")


@dataclass(slots=True)
class TakenReplays:
    """What came of a file: objects, those that were new here, batches."""

    objects: int = 0
    new: int = 0
    batches: set[str] = field(default_factory=set)


def write_out(store: ObjectStore, target: BinaryIO, *, batches: Sequence[str] = (), baselines: bool = True) -> int:
    """Write batches and baselines as lines of the exchange, in the order of their keys.

    Args:
        store: The bucket.
        target: Where lines go.
        batches: Only these; none: all.
        baselines: Baselines, too.

    Returns:
        How many there are.

    Raises:
        NotFound: There is no such batch.
        StoreUnavailable: The store does not answer.
    """
    replays = ReplayStore(store)
    for batch_id in batches:
        replays.read(batch_id)
    count = 0
    for key in _keys(store, [f"{PREFIX}{one}/" for one in batches] or [PREFIX], baselines=baselines):
        kind = kind_of(key)
        if kind is None:
            continue
        target.write(ExchangedObject(kind, key, store.get(key).body).to_json())
        count += 1
    return count


def take_in(store: ObjectStore, source: BinaryIO, *, is_dry: bool = False) -> TakenReplays:
    """Take the lines of a file in.

    Args:
        store: The bucket.
        source: The file; read twice, so it can be sought in.
        is_dry: Only look at it.

    Raises:
        BadInput: Naming the first line that is wrong; nothing was taken in.
        Conflict: An object is there and is another one; nothing was taken in.
        StoreUnavailable: The store does not answer; taking the file in again goes on from here.
    """
    taken = TakenReplays()
    new: set[str] = set()
    for number, one in _objects(source):
        taken.objects += 1
        if one.batch_id is not None:
            taken.batches.add(one.batch_id)
        try:
            there = store.get(one.key).body
        except NotFound:
            new.add(one.key)
            continue
        if there != one.body:
            raise Conflict(
                f"line {number}: {one.key!r} is there, and another one than the file's; nothing was taken in",
                line=number,
            )
    taken.new = len(new)
    if is_dry:
        return taken
    for names in ((), _LAST):
        source.seek(0)
        for _, one in _objects(source):
            is_last = one.batch_id is not None and one.key.endswith(tuple(f"/{name}" for name in _LAST))
            if one.key in new and is_last is bool(names):
                _put(store, one)
    for batch_id in sorted(taken.batches):
        _make_again(ReplayStore(store), batch_id)
    return taken


def _make_again(replays: ReplayStore, batch_id: str) -> None:
    """The Parquet file and the raw lines of a batch that has ended, the raw lines of one that is under way."""
    batch = replays.read(batch_id)
    tasks = replays.tasks(batch)
    if replays.document(batch_id, VERDICT) is None:
        replays.log_whole(batch, replays.done(batch_id))
        return
    if replays.objects.head(key_of(batch_id, RUNS)) is None:
        replays.write_runs(batch, replays.rows(batch))
    replays.log_rest(batch, replays.rows(batch), tasks)


def _put(store: ObjectStore, one: ExchangedObject) -> None:
    try:
        store.put(one.key, one.body, if_absent=True, content_type="application/json")
    except PreconditionFailed:
        if store.get(one.key).body != one.body:
            raise Conflict(
                f"{one.key!r} came meanwhile, and is another one than the file's; take it in again"
            ) from None


def _objects(source: BinaryIO) -> Iterator[tuple[int, ExchangedObject]]:
    number = 0
    while line := source.readline(MOST_LINE_BYTES):
        number += 1
        if not line.endswith(b"\n") and len(line) >= MOST_LINE_BYTES:
            raise BadInput(f"line {number} is longer than a line of the exchange can be", line=number)
        yield number, read_object(line, number=number)


def _keys(store: ObjectStore, prefixes: Sequence[str], *, baselines: bool) -> Iterator[str]:
    """Keys in order; failed rows that were answered after all are gone already."""
    for prefix in (*(BASELINES if baselines else ()), *prefixes):
        yield from (info.key for info in list_all(store, prefix))
