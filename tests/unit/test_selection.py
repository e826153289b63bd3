"""Selections in both their forms say the same; those of the newest view are kept while they take little."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from lakehouse.retrieval import selection as module
from lakehouse.retrieval.filters import parse_filter
from lakehouse.retrieval.metadata_columns import MetadataColumns, read_metadata
from lakehouse.retrieval.selection import FilterMasks, RecentSelections, Selection


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 1.0])
def test_rows_of_a_mask_are_the_same_in_whichever_form_they_are_kept(share: float) -> None:
    mask = np.random.default_rng(1).random(1_000) < share
    selection = Selection.of_mask(None, 100, 1_000, mask)
    assert len(selection) == mask.sum()
    assert selection.rows().tolist() == np.flatnonzero(mask).tolist()
    assert selection.mask().tolist() == mask.tolist()
    found = [selection.has(row) for row in range(90, 1_110)]
    assert found == [100 <= row < 1_100 and bool(mask[row - 100]) for row in range(90, 1_110)]
    assert (
        selection.without(np.array([3, 4])).mask().tolist() == np.where(np.isin(range(1_000), [3, 4]), 0, mask).tolist()
    )


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 1.0])
def test_a_selection_without_a_few_says_what_its_mask_says(share: float) -> None:
    mask = np.random.default_rng(2).random(1_000) < share
    base = Selection.of_mask(None, 100, 1_000, mask)
    wanted = mask.copy()
    wanted[[3, 4, 999]] = False
    few = base.without(np.array([4, 3, 999, 3]))
    assert len(few) == wanted.sum()
    assert [few.has(row) for row in range(90, 1_110)] == [
        100 <= r < 1_100 and wanted[r - 100] for r in range(90, 1_110)
    ]
    assert few.rows().tolist() == np.flatnonzero(wanted).tolist()
    again = few.without(np.array([5]))
    wanted[5] = False
    assert again.mask().tolist() == wanted.tolist()
    assert few.among(np.arange(1_000) < 500).mask().tolist() == (few.mask() & (np.arange(1_000) < 500)).tolist()
    assert base.without(np.array([], np.int64)) is base


def test_few_rows_take_little_memory_even_when_their_mask_was_asked_for() -> None:
    mask = np.zeros(100_000, np.bool_)
    mask[:50] = True
    selection = Selection.of_mask(None, 0, 100_000, mask)
    selection.mask()
    assert selection.bytes < 2_000
    assert Selection(None, 0, 100_000, mask=mask).bytes > 100_000


def test_selections_of_another_view_and_the_oldest_of_too_many_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CACHE_BYTES", 2_500)
    recent, view = RecentSelections(), object()
    asked = [(parse_filter({"n": n}), frozenset[str]()) for n in range(6)]
    for one in asked:
        recent.keep(view, one, Selection(None, 0, 10, rows=np.arange(5)))
    found = [recent.find(view, one) is not None for one in asked]
    assert found == [False, False, True, True, True, True]
    assert recent.find(object(), asked[5]) is None
    other = object()
    recent.keep(other, asked[0], Selection(None, 0, 10))
    assert recent.find(view, asked[5]) is None
    assert recent.find(other, asked[0]) is not None


def test_mask_that_is_kept_grows_with_the_rows_and_serves_shorter_views() -> None:
    columns, wanted, nothing = MetadataColumns(), parse_filter({"n": 1}), frozenset[str]()
    masks = FilterMasks(columns)
    assert not len(masks.mask(wanted, nothing, 0))
    for start, end in ((0, 13), (13, 13), (13, 40), (40, 41)):
        texts = [f'{{"n": {i % 3}}}' for i in range(start, end)]
        columns.append(pa.array(texts, pa.string()), read_metadata(texts, ids=texts))
        for seen in (end, start, end):
            assert masks.mask(wanted, nothing, seen).tolist() == [i % 3 == 1 for i in range(seen)]
    assert masks.bytes == 6
