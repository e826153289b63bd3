"""The pathway state: any order, partition and repetition of the same entries gives the same state."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.memory.entry import Entry, Order
from lakehouse.pathway.book import PathwayBook
from lakehouse.pathway.trace import ADD, LINK, REPLAY, RETIRE, UPDATE
from lakehouse.retrieval.playbook_codec import encode_vector
from tests.fakes.trace_index import KeptTraces

WRITER = "0198f0c2-7c1e-7f43-9a51-0f6a3a1d2b3c"
START = datetime(2026, 1, 1, tzinfo=UTC)
UNIT = np.array([1, 0], np.float32)

uids = st.sampled_from(["u1", "u2", "u3"])
contents = st.sampled_from(
    ['"call the client first"', '{"a":1,"b":"two words"}', '"Call the client FIRST"', "[true,7]"]
)
tags = st.lists(st.sampled_from(["fill", "welder"]), max_size=2)
operations = st.one_of(
    st.tuples(st.just(ADD), uids, contents, tags, st.none() | uids),
    st.tuples(st.just(UPDATE), uids, contents, st.none() | tags, st.none()),
    st.tuples(st.sampled_from([REPLAY, LINK, RETIRE]), uids, contents, tags, st.none()),
)


def make_book() -> PathwayBook:
    return PathwayBook(KeptTraces(), embedder="fake", embed=lambda texts: np.stack([UNIT for _ in texts]))


def make(n: int, operation: tuple[str, str, str, Any, str | None]) -> Entry:
    op, uid, content, given_tags, predecessor = operation
    payload: dict[str, Any] = {"uid": uid}
    if op in (ADD, UPDATE):
        payload |= {"content": content, "tags": given_tags, "embedder": "fake"}
        payload |= {"vector": encode_vector(np.array([np.cos(n), np.sin(n)], np.float32))}
    if op == ADD:
        payload |= {"predecessor_uid": predecessor, "key": None}
    if op == LINK:
        payload |= {"kind": "near", "content": content, "tags": given_tags}
    if op == RETIRE:
        payload |= {"reason": f"because {n}"}
    return Entry(f"{n:032x}", Order(n, WRITER, n, 0), op, payload, START + timedelta(seconds=n), f"ann{n}")


def shape(book: PathwayBook) -> Any:
    traces = [
        (
            t.uid, t.content, t.tags, t.predecessor_uid, t.is_retired, t.retired_reason, t.replay_count, t.links,
            t.created_at, t.updated_at, sorted(t.changes), book.successors(t.uid), book.is_current(t.uid),
        )
        for t in book.traces()
    ]  # fmt: skip
    index: KeptTraces = book._index  # type: ignore[assignment]
    known = {t.uid for t in book.traces()}
    rows = {
        uid: (r.text, r.tags, r.state, r.updated_at, tuple(np.round(r.vector, 3)))
        for uid, r in index.rows.items()
        if uid in known and r.vector is not None
    }
    fingerprints = {f: sorted(u for u in held if u in known) for f, held in book._by_digest.items()}
    return traces, rows, {f: held for f, held in fingerprints.items() if held}


@settings(max_examples=400, deadline=None)
@given(st.lists(operations, max_size=12), st.randoms(use_true_random=False))
def test_any_order_partition_and_repetition_give_one_state(given_ops: list[Any], rng: random.Random) -> None:
    entries = [make(n, operation) for n, operation in enumerate(given_ops, 1)]
    in_order = make_book()
    in_order.apply(entries)
    shuffled = entries + rng.sample(entries, len(entries) // 2)
    rng.shuffle(shuffled)
    other = make_book()
    while shuffled:
        size = rng.randint(1, len(shuffled))
        other.apply(shuffled[:size])
        shuffled = shuffled[size:]
    assert shape(other) == shape(in_order)


@settings(max_examples=200, deadline=None)
@given(st.lists(operations, max_size=12))
def test_state_is_what_its_rules_say(given_ops: list[Any]) -> None:
    entries = [make(n, operation) for n, operation in enumerate(given_ops, 1)]
    book = make_book()
    book.apply(entries)
    index: KeptTraces = book._index  # type: ignore[assignment]
    for uid in ("u1", "u2", "u3"):
        mine = [e for e in entries if e.payload["uid"] == uid]
        adds = [e for e in mine if e.op == ADD]
        trace = book.get(uid)
        assert (trace is None) == (not adds)
        if trace is None:
            continue
        updates = [e for e in mine if e.op == UPDATE]
        retires = [e for e in mine if e.op == RETIRE]
        assert trace.content == (updates[-1] if updates else adds[0]).payload["content"]
        assert trace.replay_count == len([e for e in mine if e.op in (ADD, REPLAY)]) - 1
        assert trace.is_retired == bool(retires)
        assert trace.retired_reason == (retires[0].payload["reason"] if retires else None)
        assert trace.predecessor_uid == adds[0].payload["predecessor_uid"]
        expected = "retired" if retires else "current" if book.is_current(uid) else "revised"
        assert index.rows[uid].state == expected
