"""Rows of memory: from when until when they hold, in whatever portions they are folded; vectors; the way back."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.memory.entry import Entry, Order
from lakehouse.memory.rows import RowRules, ends, marks_of, to_entries, to_rows, with_ends
from lakehouse.tables.memory import memory_schema

WRITER = "0193e1a0-0000-7000-8000-000000000001"
RULES = RowRules(subject_field="uid", closing_ops=frozenset({"update"}), ending_ops=frozenset({"retire"}))
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def entry(hlc: int, op: str, uid: str = "a", at_s: int | None = None) -> Entry:
    at = START + timedelta(seconds=hlc if at_s is None else at_s)
    return Entry(f"op-{hlc}", Order(hlc, WRITER, hlc, 0), op, {"uid": uid}, at, "ann")


def validity(entries: list[Entry]) -> dict[str, tuple[int, int | None]]:
    rows = to_rows(entries, RULES)
    ended = ends(list(marks_of(rows)), RULES)
    return {
        row["op_id"]: (
            int((row["valid_from"] - START).total_seconds()),
            None if row["valid_to"] is None else int((row["valid_to"] - START).total_seconds()),
        )
        for row in with_ends(rows, ended).to_pylist()
    }


def test_row_holds_until_its_subject_is_updated_or_retired() -> None:
    entries = [entry(1, "add"), entry(2, "note"), entry(3, "update"), entry(4, "add", "b"), entry(5, "retire")]
    assert validity(entries) == {
        "op-1": (1, 3), "op-2": (2, 3), "op-3": (3, 5), "op-4": (4, None), "op-5": (5, 5),
    }  # fmt: skip


def test_row_never_ends_before_it_begins_when_clocks_differ() -> None:
    assert validity([entry(1, "add", at_s=10), entry(2, "update", at_s=5)])["op-1"] == (10, 10)


def test_of_entries_with_one_op_id_the_first_counts() -> None:
    first, again = entry(1, "add"), entry(2, "add")
    again = Entry(first.op_id, again.order, "add", {"uid": "x"}, again.recorded_at, "bob")
    rows = to_rows([again, first], RULES)
    assert rows.column("subject_id").to_pylist() == ["a"]


def test_entry_without_a_subject_is_its_own() -> None:
    assert to_rows([entry(1, "add", "")], RULES).column("subject_id").to_pylist() == ["op-1"]


def test_rows_conform_to_the_schema_with_and_without_a_vector() -> None:
    assert to_rows([], RULES).schema == memory_schema()
    rules = RowRules(vector_of=lambda payload: payload.get("v"), dimension=2)
    entries = [
        Entry("1", Order(1, WRITER, 1, 0), "add", {"v": [0.5, 1.0]}, START, "a"),
        Entry("2", Order(2, WRITER, 1, 0), "add", {}, START, "a"),
    ]
    rows = to_rows(entries, rules)
    assert rows.schema == memory_schema(2)
    assert rows.column("vector").to_pylist() == [[0.5, 1.0], None]
    assert [e for batch in rows.to_batches() for e in to_entries(batch)] == entries


def test_schema_has_utc_times() -> None:
    assert memory_schema().field("valid_to").type == pa.timestamp("us", "UTC")


ops = st.lists(
    st.tuples(st.sampled_from(["add", "note", "update", "retire"]), st.sampled_from("ab"), st.integers(0, 9)),
    min_size=1,
    max_size=12,
)


@given(ops, st.integers(0, 1 << 30), st.integers(1, 4))
def test_folding_in_any_portions_gives_the_same_validity(
    told: list[tuple[str, str, int]], seed: int, portion: int
) -> None:
    entries = [entry(hlc, op, uid, at_s) for hlc, (op, uid, at_s) in enumerate(told, start=1)]
    at_once = validity(entries)
    shuffled = entries[:]
    random.Random(seed).shuffle(shuffled)
    stored = to_rows([], RULES)
    for first in range(0, len(shuffled), portion):
        rows = pa.concat_tables([stored, to_rows(shuffled[first : first + portion], RULES)])
        stored = with_ends(rows, ends(list(marks_of(rows)), RULES))
    by_parts = {row["op_id"]: row["valid_to"] for row in stored.to_pylist()}
    assert by_parts == {
        op_id: None if end is None else START + timedelta(seconds=end) for op_id, (_, end) in at_once.items()
    }


@pytest.mark.parametrize("count", [0, 1, 5])
def test_rows_come_in_the_logs_order(count: int) -> None:
    entries = [entry(n, "add") for n in range(1, count + 1)]
    assert to_rows(entries[::-1], RULES).column("op_id").to_pylist() == [e.op_id for e in entries]


def test_who_has_time_is_asked_between_pieces_of_many_rows() -> None:
    pauses: list[str] = []
    entries = [entry(number, "add", f"u{number}") for number in range(600)]
    rows = to_rows(entries, RULES, between=lambda: pauses.append("rows"))
    marks = list(marks_of(rows, between=lambda: pauses.append("marks")))
    assert pauses == ["rows"] * 3 + ["marks"] * 3
    assert [mark.op_id for mark in marks] == [one.op_id for one in entries]
