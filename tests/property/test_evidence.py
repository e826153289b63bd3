"""Evidence of any bytes, split in any way: nothing raises, every line is accounted for, the records are the same."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lakehouse.evidence.fitness import why_unfit
from tests.evidence import Maker

DAY = datetime(2026, 3, 4, tzinfo=UTC)
KEYS = [f"raw/outcomes/dt=2026-03-04/{name}.jsonl" for name in "abcdef"]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
scores = st.sampled_from([1, -1, 0.5, 0, 7, "high", None, True])


def line_of(run: int, second: int, score: Any, extra: Any) -> bytes:
    at = (DAY + timedelta(seconds=second)).isoformat()
    return orjson.dumps({"run_id": f"r{run}", "recorded_at": at, "score": score, "extra": extra})


lines = st.builds(line_of, st.integers(0, 5), st.integers(0, 3), scores, st.none() | st.integers(0, 1))


def _fits(value: Any) -> bool:
    try:
        orjson.dumps(value)
    except TypeError:
        return False
    return True


def _spoiled(line: bytes, at: int, byte: int) -> bytes:
    return line[:at] + bytes([byte]) + line[at + 1 :]


seconds = st.integers(-100_000, 100_000)
odd_lines = st.one_of(
    st.binary(max_size=40).map(lambda b: b.replace(b"\n", b"")),
    st.builds(_spoiled, lines, st.integers(0, 60), st.integers(0, 255).filter(lambda b: b != 10)),
    st.builds(line_of, st.integers(0, 5), seconds, scores, json_values.filter(_fits)),
    st.builds(line_of, st.integers(0, 5), seconds, scores, st.sampled_from([": NaN", ",]", "[[", "\x00"])),
)


@pytest.fixture(scope="module")
def maker() -> Iterator[Maker]:
    made = Maker(block_bytes=256)
    yield made
    made.close()


def served(maker: Maker, objects: dict[str, bytes]) -> tuple[Any, ...]:
    """What came out, without where it stood."""
    made = maker.make("outcomes", objects)
    records = []
    for record in [*made.records, *made.superseded]:
        record["provenance"] = {k: v for k, v in record["provenance"].items() if k not in ("source_key", "line")}
        records.append(record)
    count = len(made.records)
    refused = sorted((row["sha256"], row["raw"], row["reason"]) for row in made.refused)
    by_run = sorted(records[:count], key=lambda r: str(r["run_id"]))
    by_hash = sorted(records[count:], key=lambda r: str(r["provenance"]["sha256"]))
    return by_run, by_hash, refused, made.counts


@settings(
    max_examples=40,
    suppress_health_check=[*settings.default.suppress_health_check, HealthCheck.function_scoped_fixture],
)
@given(st.lists(lines | odd_lines, max_size=12), st.data())
def test_any_split_and_order_gives_the_same_records(maker: Maker, some: list[bytes], data: st.DataObject) -> None:
    whole = served(maker, {KEYS[0]: b"\n".join([*some, b""])})
    placed = data.draw(st.lists(st.integers(0, 5), min_size=len(some), max_size=len(some)))
    order = data.draw(st.permutations(range(len(some))))
    parts = {key: b"".join(some[i] + b"\n" for i in order if placed[i] == n) for n, key in enumerate(KEYS)}
    shuffled = {key: parts[key] for key in data.draw(st.permutations(KEYS))}
    assert served(maker, shuffled) == whole


@settings(
    max_examples=40,
    suppress_health_check=[*settings.default.suppress_health_check, HealthCheck.function_scoped_fixture],
)
@given(st.lists(odd_lines, max_size=8), st.booleans())
@example([b'{"run_id":"a","recorded_at":"2026-03-04T00:00:00Z","score":1e999}'], True)
@example([b"\xef\xbb\xbf{}", b"\x00", b"{}\r", b" ", b'"\xed\xa0\x80"'], False)
@example([b'{"run_id":"a\\u0000","recorded_at":"2026-03-04T00:00:00Z","score":1,"a":{"b":[1,]}}'], True)
def test_any_bytes_are_accounted_for(maker: Maker, some: list[bytes], is_ended: bool) -> None:
    data = b"\n".join(some) + (b"\n" if is_ended and some else b"")
    made = maker.make("outcomes", {KEYS[0]: data})
    expected = data.split(b"\n")
    expected = expected[:-1] if expected[-1] == b"" else expected
    assert made.counts.lines_in == len(expected)
    refused = {row["line"] for row in made.refused}
    for number, line in enumerate(expected, start=1):
        if why_unfit(line) is not None:
            assert number in refused, line
    again = maker.make("outcomes", {KEYS[0]: data})
    assert again.evidence_bytes == made.evidence_bytes
    assert again.refused == made.refused
