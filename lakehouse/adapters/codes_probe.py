"""How wide a search over codes must be: measured against exact search on the corpus's own vectors.

Queries lie where no row does, so the probe asks for four kinds: rows of the corpus (without themselves), points between
two rows, points between eight, which are as far from every row as a short query is, and points anywhere in the cloud of
the corpus, which are off every topic of it.

Belongs here: probes, the exact answer to them, the width that is good enough. Not here: codes (see faiss_codes.py),
searching them (see codes_search.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lakehouse.adapters.codes_search import closeness_of, search_codes
from lakehouse.adapters.faiss_codes import Codes, SearchWidth
from lakehouse.adapters.faiss_kernels import nearest, row_distances
from lakehouse.adapters.short_vectors import ShortVectors, lengthened
from lakehouse.retrieval.row_batch import Distance

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]
K = 10
# Least share of the true ten nearest that is found, by kind of probe; probes off every topic may lose a little more.
TARGETS = np.array([0.99, 0.99, 0.99, 0.97])
_SEED = 11
_PROBES = 48  # of each kind
_CANDIDATES = (80, 100, 120, 150, 180, 220, 260, 300, 350, 400, 500, 600, 800, 1_200, 1_700, 2_400, 4_800)
_BETWEEN = 8
_BLOCK_ROWS = 16_384


@dataclass(frozen=True, slots=True)
class Probes:
    """Queries (m, d), kind after kind; the rows nearest to each (m, 10); the row that each is itself, or -1."""

    queries: Vectors
    truth: Rows
    own: Rows


def measure(codes: Codes, vectors: Vectors | ShortVectors) -> Codes:
    """The codes with the width that finds enough of the ten nearest for every kind of probe.

    Args:
        codes: Of all rows of `vectors`.
        vectors: (n, d), as they are compared.
    """
    probes = make_probes(vectors, codes.distance)
    candidates = _candidates(codes, vectors, probes)
    reach, gap = _margins(codes, vectors, probes)
    codes = replace(codes, width=SearchWidth(candidates, gap, reach, 0.0))
    found = [_found(codes, vectors, *probe) for probe in zip(probes.queries, probes.truth, probes.own, strict=True)]
    recall = _by_kind(found)[:-1].min()
    return replace(codes, width=replace(codes.width, recall=round(float(recall), 4)))


def make_probes(vectors: Vectors | ShortVectors, distance: Distance) -> Probes:
    """Probes of all kinds, answered exactly."""
    draw = np.random.default_rng(_SEED)
    rows = draw.integers(0, len(vectors), (_PROBES, _BETWEEN))
    some = lengthened(vectors[rows])
    flat = some.reshape(-1, some.shape[2])
    anywhere = flat.mean(axis=0) + flat.std(axis=0) * draw.standard_normal((_PROBES, flat.shape[1]))
    kinds = [some[:, 0], some[:, :2].mean(axis=1), some.mean(axis=1), anywhere]
    queries = np.concatenate(kinds).astype(np.float32)
    if distance == "cosine":
        lengths = np.linalg.norm(queries, axis=1, keepdims=True)
        queries /= np.where(lengths > 0, lengths, 1)
    own = np.concatenate([rows[:, 0], np.full(len(queries) - _PROBES, -1)])
    return Probes(queries, _exact(vectors, queries, own, distance), own)


def _candidates(codes: Codes, vectors: Vectors | ShortVectors, probes: Probes) -> int:
    """How many rows must be taken, in the order of the codes, so that the true ten are among them."""
    lists = np.arange(codes.lists)
    places = []
    for query, truth, own in zip(probes.queries, probes.truth, probes.own, strict=True):
        rows, _ = codes.scan(query, lists, _CANDIDATES[-1] + 1)
        rows = rows[rows != own]
        places.append(np.flatnonzero(_is_near(vectors, query, rows, truth, codes.distance)))
    for count in _CANDIDATES:
        found = [min(K, int(np.searchsorted(at, count))) for at in places]
        if (_by_kind(found) >= TARGETS).all():
            return count
    return _CANDIDATES[-1]


def _margins(codes: Codes, vectors: Vectors | ShortVectors, probes: Probes) -> tuple[float, float]:
    """How far behind the tenth result the centroid of a true row's list may be; and from that, behind the nearest."""
    behind, ahead = [], []
    for query, truth in zip(probes.queries, probes.truth, strict=True):
        scale = float(np.linalg.norm(query)) if codes.distance == "dot" else 1.0
        closeness = codes.closeness(query)
        tenth = closeness_of(float(row_distances(vectors, query, truth, codes.distance).max()), codes.distance)
        behind.append((tenth - closeness[codes.list_of(vectors[truth])]) / scale)
        ahead.append((float(closeness.max()) - tenth) / scale)
    kinds = np.array(behind).reshape(len(TARGETS), -1)
    # Of what a kind of probe may lose, half may be lost by the codes and half by skipping lists.
    shares = 1 - (1 - TARGETS) / 2
    reach = max(float(np.quantile(kind, share)) for kind, share in zip(kinds, shares, strict=True))
    near = np.array(ahead).reshape(len(TARGETS), -1)[:2]
    # This only affects the speed: too narrow costs some queries a second scan, too wide costs all queries more lists.
    return reach, max(0.0, float(np.median(near)) + reach)


def _found(codes: Codes, vectors: Vectors | ShortVectors, query: Vectors, truth: Rows, own: int) -> int:
    """How many of the true ten a search finds."""
    rows, distances = search_codes(codes, vectors, query, K + 1)
    rows, _ = nearest(rows[rows != own], distances[rows != own], K)
    return int(np.count_nonzero(_is_near(vectors, query, rows, truth, codes.distance)))


def _is_near(
    vectors: Vectors | ShortVectors, query: Vectors, rows: Rows, truth: Rows, distance: Distance
) -> NDArray[np.bool_]:
    """Which rows are as near as the true ones: by distance, since of equal rows one is as good as another."""
    edge = row_distances(vectors, query, truth, distance).max()
    near: NDArray[np.bool_] = row_distances(vectors, query, rows, distance) <= edge + 1e-6 * abs(edge)
    return near


def _by_kind(found: list[int]) -> NDArray[np.float64]:
    """The share of the true ten that was found, for each kind of probe."""
    shares: NDArray[np.float64] = np.array(found).reshape(len(TARGETS), -1).mean(axis=1) / K
    return shares


def _exact(vectors: Vectors | ShortVectors, queries: Vectors, own: Rows, distance: Distance) -> Rows:
    """The nearest rows of each query, by blocks of a matrix product."""
    best_rows = np.empty((len(queries), 0), np.int64)
    best = np.empty((len(queries), 0), np.float32)
    for start in range(0, len(vectors), _BLOCK_ROWS):
        block = lengthened(vectors[start : start + _BLOCK_ROWS])
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
