"""Whatever a reader sees when and how often, the same entries give the same state: looks, gaps, folds, restarts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.adapters.memory_applied import AppliedLog
from lakehouse.adapters.memory_folder import MemoryFolder
from lakehouse.adapters.memory_follower import MemoryFollower
from lakehouse.clock import new_id
from lakehouse.memory.entry import Entry, make_draft
from lakehouse.memory.hybrid_clock import HybridClock
from lakehouse.memory.keys import lease_key, object_key, parse_object_key
from lakehouse.memory.lease import LeaseHolder
from lakehouse.memory.log_object import write_object
from lakehouse.storage.objects import list_all
from tests.fakes.memory import FoldedInMemory, FoldedTable
from tests.fakes.objects import MemoryObjects

TABLE = "playbooks"
WRITERS = [new_id() for _ in range(3)]
START = datetime(2026, 3, 1, tzinfo=UTC)


class Tally:
    """A state that does not depend on the order: a sum over operations, and the latest value of each subject."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self.total = 0
        self.latest: dict[str, tuple[str, int]] = {}

    def apply(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if entry.op_id in self.seen:
                continue
            self.seen.add(entry.op_id)
            value, subject = int(entry.payload["n"]), str(entry.payload["subject"])
            self.total += value
            self.latest[subject] = max(self.latest.get(subject, ("", 0)), (str(entry.order), value))

    def result(self) -> tuple[set[str], int, dict[str, tuple[str, int]]]:
        return self.seen, self.total, self.latest


@dataclass
class Reader:
    """One process that only reads and folds; `restart` gives it an empty state."""

    store: MemoryObjects
    table: FoldedTable
    state: Tally = field(init=False)
    follower: MemoryFollower = field(init=False)
    folder: MemoryFolder = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.state = Tally()
        rows, applied = FoldedInMemory(self.table), AppliedLog(TABLE, self.state, HybridClock())
        self.follower = MemoryFollower(self.store, applied, rows, own=(), gap_s=3600)
        # Never held for long: any reader may fold next.
        lease = LeaseHolder(self.store, lease_key(TABLE), duration=timedelta(0))
        self.folder = MemoryFolder(self.store, applied, rows, lease)
        self.follower.replay()


def objects_of(groups: Sequence[tuple[int, list[int]]]) -> list[tuple[str, bytes, tuple[Entry, ...]]]:
    """The objects that three writers made of groups of values."""
    made = []
    seqs = [0, 0, 0]
    for position, (writer, values) in enumerate(groups):
        seqs[writer] += 1
        drafts = [
            make_draft("add", {"n": n, "subject": f"s{n % 3}"}, op_id=f"{position}-{i}", actor="a", recorded_at=START)
            for i, n in enumerate(values)
        ]
        body, entries = write_object(drafts, hlc=(position + 1) << 16, writer=WRITERS[writer], seq=seqs[writer])
        made.append((object_key(TABLE, WRITERS[writer], seqs[writer]), body, entries))
    return made


groups = st.lists(
    st.tuples(st.integers(0, 2), st.lists(st.integers(0, 9), min_size=1, max_size=4)), min_size=1, max_size=10
)
steps = st.lists(st.sampled_from(["show", "show", "show", "look", "fold", "restart", "again", "purge"]), max_size=30)


@settings(max_examples=150, deadline=None)
@given(groups, st.randoms(use_true_random=False), st.lists(st.tuples(st.integers(0, 1), steps), max_size=4))
def test_any_way_to_the_same_entries_gives_the_same_state(groups, random, turns) -> None:  # type: ignore[no-untyped-def]
    made = objects_of(groups)
    expected = Tally()
    expected.apply([entry for _, _, entries in made for entry in entries])
    hidden = made[:]
    random.shuffle(hidden)
    store, table = MemoryObjects(), FoldedTable()
    readers = [Reader(store, table), Reader(store, table)]
    for number, actions in turns:
        reader = readers[number]
        for action in actions:
            if action == "show" and hidden:
                key, body, _ = hidden.pop()
                store.put(key, body)
            elif action == "look":
                reader.follower.look()
            elif action == "fold":
                reader.folder.fold()
            elif action == "restart":
                reader.restart()
            elif action == "again":
                reader.follower.read_rows()
            elif action == "purge":
                purge(store, table)
    for key, body, _ in hidden:
        store.put(key, body)
    for reader in readers:
        reader.follower.look()
        reader.follower.read_rows()  # what a reader gets of objects that went before it saw them
        assert reader.state.result() == expected.result()
        reader.folder.fold()
    late = Reader(store, table)
    assert late.state.result() == expected.result()
    assert set(table.rows) == expected.seen


def purge(store: MemoryObjects, table: FoldedTable) -> None:
    """What retention does: folded objects go, but for the newest of a stream."""
    newest: dict[str, int] = {}
    found = [(info.key, key) for info in list_all(store, f"log/{TABLE}/") if (key := parse_object_key(info.key))]
    for _, (_, writer, seq) in found:
        newest[writer] = max(newest.get(writer, 0), seq)
    for name, (_, writer, seq) in found:
        if seq <= table.folded_through.get(writer, 0) and seq < newest[writer]:
            store.delete(name)
