"""Rows by their source: which chunks belong to the rows of a dataset that are asked for."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from lakehouse.retrieval.growing import GrowingStrings
from lakehouse.retrieval.source_table import SourceTable, sources_of

IDS = ["n1#0", "n1#1", "n2#0", "x#1#0", "x#1", "added", "#0", "n1#2", "two\nlines#0", "ö#10"]


def table_of(ids: list[str]) -> tuple[SourceTable, GrowingStrings]:
    strings = GrowingStrings()
    strings.append(ids)
    return SourceTable(strings), strings


def found(table: SourceTable, sources: list[str], end: int) -> list[int]:
    return [int(row) for row in np.flatnonzero(table.mask(sources, end))]


def test_source_of_a_chunk_is_all_before_its_last_hash() -> None:
    sources = sources_of(pa.array(IDS, pa.large_string())).to_pylist()
    assert sources == ["n1", "n1", "n2", "x#1", "x", None, "", "n1", "two\nlines", "ö"]
    assert sources_of(pa.array([], pa.string())).to_pylist() == []


def test_chunks_of_sources_are_found_and_those_of_no_source_never() -> None:
    table, _ = table_of(IDS)
    assert found(table, ["n1"], len(IDS)) == [0, 1, 7]
    assert found(table, ["x"], len(IDS)) == [4]
    assert found(table, ["x#1", "ö", "nobody"], len(IDS)) == [3, 9]
    assert found(table, ["added", "n1#0"], len(IDS)) == []
    assert found(table, [""], len(IDS)) == [6]
    assert found(table, [], len(IDS)) == []


def test_rows_that_come_later_are_taken_in_and_an_earlier_view_ends_where_it_did() -> None:
    table, strings = table_of(["n1#0"])
    assert found(table, ["n1", "n3"], 1) == [0]
    strings.append(["n3#0", "n1#1"])
    assert found(table, ["n1", "n3"], 3) == [0, 1, 2]
    assert found(table, ["n1", "n3"], 2) == [0, 1]
    assert found(table, ["n3"], 0) == []
    assert table.bytes > 0


@pytest.mark.parametrize("count", [10_000])
def test_many_sources_are_told_apart(count: int) -> None:
    table, _ = table_of([f"s{n}#{chunk}" for n in range(count) for chunk in range(3)])
    wanted = [f"s{n}" for n in range(0, 2 * count, 2)]
    assert found(table, wanted, 3 * count) == [3 * n + c for n in range(0, count, 2) for c in range(3)]
