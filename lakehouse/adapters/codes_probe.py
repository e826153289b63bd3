"""How wide a search over codes must be: measured against exact search on the corpus's own vectors.

Queries lie where no row does, so the probe asks for four kinds: rows of the corpus (without themselves), points between
two rows, points between eight, which are as far from every row as a short query is, and points anywhere in the cloud of
the corpus, which are off every topic of it.

Belongs here: probes, the exact answer to them, the narrowest width that is good enough. Not here: codes (see
faiss_codes.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lakehouse.adapters.faiss_codes import Codes, SearchWidth
from lakehouse.adapters.faiss_kernels import row_distances
from lakehouse.retrieval.row_batch import Distance

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]
K = 10
# Of the true ten, for each kind of probe.
TARGETS = np.array([0.99, 0.99, 0.99, 0.98])
_SEED = 11
_PROBES = 48  # of each kind
_CANDIDATES = (100, 150, 200, 300, 400, 600, 800, 1_200, 2_400, 4_800)
_BETWEEN = 8
_BLOCK_ROWS = 16_384


@dataclass(frozen=True, slots=True)
class Probes:
    """Queries (m, d), kind after kind; the distance of the tenth nearest of each; the row each is itself, or -1."""

    queries: Vectors
    edges: Vectors
    own: Rows


def measure(codes: Codes, vectors: Vectors, distance: Distance) -> Codes:
    """The codes with the narrowest width that finds enough of the ten nearest for every kind of probe, else the widest.

    Args:
        codes: Of all rows of `vectors`.
        vectors: (n, d), as they are compared.
        distance: Of the index.
    """
    probes = make_probes(vectors, distance)
    places = _places(codes, vectors, distance, probes, SearchWidth(codes.lists, _CANDIDATES[-1], 0.0))
    candidates = next((c for c in _CANDIDATES if (_recall(places, c) >= TARGETS).all()), _CANDIDATES[-1])
    # At least as many as hold the candidates twice over.
    lists = min(1 << (2 * candidates * codes.lists // codes.end).bit_length(), codes.lists)
    while True:
        width = SearchWidth(lists, candidates, 0.0)
        shares = _recall(_places(codes, vectors, distance, probes, width), candidates)
        if (shares >= TARGETS).all() or lists == codes.lists:
            return replace(codes, width=replace(width, recall=round(float(shares.min()), 4)))
        lists = min(lists + lists // 2, codes.lists)


def make_probes(vectors: Vectors, distance: Distance) -> Probes:
    """Probes of all kinds, answered exactly."""
    draw = np.random.default_rng(_SEED)
    rows = draw.integers(0, len(vectors), (_PROBES, _BETWEEN))
    some = vectors[rows]
    flat = some.reshape(-1, some.shape[2])
    anywhere = flat.mean(axis=0) + flat.std(axis=0) * draw.standard_normal((_PROBES, flat.shape[1]))
    kinds = [some[:, 0], some[:, :2].mean(axis=1), some.mean(axis=1), anywhere]
    queries = np.concatenate(kinds).astype(np.float32)
    if distance == "cosine":
        lengths = np.linalg.norm(queries, axis=1, keepdims=True)
        queries /= np.where(lengths > 0, lengths, 1)
    own = np.concatenate([rows[:, 0], np.full(len(queries) - _PROBES, -1)])
    truth = _exact(vectors, queries, own, distance)
    edges = [row_distances(vectors, q, rows, distance).max() for q, rows in zip(queries, truth, strict=True)]
    return Probes(queries, np.array(edges, np.float32), own)


def _places(
    codes: Codes, vectors: Vectors, distance: Distance, probes: Probes, width: SearchWidth
) -> list[NDArray[np.int64]]:
    """Where, in the order of the codes, the true ten of each probe come."""
    places = []
    for query, edge, own in zip(probes.queries, probes.edges, probes.own, strict=True):
        rows = codes.scan(query, width.candidates + 1, lists=width.lists)
        rows = rows[rows != own]
        # By distance, not by number: of rows that are equal, one is as good as another.
        near = row_distances(vectors, query, rows, distance) <= edge + 1e-6 * abs(edge)
        places.append(np.flatnonzero(near))
    return places


def _recall(places: list[NDArray[np.int64]], candidates: int) -> NDArray[np.float64]:
    """The share of the true ten among so many candidates, for each kind of probe."""
    found = np.array([min(K, int(np.searchsorted(at, candidates))) for at in places])
    shares: NDArray[np.float64] = found.reshape(len(TARGETS), -1).mean(axis=1) / K
    return shares


def _exact(vectors: Vectors, queries: Vectors, own: Rows, distance: Distance) -> Rows:
    """The nearest rows of each query, by blocks of a matrix product."""
    best_rows = np.empty((len(queries), 0), np.int64)
    best = np.empty((len(queries), 0), np.float32)
    for start in range(0, len(vectors), _BLOCK_ROWS):
        block = vectors[start : start + _BLOCK_ROWS]
        values = -(queries @ block.T)
        if distance == "l2":
            values = 2 * values + np.einsum("ij,ij->i", block, block)
        numbers = np.arange(start, start + len(block))
        values[own[:, None] == numbers] = np.inf
        values = np.concatenate([best, values], axis=1)
        rows = np.concatenate([best_rows, np.broadcast_to(numbers, (len(queries), len(block)))], axis=1)
        order = np.argpartition(values, K - 1, axis=1)[:, :K]
        best, best_rows = np.take_along_axis(values, order, 1), np.take_along_axis(rows, order, 1)
    return best_rows
