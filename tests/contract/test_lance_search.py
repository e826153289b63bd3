"""Search by Lance's own index on the real store: recall, fresh and deleted rows, conditions, distances."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from lakehouse.adapters.lance_search import MIN_ROWS
from lakehouse.adapters.lance_table import LanceTable
from lakehouse.adapters.lance_tables import LanceTables
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.errors import BadInput, Unavailable
from lakehouse.tables.corpus import corpus_schema

DIMENSION = 16
ROWS = MIN_ROWS + 1_000


def matrix(count: int, seed: int = 0) -> NDArray[np.float32]:
    """Vectors in clusters, as texts are."""
    draw = np.random.default_rng(seed)
    centers = draw.standard_normal((40, DIMENSION))
    rows = centers[draw.integers(0, 40, count)] + 0.3 * draw.standard_normal((count, DIMENSION))
    return rows.astype(np.float32)


def rows_of(ids: Sequence[str], vectors: NDArray[np.float32]) -> pa.Table:
    count = len(ids)
    return pa.Table.from_arrays(
        [
            pa.array(ids),
            pa.array(["op"] * count),
            pa.array([f"text {i}" for i in ids]),
            pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), DIMENSION),
            pa.array(["{}"] * count),
            pa.nulls(count, pa.string()),
        ],
        schema=corpus_schema(DIMENSION),
    )


def make(objects: S3ObjectStore, vectors: NDArray[np.float32], distance: str = "cosine") -> LanceTable:
    info = {"kind": "index", "dimension": DIMENSION, "distance": distance}
    table = LanceTables(objects.location, objects).create("many", corpus_schema(DIMENSION), info=info)
    table.append(rows_of([str(n) for n in range(len(vectors))], vectors))
    return table


def ids(found: pa.Table) -> list[str]:
    return [str(i) for i in found.column("id").to_pylist()]


def test_index_finds_what_is_there_now_and_says_how_well(objects: S3ObjectStore) -> None:
    vectors = matrix(ROWS)
    table = make(objects, vectors)
    made = table.build_index()
    assert made["kind"] == "ivf_sq"
    assert made["recall"] >= 0.98
    assert table.info["index"] == made
    assert table.stats()["indexes"][0]["rows"] == ROWS
    # Rows that came and went since the index was made.
    table.upsert(rows_of(["fresh"], vectors[17:18] * 2))
    table.delete(["17"])
    found = table.search(vectors[17], 5, columns=["id", "text"])
    assert ids(found)[0] == "fresh"
    assert "17" not in ids(found)
    assert found.column_names == ["id", "text", "distance"]
    assert found.column("distance")[0].as_py() == pytest.approx(0.0, abs=1e-5)
    # A condition that few rows pass: all of them come back, however far they are.
    few = [str(n) for n in range(100, 104)]
    assert sorted(ids(table.search(vectors[0], 10, filter_ids=few))) == few
    assert ids(table.search(vectors[0], 10, filter_ids=[])) == []
    rare = table.search(vectors[0], 10, where="text LIKE '%99'")
    assert len(ids(rare)) == 10
    assert all(i.endswith("99") for i in ids(rare))
    many = [str(n) for n in range(0, ROWS, 2) if n != 18]
    assert len(set(ids(table.search(vectors[18], 20, filter_ids=many))) & set(many)) == 20
    # And the index is brought up to date with the next optimize.
    table.optimize()
    assert table.stats()["indexes"][0]["rows"] == ROWS
    assert ids(table.search(vectors[17], 1)) == ["fresh"]


@pytest.mark.parametrize("distance", ["cosine", "l2", "dot"])
def test_distances_are_those_of_the_contract(objects: S3ObjectStore, distance: str) -> None:
    vectors = matrix(200)
    table = make(objects, vectors, distance)
    query = matrix(1, seed=5)[0]
    found = table.search(query, 200)
    products = vectors @ query
    truth = {
        "cosine": 1 - products / np.linalg.norm(vectors, axis=1) / np.linalg.norm(query),
        "l2": ((vectors - query) ** 2).sum(axis=1),
        "dot": -products,
    }[distance]
    assert ids(found) == [str(n) for n in np.argsort(truth)]
    np.testing.assert_allclose(found.column("distance").to_numpy(), np.sort(truth), rtol=1e-4, atol=1e-4)


def test_small_table_needs_no_index(objects: S3ObjectStore) -> None:
    table = make(objects, matrix(50))
    assert table.build_index()["kind"] == "flat"
    assert len(ids(table.search(matrix(1)[0], 10))) == 10
    assert len(ids(table.search(matrix(1)[0], 100))) == 50


def test_wrong_dimension_and_unknown_column_are_refused(objects: S3ObjectStore) -> None:
    table = make(objects, matrix(50))
    with pytest.raises(BadInput, match="16"):
        table.search(np.zeros(3, np.float32), 10)
    with pytest.raises(BadInput, match="nope"):
        table.search(matrix(1)[0], 10, where="nope = 3")


def test_index_waits_for_the_end_of_a_build(objects: S3ObjectStore) -> None:
    vectors = matrix(ROWS)
    table = make(objects, vectors)
    table.files.merge(rows_of(["unseen"], vectors[:1]))
    with pytest.raises(Unavailable, match="build"):
        table.build_index()
