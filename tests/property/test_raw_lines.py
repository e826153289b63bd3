"""Any line of any bytes is found as splitting the bytes finds it, in whatever order lines are asked for."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.adapters import raw_lines
from lakehouse.adapters.raw_lines import STEP, RawLines
from lakehouse.errors import TimedOut
from tests.fakes.objects import MemoryObjects, MemoryReader

KEY = "raw/audits/dt=2026-03-01/a.jsonl"


class SmallChunks(MemoryObjects):
    """A bucket whose objects come in chunks of so many bytes; counts what was read."""

    chunk_bytes = 5
    read_bytes = 0

    @contextmanager
    def open(
        self, key: str, *, span: tuple[int, int] | None = None, if_match: str | None = None
    ) -> Iterator[MemoryReader]:
        store = self
        with super().open(key, span=span, if_match=if_match) as reader:

            class Reader(MemoryReader):
                def chunks(self, size_bytes: int = 1 << 20) -> Iterator[bytes]:
                    for chunk in super().chunks(store.chunk_bytes):
                        store.read_bytes += len(chunk)
                        yield chunk

            yield Reader(reader.info, reader.body)


def in_time() -> float:
    return time.monotonic() + 60


def expected(body: bytes, number: int) -> str | None:
    lines = body.split(b"\n")
    lines = lines[:-1] if not lines[-1] else lines
    return hashlib.sha256(lines[number - 1]).hexdigest() if number <= len(lines) else None


@given(
    lines=st.lists(st.binary(max_size=12).map(lambda b: b.replace(b"\n", b"")), max_size=400),
    is_ended=st.booleans(),
    asked=st.lists(st.integers(1, 410), min_size=1, max_size=6),
    chunk_bytes=st.integers(1, 700),
)
def test_line_is_found_as_splitting_finds_it(
    lines: list[bytes], is_ended: bool, asked: list[int], chunk_bytes: int
) -> None:
    body = b"\n".join(lines) + (b"\n" if is_ended and lines else b"")
    store = SmallChunks()
    store.chunk_bytes = chunk_bytes
    store.put(KEY, body)
    reader = RawLines(store)
    for number in [*asked, *asked]:
        found = reader.find(KEY, number, until_s=in_time())
        assert (None if found is None else found.sha256) == expected(body, number)


def test_second_question_reads_the_neighbourhood_alone() -> None:
    store, reader = SmallChunks(), None
    store.put(KEY, b"".join(b"%07d\n" % n for n in range(50 * STEP)))
    reader = RawLines(store)
    reader.find(KEY, 49 * STEP, until_s=in_time())
    store.read_bytes = 0
    found = reader.find(KEY, 30 * STEP + 7, until_s=in_time())
    assert found is not None
    assert found.head == b"%07d" % (30 * STEP + 6)
    assert store.read_bytes <= STEP * 8


def test_object_that_was_replaced_is_read_anew_and_one_that_is_gone_has_no_line() -> None:
    store = MemoryObjects()
    store.put(KEY, b"one\ntwo\n")
    reader = RawLines(store)
    assert reader.find(KEY, 2, until_s=in_time()) is not None
    store.put(KEY, b"one\nother\n")
    found = reader.find(KEY, 2, until_s=in_time())
    assert found is not None
    assert found.head == b"other"
    store.delete(KEY)
    assert reader.find(KEY, 2, until_s=in_time()) is None
    assert reader.find("raw/audits/dt=2026-03-01/never.jsonl", 1, until_s=in_time()) is None


def test_question_ends_at_its_deadline() -> None:
    store = MemoryObjects()
    store.put(KEY, b"one\ntwo\n")
    with pytest.raises(TimedOut):
        RawLines(store).find(KEY, 2, until_s=time.monotonic() - 1)


def test_objects_that_were_not_asked_for_long_are_forgotten() -> None:
    store = MemoryObjects()
    reader = RawLines(store)
    for number in range(raw_lines._OBJECTS + 10):
        store.put(f"{KEY}-{number}", b"one\n")
        reader.find(f"{KEY}-{number}", 1, until_s=in_time())
    assert len(reader._known) == raw_lines._OBJECTS
