"""An `EntryIndex` by brute force."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray


class FlatIndex:
    """Vectors in a dictionary, compared one by one."""

    def __init__(self) -> None:
        self.vectors: dict[str, NDArray[np.float32]] = {}

    def upsert(self, batch: Any) -> None:
        matrix = np.asarray(batch.column("vector").flatten()).reshape(len(batch), -1)
        self.vectors.update(zip(batch.column("id").to_pylist(), matrix, strict=True))

    def delete(self, ids: Sequence[str]) -> int:
        return sum(self.vectors.pop(i, None) is not None for i in ids)

    def nearest(self, vector: NDArray[np.float32], k: int, max_distance: float) -> list[Any]:
        found = sorted((float(1 - v @ vector), i) for i, v in self.vectors.items())
        return [SimpleNamespace(id=i, value=d, row=0) for d, i in found[:k] if d <= max_distance]

    async def nearest_together(self, vector: NDArray[np.float32], k: int, max_distance: float) -> list[Any]:
        return self.nearest(vector, k, max_distance)

    def vectors_of(self, ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        return {one: self.vectors[one] for one in ids if one in self.vectors}

    def vector_of(self, id: str) -> NDArray[np.float32]:  # noqa: A002
        return self.vectors[id]
