"""Lineage: which ids are what, how a line is held against what lies there, and when an answer is sound."""

from __future__ import annotations

import hashlib

import pytest

from lakehouse.errors import BadInput
from lakehouse.lineage.answer import FoundLine, Lineage, PlacedSample, RawLine, RunLineage, check_line, erased_line
from lakehouse.lineage.reference import Reference, read_reference

SAMPLE = "0c1d2e3f405162738495a6b7c8d9eaf0"
SHA256 = hashlib.sha256(b"line").hexdigest()
OTHER = hashlib.sha256(b"other").hexdigest()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("raw/audits/dt=2026-03-01/a.jsonl:17", ("line", "raw/audits/dt=2026-03-01/a.jsonl", 17)),
        ("raw/audits/dt=2026-03-01/a:b.jsonl:2", ("line", "raw/audits/dt=2026-03-01/a:b.jsonl", 2)),
        (SAMPLE, ("sample", SAMPLE, None)),
        (f"{SAMPLE}#0", ("chunk", SAMPLE, 0)),
        (f"{SAMPLE}#12", ("chunk", SAMPLE, 12)),
        ("bench/task-1/1", ("run", "bench/task-1/1", None)),
        (f"{SAMPLE}#01", ("run", f"{SAMPLE}#01", None)),
        ("raw/audits/dt=2026-03-01/a.jsonl:0", ("run", "raw/audits/dt=2026-03-01/a.jsonl:0", None)),
        (SAMPLE.upper(), ("run", SAMPLE.upper(), None)),
    ],
)
def test_id_is_read_by_its_form(text: str, expected: tuple[str, str, int | None]) -> None:
    kind, name, number = expected
    assert read_reference(text) == Reference(kind, text, name, number)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "x" * 2049, "a\x00b", "\ud800"])
def test_what_can_be_no_id_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        read_reference(text)


def test_line_is_held_against_what_lies_there() -> None:
    assert check_line(SHA256, FoundLine(SHA256, b"line")) == "verified"
    assert check_line(SHA256, FoundLine(OTHER, b"other")) == "differs"
    assert check_line(SHA256, None) == "gone"
    erased = erased_line(SHA256)
    found = FoundLine(hashlib.sha256(erased).hexdigest(), erased)
    assert check_line(SHA256, found) == "erased"
    assert check_line(OTHER, found) == "differs"


@pytest.mark.parametrize("line", [b'{"erased":', b'{"erased":1}', b'{"erased":"a","more":1}', b'{"erased":"a"', b"{}"])
def test_other_lines_are_no_erasure(line: bytes) -> None:
    assert check_line("a", FoundLine(OTHER, line)) == "differs"


def line(sha256: str, **changes: object) -> RawLine:
    given = {"status": "serves", "check": "verified", **changes}
    return RawLine("raw/audits/dt=2026-03-01/a.jsonl", 1, sha256, "audits", **given)  # type: ignore[arg-type]


def sample(sha256: str) -> PlacedSample:
    return PlacedSample("sft", "b", SAMPLE, "chat", "train", 0, 0, 1, "origin", "run", sha256)


def test_answer_is_sound_while_lines_serve_and_lie_where_they_were() -> None:
    def answer(*lines: RawLine, made_of: str = SHA256) -> bool:
        return Lineage(SAMPLE, "sample", (RunLineage("run", lines),), (sample(made_of),)).is_sound

    assert answer(line(SHA256))
    assert answer(line(SHA256), line(OTHER, status="corrected"))
    assert not answer(line(SHA256), made_of=OTHER)
    assert not answer(line(OTHER), line(SHA256, status="corrected"))
    assert not answer(line(SHA256, check="differs"))
    assert not answer(line(SHA256, status="retracted"))
    assert not answer()
