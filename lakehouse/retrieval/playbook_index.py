"""What playbooks need of an index of vectors and of an embedder.

Belongs here: the protocols. Not here: entries (see playbook.py), the index (see lakehouse/adapters/entry_index.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

    from lakehouse.retrieval.corpus_view import Hit


class EntryIndex(Protocol):
    """Nearest entries by the embedding of their query."""

    def upsert(self, batch: pa.RecordBatch) -> None: ...

    def delete(self, ids: Sequence[str]) -> int: ...

    def nearest(self, vector: NDArray[np.float32], k: int, max_distance: float) -> Sequence[Hit]: ...

    async def nearest_together(self, vector: NDArray[np.float32], k: int, max_distance: float) -> Sequence[Hit]: ...

    def vector_of(self, id: str) -> NDArray[np.float32]: ...  # noqa: A002

    def vectors_of(self, ids: Sequence[str]) -> Mapping[str, NDArray[np.float32]]:
        """The vectors of those of some entries that are there."""
        ...


class Embed(Protocol):
    """Embeds texts: (n, dimension), rows of unit length."""

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]: ...
