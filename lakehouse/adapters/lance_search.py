"""Vector search by Lance's own index, for a table that does not fit into memory.

The index is IVF over 8-bit codes: it is made in seconds where a graph takes minutes, and is read a part at a time. How
many of its parts a search looks into is chosen when it is made, by its recall on the table's own vectors.

Belongs here: making the index, choosing its search width, searching. Not here: the index in memory (see hot_index.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lakehouse.adapters.lance_engine import BrokenFiles, translated
from lakehouse.adapters.lance_files import among, committed_of
from lakehouse.counted import counted
from lakehouse.errors import BadInput, Unavailable

if TYPE_CHECKING:
    import pyarrow as pa

    from lakehouse.adapters.lance_table import LanceTable

INDEX = "vector_ivf"
MIN_ROWS = 5_000
"""Smaller tables are searched row by row: exact, and quick enough."""
ROWS_PER_PART = 4_096
FLAT_IDS = 10_000
"""Of so many chosen rows the nearest are found by comparing each."""
PROBES = 64
PROBE_K = 10
WANTED_RECALL = 0.98
REFINE = 2
WIDEST = 1 << 16
METRICS = {"cosine": "cosine", "l2": "l2", "dot": "dot"}


def build_index(table: LanceTable, *, column: str = "vector") -> dict[str, Any]:
    """Make the index, or make it anew, and choose how many of its parts a search looks into.

    Returns:
        `kind` (`flat` for a small table), `parts`, `nprobes`, `recall` at 10 on the table's own vectors, the `rows` it
        was made for; the table's info keeps them under `index`.

    Raises:
        Unavailable: A build is writing to the table; what it has written is not to be seen yet.
    """
    table.refresh()
    live, files = table.live, table.files
    if live.rows < MIN_ROWS:
        return {"kind": "flat", "parts": 0, "nprobes": 0, "recall": 1.0, "rows": live.rows}
    parts = max(1, live.rows // ROWS_PER_PART)
    with files.exclusive() as head:
        if head.version != live.version:
            raise Unavailable(
                f"a build is writing to table {table.name!r}; make its index afterwards", retry_after_s=60
            )
        metric = METRICS[live.info.get("distance", "cosine")]
        head.create_index(column, "IVF_SQ", name=INDEX, metric=metric, num_partitions=parts, replace=True)
        done = committed_of(head)
    table.publish(files, done)
    nprobes, recall = _choose_width(table, column, parts)
    index = {"kind": "ivf_sq", "parts": parts, "nprobes": nprobes, "recall": round(recall, 4), "rows": done.rows}
    table.change_info(lambda info: {**info, "index": index})
    return index


def search(
    table: LanceTable,
    vector: NDArray[np.float32],
    k: int,
    *,
    filter_ids: Sequence[str] | None = None,
    where: str | None = None,
    columns: Sequence[str] = ("id",),
    nprobes: int | None = None,
    column: str = "vector",
) -> pa.Table:
    """The nearest rows of what serves; rows that came after the index was made are compared one by one.

    Args:
        table: The table.
        vector: The query, of the table's dimension.
        k: How many; as many come back whenever so many pass.
        filter_ids: Only these rows.
        where: Only rows that pass, a condition in Lance's SQL over the table's columns.
        columns: What to return beside `distance`.
        nprobes: Parts of the index to look into; by default as chosen when it was made.
        column: The column of vectors.

    Returns:
        A table of `columns` and `distance` (CONTRACTS.md section 7: 1 − cosine, squared L2, or negative product),
        nearest first.

    Raises:
        BadInput: The vector has another dimension, or the condition names what is not there.
    """
    live, files = table.live, table.files
    dataset = files.at(live.version)
    dimension = dataset.schema.field(column).type.list_size
    if vector.shape != (dimension,):
        raise BadInput(f"the vector has {counted(vector.size, 'number')}, table {table.name!r} takes {dimension}")
    conditions = [f"({where})"] if where else []
    if filter_ids is not None:
        conditions.append(among(files.key, filter_ids))
    distance = live.info.get("distance", "cosine")
    nearest: dict[str, Any] = {"column": column, "q": vector, "k": k, "metric": METRICS[distance]}
    if filter_ids is not None and len(filter_ids) <= FLAT_IDS:
        nearest["use_index"] = False
    elif "index" in live.info or nprobes is not None:
        nearest |= {"nprobes": nprobes or live.info["index"]["nprobes"], "refine_factor": REFINE}
    try:
        with translated(live.uri):
            found = _nearest(dataset, nearest, columns, " AND ".join(conditions) or None)
            if found.num_rows < k and "nprobes" in nearest:
                # The searched parts hold too few rows that pass, so all parts are searched.
                nearest["nprobes"] = live.info.get("index", {}).get("parts", WIDEST)
                found = _nearest(dataset, nearest, columns, " AND ".join(conditions) or None)
    except BrokenFiles as error:
        if where is None:
            raise
        raise BadInput(f"the condition does not fit the table: {error.detail}") from None
    return _with_distance(found, columns, distance)


def _nearest(dataset: Any, nearest: dict[str, Any], columns: Sequence[str], condition: str | None) -> pa.Table:
    return dataset.scanner(
        columns=[*columns, "_distance"], nearest=nearest, filter=condition, prefilter=True
    ).to_table()


def _with_distance(found: pa.Table, columns: Sequence[str], distance: str) -> pa.Table:
    import pyarrow as pa

    values = found.column("_distance").to_numpy()
    if distance == "dot":
        values = values - 1.0  # Lance gives 1 − product
    return found.select(list(columns)).append_column("distance", pa.array(values, pa.float32()))


def _choose_width(table: LanceTable, column: str, parts: int) -> tuple[int, float]:
    """The least width whose recall is enough, and that recall."""
    queries = _sample(table, column)
    truth = _exact(table, column, queries)
    recall, width = 0.0, 1
    for width in _widths(parts):
        hits = 0
        for query, ids in zip(queries, truth, strict=True):
            found = search(table, query, PROBE_K, nprobes=width, column=column).column("id").to_pylist()
            hits += len(ids & set(found))
        recall = hits / max(1, sum(map(len, truth)))
        if recall >= WANTED_RECALL:
            break
    return width, recall


def _widths(parts: int) -> list[int]:
    widths = [w for w in (1, 2, 4, 8, 16, 32, 64, 128, 256) if w < parts]
    return [*widths, parts]


def _sample(table: LanceTable, column: str) -> NDArray[np.float32]:
    """Sample queries: points halfway between two vectors of the table, as a vector itself would find itself first."""
    positions = np.linspace(0, table.live.rows - 1, 2 * PROBES).astype(np.int64)
    taken = matrix_of(table.files.take(table.version, positions, [column]).column(column))
    pairs: NDArray[np.float32] = taken[0::2] + 0.5 * taken[1::2]
    return pairs


def _exact(table: LanceTable, column: str, queries: NDArray[np.float32]) -> list[set[str]]:
    """The nearest of each query, by comparing with every row, in one pass over the table."""
    distance = table.info.get("distance", "cosine")
    best = np.full((len(queries), PROBE_K), np.inf, dtype=np.float32)
    names = np.full((len(queries), PROBE_K), "", dtype=object)
    for batch in table.scan([table.live.key, column]):
        rows = matrix_of(batch.column(column))
        far = _distances(queries, rows, distance)
        ids = np.asarray(batch.column(table.live.key).to_pylist(), dtype=object)
        all_far = np.concatenate([best, far], axis=1)
        all_names = np.concatenate([names, np.broadcast_to(ids, far.shape)], axis=1)
        nearest = np.argpartition(all_far, PROBE_K - 1, axis=1)[:, :PROBE_K]
        best = np.take_along_axis(all_far, nearest, axis=1)
        names = np.take_along_axis(all_names, nearest, axis=1)
    return [set(row) for row in names]


def _distances(queries: NDArray[np.float32], rows: NDArray[np.float32], distance: str) -> NDArray[np.float32]:
    products: NDArray[np.float32] = queries @ rows.T
    if distance == "dot":
        return -products
    norms = np.einsum("ij,ij->i", rows, rows)
    if distance == "l2":
        # The length of the query does not change the order.
        return np.asarray(norms[None, :] - 2 * products, np.float32)
    lengths = np.sqrt(np.maximum(norms, np.finfo(np.float32).tiny))
    return np.asarray(-products / lengths[None, :], np.float32)


def matrix_of(vectors: Any) -> NDArray[np.float32]:
    """A column of vectors as a matrix of rows x dimension."""
    array = vectors.combine_chunks() if hasattr(vectors, "combine_chunks") else vectors
    matrix: NDArray[np.float32] = (
        array.flatten().to_numpy(zero_copy_only=False).reshape(len(array), array.type.list_size)
    )
    return matrix
