"""The memory log's format: orders that sort as text, lines that survive, objects with damage, clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import orjson
import pytest

from lakehouse.clock import new_id, utc_now
from lakehouse.errors import BadInput, TooLarge
from lakehouse.memory.entry import MAX_LINE_BYTES, Draft, Entry, Order, make_draft, read_line
from lakehouse.memory.hybrid_clock import HybridClock, physical_time
from lakehouse.memory.keys import check_table, object_key, parse_object_key
from lakehouse.memory.log_object import VOID, read_object, write_object

WRITER = "0193e1a0-0000-7000-8000-000000000001"
NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


def draft(payload: dict[str, object] | None = None, **changes: object) -> Draft:
    given: dict[str, object] = {"op_id": new_id(), "actor": "ann", "recorded_at": NOW} | changes
    return make_draft("record", {"n": 1} if payload is None else payload, **given)  # type: ignore[arg-type]


def test_entry_is_read_back_as_it_was_given_to_the_state() -> None:
    drafts = [draft({"text": "naïve ☃\nline", "list": [1, 2.5, None], "deep": {"a": True}}), draft()]
    body, entries = write_object(drafts, hlc=5 << 16, writer=WRITER, seq=7)
    assert read_object(body, writer=WRITER, seq=7).entries == entries
    assert [str(entry.order) for entry in entries] == [
        f"0000000000050000-{WRITER}-000000000007-0000",
        f"0000000000050001-{WRITER}-000000000007-0001",
    ]
    assert entries[0].payload == {"text": "naïve ☃\nline", "list": [1, 2.5, None], "deep": {"a": True}}
    assert orjson.loads(body.splitlines()[1]) == {
        "op_id": drafts[1].op_id, "order": str(entries[1].order), "op": "record", "payload": {"n": 1},
        "recorded_at": "2026-03-01T12:00:00.123456Z", "actor": "ann", "format_version": 1,
    }  # fmt: skip


def test_payload_of_the_writers_own_process_is_what_json_gives_others() -> None:
    (entry,) = write_object([draft({"pair": (1, 2), "at": NOW})], hlc=1, writer=WRITER, seq=1)[1]
    assert entry.payload == {"pair": [1, 2], "at": "2026-03-01T12:00:00.123456+00:00"}


@pytest.mark.parametrize(
    "text",
    ["", "x", "0" * 71, f"8000000000000000-{WRITER}-000000000001-0000", f"0000000000000001-{WRITER}-1-0", f" {WRITER}"],
)
def test_what_is_no_revision_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="is not a revision"):
        Order.parse(text)


@pytest.mark.parametrize(
    "payload", [{"x": object()}, {"x": {1, 2}}, {1: "x"}, {"x": "\ud800"}, {"x": 1 << 70}, [1], "x"]
)
def test_payload_that_is_no_json_is_refused(payload: dict[str, object]) -> None:
    with pytest.raises(BadInput, match=r"is not (a )?JSON"):
        draft(payload)


@pytest.mark.parametrize("op", ["", "x" * 65, "\ud800"])
def test_operation_without_a_fit_name_is_refused(op: str) -> None:
    with pytest.raises(BadInput):
        make_draft(op, {}, op_id=new_id(), actor="a", recorded_at=NOW)


def test_payload_over_the_limit_is_too_large() -> None:
    with pytest.raises(TooLarge, match=f"at most {MAX_LINE_BYTES}"):
        draft({"x": "y" * MAX_LINE_BYTES})
    draft({"x": "y" * (MAX_LINE_BYTES - 10)})


def test_damaged_lines_are_told_and_the_others_read() -> None:
    body, entries = write_object([draft(), draft(), draft()], hlc=1, writer=WRITER, seq=1)
    lines = body.splitlines(keepends=True)
    damaged = lines[0] + b"\xff\xfe{\n" + b"[]\n" + b'{"format_version":1}\n' + lines[1] + lines[2][:-30]
    read = read_object(damaged, writer=WRITER, seq=1)
    assert read.entries == entries[:2]
    assert [number for number, _ in read.corrupt] == [2, 3, 4, 6]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("order", "x"), ("op_id", 1), ("payload", []), ("recorded_at", "2026-01-01"), ("format_version", 2),
        ("actor", None), ("op", 5), ("recorded_at", "soon"), ("order", f"ffffffffffffffff-{WRITER}-000000000001-0000"),
    ],
)  # fmt: skip
def test_line_with_a_wrong_field_is_damaged(field: str, value: object) -> None:
    body, _ = write_object([draft()], hlc=1, writer=WRITER, seq=1)
    with pytest.raises(ValueError, match=r".+"):
        read_line(orjson.dumps({**orjson.loads(body), field: value}))


def test_line_of_another_object_is_damaged() -> None:
    body, _ = write_object([draft()], hlc=1, writer=WRITER, seq=1)
    assert read_object(body, writer=WRITER, seq=2).corrupt == ((1, "it belongs to another object"),)


def test_void_has_no_entries_and_no_damage_but_nothing_at_all_is_damage() -> None:
    assert read_object(VOID, writer=WRITER, seq=1).corrupt == ()
    assert read_object(b"", writer=WRITER, seq=1).corrupt == ((1, "the object is empty"),)


def test_clock_rises_when_the_time_stands_or_goes_back_and_after_others() -> None:
    now = NOW
    clock = HybridClock(lambda: now)
    first = clock.tick(3)
    assert physical_time(first) == NOW.replace(microsecond=123000)
    now -= timedelta(hours=1)
    second = clock.tick()
    assert second == first + 3
    clock.observe(second + (5 << 16))
    assert clock.tick() == second + (5 << 16) + 1
    now += timedelta(days=1)
    assert physical_time(clock.tick()) == now.replace(microsecond=123000)


def test_keys_are_read_back() -> None:
    key = object_key("playbooks", WRITER, 12)
    assert key == f"log/playbooks/{WRITER}/000000000012.jsonl"
    assert parse_object_key(key) == ("playbooks", WRITER, 12)
    for other in ("log/playbooks/lease.json", f"log/playbooks/{WRITER}/12.jsonl", f"raw/{key}", f"{key}.tmp"):
        assert parse_object_key(other) is None
    for name in ("", "A", "a/b", "1a", "a" * 64, "."):
        with pytest.raises(BadInput):
            check_table(name)


def test_orders_sort_as_their_text() -> None:
    orders = [
        Order(hlc, writer, seq, position)
        for hlc in (0, 1, 1 << 40)
        for writer in (WRITER, new_id())
        for seq in (1, 9, 10, 10**11)
        for position in (0, 9, 10, 9999)
    ]
    assert sorted(orders) == [Order.parse(text) for text in sorted(map(str, orders))]


def test_entries_compare_by_value() -> None:
    order = Order(1, WRITER, 1, 0)
    assert Entry("a", order, "op", {}, utc_now(), "x") != Entry("b", order, "op", {}, utc_now(), "x")
