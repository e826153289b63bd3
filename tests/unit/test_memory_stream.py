"""A stream's bookkeeping: gaps open, heal, are covered or given up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lakehouse.memory.stream import Stream


def test_objects_in_sequence_leave_no_gap() -> None:
    stream = Stream("w")
    for seq in (1, 2, 3):
        stream.note(seq, 0.0)
    assert (stream.through, stream.seen, stream.gaps) == (3, 3, [])


def test_gap_holds_the_mark_back_until_it_is_healed() -> None:
    stream = Stream("w")
    stream.note(1, 0.0)
    stream.note(5, 0.0)
    assert (stream.through, stream.is_missing(3), stream.is_missing(5)) == (1, True, False)
    stream.heal(3)
    assert [(gap.first, gap.last) for gap in stream.gaps] == [(2, 2), (4, 4)]
    stream.heal(2)
    assert stream.through == 3
    stream.heal(4)
    assert stream.through == 5


def test_gap_is_lost_after_its_time_unless_the_store_lists_it() -> None:
    stream = Stream("w")
    stream.note(2, 10.0)
    stream.note(3, 10.0)
    stream.fail(3, 10.0, is_listed=True)
    assert stream.lost(14.9, after_s=5) == []
    (lost,) = stream.lost(15.0, after_s=5)
    assert (lost.first, lost.last) == (1, 1)
    stream.give_up(lost)
    assert stream.through == 2


def test_folded_rows_cover_gaps_in_whole_or_in_part() -> None:
    stream = Stream("w", seen=3)
    stream.note(10, 0.0)
    stream.cover(6)
    assert [(gap.first, gap.last) for gap in stream.gaps] == [(7, 9)]
    stream.cover(20)
    assert (stream.through, stream.seen, stream.gaps) == (20, 20, [])


@given(st.lists(st.integers(1, 12), min_size=1), st.lists(st.integers(1, 12)), st.integers(0, 12))
def test_marks_agree_with_sets(listed: list[int], healed: list[int], covered: int) -> None:
    stream, there, seen = Stream("w"), set[int](), 0
    for seq in listed:
        if seq > stream.seen:
            stream.note(seq, 0.0)
            there.add(seq)
            seen = seq
    for seq in healed:
        if seq <= seen:
            stream.heal(seq)
            there.add(seq)
    stream.cover(covered)
    there |= set(range(1, covered + 1))
    seen = max(seen, covered)
    missing = set(range(1, seen + 1)) - there
    assert {seq for gap in stream.gaps for seq in range(gap.first, gap.last + 1)} == missing
    assert stream.through == (min(missing) - 1 if missing else seen)
