"""Retention of the memory log: only what is folded goes, and never the newest object of a stream that goes on."""

from __future__ import annotations

from datetime import timedelta

import orjson
import pytest

from lakehouse.clock import utc_now
from lakehouse.memory.keys import object_key
from lakehouse.operations.retention import apply_retention
from lakehouse.retrieval.live_table import live_key
from lakehouse.storage.objects import list_all
from tests.fakes.objects import MemoryObjects

NOW = utc_now()


def filled(age: timedelta, streams: dict[tuple[str, str], int]) -> MemoryObjects:
    store = MemoryObjects(clock=lambda: NOW - age)
    for (table, writer), last in streams.items():
        for seq in range(1, last + 1):
            store.put(object_key(table, writer, seq), b"{}\n")
    store.put("log/playbooks/lease.json", b"{}")
    return store


def gone(store: MemoryObjects, *, days: float) -> set[str]:
    before = {info.key for info in list_all(store, "log/")}
    apply_retention(store, now=NOW, log_age=timedelta(days=days), receipt_age=timedelta(days=400), dry_run=False)
    return before - {info.key for info in list_all(store, "log/")}


def test_what_is_folded_and_old_goes() -> None:
    store = filled(timedelta(days=31), {("playbooks", "a"): 3, ("playbooks", "b"): 2, ("pathways", "a"): 2})
    store.put(live_key("playbooks"), orjson.dumps({"uri": "x", "version": 1, "folded_through": {"a": 2}}))
    assert gone(store, days=30) == {object_key("playbooks", "a", 1), object_key("playbooks", "a", 2)}
    assert gone(store, days=30) == set()


def test_what_is_folded_and_young_stays() -> None:
    store = filled(timedelta(days=29), {("playbooks", "a"): 3})
    store.put(live_key("playbooks"), orjson.dumps({"folded_through": {"a": 3}}))
    assert gone(store, days=30) == set()


@pytest.mark.parametrize(
    "pointer", [None, b"", b"{", b"[]", b"{}", b'{"folded_through":[]}', b'{"folded_through":{"a":"x"}}']
)
def test_table_that_is_not_there_or_damaged_keeps_its_log(pointer: bytes | None) -> None:
    store = filled(timedelta(days=400), {("playbooks", "a"): 3})
    if pointer is not None:
        store.put(live_key("playbooks"), pointer)
    assert gone(store, days=0) == set()


def test_newest_object_of_a_stream_stays_until_the_stream_has_ended() -> None:
    streams = {("playbooks", "a"): 3, ("playbooks", "b"): 1}
    through = orjson.dumps({"folded_through": {"a": 3, "b": 1}})
    store = filled(timedelta(hours=1), streams)
    store.put(live_key("playbooks"), through)
    assert gone(store, days=0) == {object_key("playbooks", "a", 1), object_key("playbooks", "a", 2)}
    store = filled(timedelta(hours=3), streams)
    store.put(live_key("playbooks"), through)
    assert len(gone(store, days=0)) == 4
