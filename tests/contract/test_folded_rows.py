"""What every `FoldedRows` does, in Lance on the real server and as the fake in memory."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from lakehouse.adapters.folded_rows import LanceFoldedRows
from lakehouse.adapters.lance_tables import LanceTables
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.clock import new_id
from lakehouse.errors import Conflict
from lakehouse.memory.entry import Entry, Order
from lakehouse.memory.rows import RowRules
from lakehouse.memory.state import FoldedRows
from tests.fakes.memory import FoldedInMemory, FoldedTable

NAME = "playbooks"
WRITER = "0193e1a0-0000-7000-8000-000000000001"
RULES = RowRules(subject_field="uid", closing_ops=frozenset({"update"}), ending_ops=frozenset({"retire"}))
START = datetime(2026, 3, 1, 12, tzinfo=UTC)

Open = Callable[[], FoldedRows]


@pytest.fixture(params=["lance", "lance without closings", "memory"])
def open_rows(request: pytest.FixtureRequest) -> Open:
    """Opens the same table as another process would."""
    if request.param == "memory":
        table = FoldedTable()
        return lambda: FoldedInMemory(table)
    objects: S3ObjectStore = request.getfixturevalue("objects")
    rules = RULES if request.param == "lance" else RowRules()
    return lambda: LanceFoldedRows(LanceTables(objects.location, objects), objects, NAME, rules)


def entry(number: int, op: str = "add", uid: str | None = None) -> Entry:
    payload = {"uid": uid or f"u{number}", "n": number, "text": "naïve ☃\n", "deep": {"list": [1, 2.5, None]}}
    at = START + timedelta(seconds=number, microseconds=123456)
    return Entry(new_id(), Order(number << 16, WRITER, number, 0), op, payload, at, "ann")


def read(rows: FoldedRows) -> list[Entry]:
    rows.refresh()
    return sorted(rows.read(), key=lambda entry: entry.order)


def test_table_that_is_not_there_is_empty(open_rows: Open) -> None:
    rows = open_rows()
    assert (read(rows), dict(rows.folded_through), rows.fence) == ([], {}, 0)


def test_merged_entries_are_read_back_by_others_as_they_were(open_rows: Open) -> None:
    entries = [entry(n) for n in range(1, 4)]
    open_rows().merge(entries, {WRITER: 3}, fence=1)
    rows = open_rows()
    assert read(rows) == entries
    assert (dict(rows.folded_through), rows.fence) == ({WRITER: 3}, 1)


def test_merging_twice_changes_nothing(open_rows: Open) -> None:
    entries = [entry(n) for n in range(1, 4)]
    rows = open_rows()
    for _ in range(2):
        rows.merge(entries, {WRITER: 3}, fence=1)
    rows.merge([*entries[1:], *entries[1:]], {WRITER: 3}, fence=1)
    assert read(rows) == entries


def test_merge_adds_to_what_others_have_merged(open_rows: Open) -> None:
    one, two = open_rows(), open_rows()
    entries = [entry(n) for n in range(1, 5)]
    one.merge(entries[:2], {WRITER: 2}, fence=1)
    two.merge(entries[2:3], {WRITER: 3, "other": 1}, fence=1)
    one.merge(entries[3:], {WRITER: 4, "other": 1}, fence=2)
    assert read(two) == entries
    assert (dict(two.folded_through), two.fence) == ({WRITER: 4, "other": 1}, 2)


def test_rows_that_another_has_merged_end_when_they_are_closed_here(objects: S3ObjectStore) -> None:
    tables = LanceTables(objects.location, objects)
    one, two = (LanceFoldedRows(tables, objects, NAME, RULES) for _ in range(2))
    one.merge([entry(1)], {WRITER: 1}, fence=1)
    one.merge([entry(2)], {WRITER: 2}, fence=1)  # knows its subjects from now on
    added, updated = entry(3, uid="theirs"), entry(4, "update", uid="theirs")
    two.merge([added], {WRITER: 3}, fence=2)
    one.merge([updated], {WRITER: 4}, fence=3)
    table = tables.open(NAME)
    assert table is not None
    ends = {row["op_id"]: row["valid_to"] for batch in table.scan(["op_id", "valid_to"]) for row in batch.to_pylist()}
    assert ends[added.op_id] == updated.recorded_at
    assert ends[updated.op_id] is None


def test_merge_under_an_older_lease_is_refused_and_shows_nothing(open_rows: Open) -> None:
    stale = open_rows()
    stale.refresh()
    open_rows().merge([entry(1)], {WRITER: 1}, fence=2)
    for entries in ([entry(2)], []):
        with pytest.raises(Conflict):
            stale.merge(entries, {WRITER: 2}, fence=1)
    rows = open_rows()
    assert [e.payload["n"] for e in read(rows)] == [1]
    assert (dict(rows.folded_through), rows.fence) == ({WRITER: 1}, 2)


def test_progress_without_entries_is_kept(open_rows: Open) -> None:
    rows = open_rows()
    rows.merge([entry(1)], {WRITER: 1}, fence=1)
    rows.merge([], {WRITER: 5}, fence=1)
    other = open_rows()
    other.refresh()
    assert dict(other.folded_through) == {WRITER: 5}
    rows.merge([], {}, fence=1)
    other.refresh()
    assert dict(other.folded_through) == {}
    assert len(read(other)) == 1


def test_rebuilt_table_has_its_rows_and_those_of_the_log(open_rows: Open) -> None:
    entries = [entry(n) for n in range(1, 6)]
    open_rows().merge(entries[:3], {WRITER: 3}, fence=1)
    report = open_rows().rebuild(iter(entries[2:]), {WRITER: 5}, fence=2)
    assert {name: report[name] for name in ("rows", "from_table", "from_log")} == {
        "rows": 5, "from_table": 3, "from_log": 2,
    }  # fmt: skip
    rows = open_rows()
    assert read(rows) == entries
    assert (dict(rows.folded_through), rows.fence) == ({WRITER: 5}, 2)
