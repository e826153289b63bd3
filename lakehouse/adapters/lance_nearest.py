"""The nearest of selected rows by Lance's own index: as many as asked for whenever so many are selected.

A small selection is read and compared row by row. For a large one the index is asked for more rows than wanted, and
those not selected are dropped; when too few are left, it is asked for more, and at last the whole selection is
compared. Fresh rows, which are not in the index yet, are kept in memory while they are few.

Belongs here: which of these ways, how much to ask for. Not here: making the index (see lance_search.py), selections
(see lance_rows.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lakehouse.adapters.faiss_kernels import nearest, span_distances
from lakehouse.adapters.hot_index import Hit
from lakehouse.adapters.lance_engine import translated
from lakehouse.adapters.lance_rows import LanceRows
from lakehouse.adapters.lance_search import INDEX, METRICS, PROBE_K, REFINE, matrix_of
from lakehouse.retrieval.row_batch import Distance, check_vectors
from lakehouse.retrieval.selection import Selection

if TYPE_CHECKING:
    import pyarrow as pa

Vector = NDArray[np.float32]
Rows = NDArray[np.int64]
FEW_ROWS = 2_000
"""So many are read and compared; it takes about as long as asking the index."""
MOST_ASKED = 10_000
FRESH_BYTES = 32 << 20
_MORE = 4
_SPARE = 16


@dataclass(frozen=True, slots=True)
class Width:
    """How many of the index's parts are searched for the ten nearest; None when there is no index."""

    parts: int
    probes: int

    def probes_for(self, asked: int) -> int:
        """How many parts to search for more than ten results, which lie in more parts."""
        return min(self.parts, math.ceil(self.probes * math.sqrt(max(1.0, asked / PROBE_K))))


def width_of(info: Mapping[str, Any]) -> Width | None:
    """The width that was chosen when the index was made; see `lance_search.build_index`."""
    index = info.get("index")
    return None if not index or index["kind"] == "flat" else Width(index["parts"], index["nprobes"])


def search_vectors(
    rows: LanceRows, query: Vector, k: int, selection: Selection, *, distance: Distance, width: Width | None
) -> list[Hit]:
    """The nearest selected rows, nearest first: `k`, or all where fewer are selected.

    Args:
        rows: Of the version.
        query: From `row_batch.read_query`.
        k: How many.
        selection: From `rows.select`.
        distance: Of the corpus.
        width: How wide to search.
    """
    k = min(k, len(selection))
    if k < 1:
        return []
    if len(selection) <= FEW_ROWS and not selection.is_all:
        return _among(rows, query, k, selection.rows(), distance)
    fresh = _fresh(rows, query, width)
    near, selected = _fresh_hits(rows, fresh, query, k=k, selection=selection, distance=distance)
    asked = _asked_first(k, selection)
    while asked <= max(MOST_ASKED, k):
        is_partial = bool(fresh) and width is not None
        found = _ask(rows, query, asked, distance, width, is_partial=is_partial)
        hits = _selected(rows, found, selection, distance)
        if is_partial and len(hits) >= min(k, len(selection) - selected):
            return sorted([*hits, *near], key=lambda hit: (hit.value, hit.row))[:k]
        if len(hits) >= k:
            return hits[:k]
        if found.num_rows < asked and width is not None:
            width = None if width.probes >= width.parts else Width(width.parts, width.parts)
            continue
        if found.num_rows < asked:
            break
        asked *= _MORE
    return _through(rows, query, k, selection, distance)


def distances_of(rows: LanceRows, query: Vector, numbers: Rows, distance: Distance) -> Vector:
    """The exact distances of some rows, in their order."""
    return span_distances(_vectors(rows.take(numbers, ["vector"]), distance), query, distance)


def _asked_first(k: int, selection: Selection) -> int:
    """How many rows to ask for first: enough for `k` selected ones if selected rows are spread evenly."""
    left_out = selection.end - len(selection)
    by_share = math.ceil(2 * k * selection.end / len(selection)) + _SPARE
    return min(k + left_out, by_share)


def _fresh(rows: LanceRows, query: Vector, width: Width | None) -> list[int]:
    """The fragments whose vectors are kept in memory: those past the index, while they are few."""
    positions = [] if width is None or INDEX not in rows.indexes else rows.uncovered(INDEX)
    return positions if rows.rows_in(positions) * query.nbytes <= FRESH_BYTES else []


def _fresh_hits(
    rows: LanceRows, fresh: list[int], query: Vector, *, k: int, selection: Selection, distance: Distance
) -> tuple[list[Hit], int]:
    """The nearest selected rows of fresh fragments, and how many of their rows are selected."""
    mask = None if selection.is_all else selection.mask()
    found, selected = list[Hit](), 0
    for position in fresh:
        numbers, kept = rows.vectors_in(position, distance)
        at = np.arange(len(numbers)) if mask is None else np.flatnonzero(mask[numbers])
        selected += len(at)
        values = span_distances(kept.vectors, query, distance)
        best, _ = nearest(at, values[at], k)
        found += [Hit(int(numbers[n]), kept.ids[int(n)].as_py(), float(values[n])) for n in best]
    return found, selected


def _ask(
    rows: LanceRows, query: Vector, asked: int, distance: Distance, width: Width | None, *, is_partial: bool
) -> pa.Table:
    how: dict[str, Any] = {"column": "vector", "q": query, "k": asked, "metric": METRICS[distance]}
    if width is None:
        how["use_index"] = False
    else:
        how |= {"nprobes": width.probes_for(asked), "refine_factor": REFINE}
    with translated(rows.uri):
        return rows.dataset.scanner(
            columns=["id", "_distance"], nearest=how, with_row_id=True, fast_search=is_partial
        ).to_table()


def _selected(rows: LanceRows, found: pa.Table, selection: Selection, distance: Distance) -> list[Hit]:
    numbers = rows.numbers_of(found.column("_rowid").to_numpy())
    values = found.column("_distance").to_numpy()
    values = values - 1.0 if distance == "dot" else np.maximum(values, 0.0)  # Lance gives 1 − product
    ids = found.column("id").to_pylist()
    kept = np.arange(len(ids)) if selection.is_all else np.flatnonzero(selection.mask()[numbers])
    order = kept[np.lexsort((numbers[kept], values[kept]))]
    return [Hit(int(numbers[n]), ids[n], float(values[n])) for n in order]


def _among(rows: LanceRows, query: Vector, k: int, numbers: Rows, distance: Distance) -> list[Hit]:
    table = rows.take(numbers, ["id", "vector"])
    return _best_of(iter([(numbers, table)]), query, k, distance)


def _through(rows: LanceRows, query: Vector, k: int, selection: Selection, distance: Distance) -> list[Hit]:
    mask = None if selection.is_all else selection.mask()
    return _best_of(rows.scan(["id", "vector"], mask), query, k, distance)


def _best_of(batches: Iterator[tuple[Rows, Any]], query: Vector, k: int, distance: Distance) -> list[Hit]:
    return nearest_hits(
        ((n, b.column("id"), span_distances(_vectors(b, distance), query, distance)) for n, b in batches), k
    )


def nearest_hits(scored: Iterator[tuple[Rows, Any, Vector]], k: int) -> list[Hit]:
    """The `k` with the least values, in order, of rows that come in batches: numbers, ids in Arrow, values."""
    rows, values, ids = np.empty(0, np.int64), np.empty(0, np.float32), dict[int, str]()
    for numbers, names, fresh in scored:
        rows, values = nearest(np.concatenate([rows, numbers]), np.concatenate([values, fresh]), k)
        at = dict(zip(numbers.tolist(), range(len(numbers)), strict=True))
        ids = {row: ids[row] if row in ids else names[at[row]].as_py() for row in rows.tolist()}
    return [Hit(row, ids[row], value) for row, value in zip(rows.tolist(), values.tolist(), strict=True)]


def _vectors(table: Any, distance: Distance) -> Vector:
    return check_vectors(matrix_of(table.column("vector")), distance=distance)
