"""The list of retractions: it grows by compare-and-swap, refuses what is no entry, and damage stops what reads it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.catalog.manifest import BrokenManifest
from lakehouse.catalog.retractions import KEY, Kind, Retraction, RetractionList
from lakehouse.errors import BadInput
from lakehouse.lineage.subject import subject_pattern
from tests.fakes.objects import MemoryObjects

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def entry(value: str, kind: Kind = "run", reason: str = "asked for") -> Retraction:
    return Retraction(kind, value, reason, "ops", AT)


def test_entries_are_kept_in_order_and_each_once() -> None:
    retractions = RetractionList(MemoryObjects())
    assert retractions.read() == ()
    assert retractions.add(entry("a"))
    assert retractions.add(entry("Ana", "subject"))
    assert not retractions.add(entry("a", reason="again"))
    assert retractions.read() == (entry("a"), entry("Ana", "subject"))


def test_writers_that_race_lose_no_entry() -> None:
    store = MemoryObjects()
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda n: RetractionList(store).add(entry(f"run-{n}")), range(24)))
    assert {one.value for one in RetractionList(store).read()} == {f"run-{n}" for n in range(24)}


@pytest.mark.parametrize(
    ("value", "kind", "reason"),
    [("", "run", "why"), ("ab", "subject", "why"), ("run", "run", " "), (" run", "run", "w")],
)
def test_what_is_no_entry_is_refused(value: str, kind: Kind, reason: str) -> None:
    with pytest.raises(BadInput):
        entry(value, kind, reason)


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"format_version":9,"retractions":[]}', b'{"format_version":1}'])
def test_damaged_list_stops_whoever_reads_it(body: bytes) -> None:
    store = MemoryObjects()
    store.put(KEY, body)
    with pytest.raises(BrokenManifest, match="restore it from a backup"):
        RetractionList(store).read()


def speaks(text: str, subject: str) -> bool:
    [row] = duckdb.execute("SELECT regexp_matches(?, ?, 'i')", [text, subject_pattern(subject)]).fetchall()
    return bool(row[0])


@pytest.mark.parametrize(
    "text",
    [
        "Ana Ruiz is free", "ask ana  RUIZ, please", "(Ana\nRuiz)", r'{"content":"Yes.\nAna Ruiz can"}',
        r'{"content":"Ana\tRuiz"}', r'["é: Ana Ruiz"]', r"\u00e9Ana Ruiz", "Ana Ruiz",
    ],
)  # fmt: skip
def test_subject_is_found_as_whole_words(text: str) -> None:
    assert speaks(text, "Ana Ruiz")


@pytest.mark.parametrize("text", ["Diana Ruiz", "Ana Ruizo", "Ana Maria Ruiz", "Ana_Ruiz", "", "ÉAna Ruiz"])
def test_other_words_are_not_the_subject(text: str) -> None:
    assert not speaks(text, "Ana Ruiz")


def test_subject_in_other_letters_is_found_as_json_has_it() -> None:
    assert speaks("für Müller heute", "MÜLLER")
    assert speaks(r'{"name":"J\u00fcrgen M\u00fcller"}', "Jürgen Müller")
    assert speaks('say \\"Joe\\" now', '"Joe"')


@given(st.text(min_size=3, max_size=12).filter(lambda t: t.strip() == t and t.split() and "\x00" not in t))
def test_any_subject_finds_itself(subject: str) -> None:
    assert speaks(f"before {subject} behind", subject)
