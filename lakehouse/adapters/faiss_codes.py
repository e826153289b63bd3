"""Compressed codes of vectors: 4 bits for every two values, in lists around centroids, scanned by faiss with SIMD.

A search takes the best of the nearest lists by code, and its caller ranks them by exact distance. How many lists and
how many candidates that takes is measured on the corpus's own vectors (see codes_probe.py) and kept beside the codes.
Codes are never changed: longer ones are a copy, so that readers go on with what they have.

Belongs here: training, encoding, scanning. Not here: exact distances (see faiss_kernels.py), how wide to search
(see codes_probe.py), when to train (see hot_upkeep.py).

Source: André, Kermarrec & Le Scouarnec 2015, Cache locality is not enough; faiss, IndexIVFPQFastScan.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lakehouse.adapters.faiss_kernels import faiss_library
from lakehouse.retrieval.row_batch import Distance

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]
LEAST_RECALL = 0.98
_SEED = 7
_TRAINING_ROWS = 30_000
_ROWS_PER_LIST = 40
_ITERATIONS = 10
_ADD_ROWS = 65_536


@dataclass(frozen=True, slots=True)
class SearchWidth:
    """How far a search looks.

    Args:
        lists: Lists scanned.
        candidates: Rows taken from them for 10 results.
        recall: Share of the true 10 nearest that the probe found so.
    """

    lists: int
    candidates: int
    recall: float

    @property
    def is_good(self) -> bool:
        """False: the codes find too little, and are not used."""
        return self.recall >= LEAST_RECALL

    def candidates_for(self, k: int) -> int:
        """Rows to take for `k` results."""
        return self.candidates + 4 * max(0, k - 10)


@dataclass(frozen=True, slots=True)
class Codes:
    """The codes of the first `end` rows of a matrix.

    Args:
        index: The faiss index.
        end: Rows it has.
        trained_rows: Rows there were when it was trained.
        width: How far a search looks.
    """

    index: Any
    end: int
    trained_rows: int
    width: SearchWidth

    @property
    def lists(self) -> int:
        """How many lists there are."""
        return int(self.index.nlist)

    @property
    def bytes(self) -> int:
        """Memory: codes and row numbers, centroids."""
        return self.end * (int(self.index.code_size) + 8) + self.lists * int(self.index.d) * 4

    def scan(self, query: Vectors, count: int, *, lists: int, selector: Any = None) -> Rows:
        """The rows that look nearest by their codes.

        Args:
            query: As it is compared, (d,).
            count: How many at most; fewer when the lists hold no more.
            lists: Nearest lists to scan.
            selector: From `selector_of`: rows that may come.
        """
        faiss = faiss_library()
        parameters = faiss.SearchParametersIVF(nprobe=min(lists, self.lists), sel=selector)
        _, found = self.index.search(padded(query[None, :]), min(count, self.end), params=parameters)
        rows: Rows = found[0]
        return rows if rows[-1] >= 0 else rows[rows >= 0]

    def extended(self, vectors: Vectors) -> Codes:
        """The codes of all rows of a matrix that begins with the rows coded here."""
        faiss = faiss_library()
        longer = faiss.clone_index(self.index)
        _add(longer, vectors, self.end)
        return replace(self, index=longer, end=len(vectors))

    def recoded(self, vectors: Vectors) -> Codes:
        """The codes of all rows of another matrix, by what was learned from this one."""
        faiss = faiss_library()
        other = faiss.clone_index(self.index)
        other.reset()
        _add(other, vectors, 0)
        return replace(self, index=other, end=len(vectors))

    def write(self, path: Path) -> None:
        """Write the index to a file."""
        faiss = faiss_library()
        faiss.write_index(self.index, str(path))


def train(vectors: Vectors, distance: Distance, *, width: SearchWidth | None = None) -> Codes:
    """Codes of all rows of a matrix, trained on a sample of them.

    Args:
        vectors: (n, d), n some thousands, as they are compared.
        distance: `l2`, or an inner product for the others.
        width: How far to search; all lists until it is measured.
    """
    faiss = faiss_library()
    count, dimension = vectors.shape
    lists = list_count(count)
    even = dimension + dimension % 2
    metric = faiss.METRIC_L2 if distance == "l2" else faiss.METRIC_INNER_PRODUCT
    index = faiss.index_factory(even, f"IVF{lists},PQ{even // 2}x4fs", metric)
    # One table for all lists: the codes are of the vectors themselves.
    index.by_residual = False
    index.cp.niter = _ITERATIONS
    index.cp.seed = _SEED
    size = min(count, max(_TRAINING_ROWS, _ROWS_PER_LIST * lists))
    sample = np.sort(np.random.default_rng(_SEED).choice(count, size, replace=False))
    index.train(padded(vectors[sample]))
    _add(index, vectors, 0)
    return Codes(index, count, count, width or SearchWidth(lists, 400, 0.0))


def read(path: Path, *, trained_rows: int, width: SearchWidth) -> Codes:
    """Read what `Codes.write` wrote.

    Raises:
        RuntimeError: It is no index that faiss knows.
    """
    faiss = faiss_library()
    index = faiss.read_index(str(path))
    return Codes(index, int(index.ntotal), trained_rows, width)


def selector_of(mask: NDArray[np.bool_]) -> Any:
    """What makes `Codes.scan` see the rows of a mask alone."""
    faiss = faiss_library()
    return faiss.IDSelectorBitmap(np.packbits(mask, bitorder="little"))


def list_count(rows: int) -> int:
    """Lists for so many rows: a power of two about their square root, as long as the lists stay worth scanning."""
    return max(16, 1 << int(np.log2(max(1, rows)) / 2))


def padded(vectors: Vectors) -> Vectors:
    """The same with a zero behind each row where the dimension is odd: codes take values in pairs."""
    if vectors.shape[1] % 2 == 0:
        return np.ascontiguousarray(vectors)
    return np.pad(vectors, ((0, 0), (0, 1)))


def _add(index: Any, vectors: Vectors, start: int) -> None:
    for first in range(start, len(vectors), _ADD_ROWS):
        index.add(padded(vectors[first : first + _ADD_ROWS]))
