"""An `EntryIndex` by brute force."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lakehouse.errors import BadInput, NotFound
from lakehouse.retrieval.playbook_index import Nearby

Vectors = NDArray[np.float32]


class FlatIndex:
    """Vectors in a dictionary, compared one by one; a row that was given away is never used again."""

    def __init__(self) -> None:
        self.vectors: dict[str, Vectors] = {}
        self._rows: dict[str, int] = {}
        self._at: dict[int, Vectors] = {}
        self._given = 0

    def put(self, ids: Sequence[str], vectors: Vectors) -> None:
        if self.vectors and vectors.shape[1:] != next(iter(self.vectors.values())).shape:
            raise BadInput("another dimension")
        self.delete(ids)
        for one, vector in zip(ids, vectors, strict=True):
            self._given += 1
            self.vectors[one], self._rows[one] = vector, self._given
            self._at[self._given] = vector

    def delete(self, ids: Sequence[str]) -> int:
        for one in ids:
            self._at.pop(self._rows.pop(one, -1), None)
        return sum(self.vectors.pop(i, None) is not None for i in ids)

    def nearest(self, vector: Vectors, k: int, max_distance: float) -> Nearby:
        found = sorted((float(1 - v @ vector), i) for i, v in self.vectors.items())
        near = [(d, i) for d, i in found[:k] if d <= max_distance]
        return Nearby([d for d, _ in near], [i for _, i in near])

    def look(self, vector: Vectors, k: int, max_distance: float) -> asyncio.Future[Nearby]:
        done: asyncio.Future[Nearby] = asyncio.get_running_loop().create_future()
        done.set_result(self.nearest(vector, k, max_distance))
        return done

    def row_of(self, id: str) -> int | None:  # noqa: A002
        return self._rows.get(id)

    def vectors_at(self, rows: NDArray[np.int64]) -> Vectors:
        if any(row not in self._at for row in rows.tolist()):
            raise NotFound("a row is gone")
        return np.stack([self._at[row] for row in rows.tolist()])

    def products_at(self, rows: NDArray[np.int64], vector: Vectors) -> Vectors:
        return np.asarray(self.vectors_at(rows) @ vector, np.float32)
