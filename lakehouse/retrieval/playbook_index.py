"""What playbooks need of an index of vectors and of an embedder.

Belongs here: the protocols. Not here: entries (see playbook.py), the index (see lakehouse/adapters/entry_index.py).
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


class Nearby(NamedTuple):
    """Entries near a query, nearest first: their cosine distances and their ids."""

    distances: Sequence[float]
    ids: Sequence[str]


NO_ENTRIES = Nearby((), ())


class EntryIndex(Protocol):
    """Nearest entries by the embedding of their query. Vectors are of length 1."""

    def put(self, ids: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Insert or replace entries, no id twice."""
        ...

    def delete(self, ids: Sequence[str]) -> int: ...

    def nearest(self, vector: NDArray[np.float32], k: int, max_distance: float) -> Nearby: ...

    def look(self, vector: NDArray[np.float32], k: int, max_distance: float) -> Awaitable[Nearby]:
        """`nearest`, joined with other searches of this turn of the event loop; it is begun at once."""
        ...

    def row_of(self, id: str) -> int | None:  # noqa: A002 - the key of the rows
        """Where the vector of an entry is, None when there is none."""
        ...

    def vectors_at(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The vectors of some rows, (n, dimension); raises `NotFound` when one is gone."""
        ...

    def products_at(self, rows: NDArray[np.int64], vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """The cosines of a vector of length 1 and those of some rows; raises as `vectors_at`."""
        ...


class Embed(Protocol):
    """Embeds texts: (n, dimension), rows of unit length."""

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]: ...
