"""Drift of embeddings: vectors of a corpus now against a sample of the baseline.

Under one model the two samples are compared as they are (kernel two-sample test, shift of the centroid), and rows of
the same text must have the same vector. Under another model vectors cannot be compared, but who is near whom can: the
neighbours of the rows that both samples have.

Belongs here: the statistics. Not here: taking samples (see lakehouse/adapters/drift_vectors.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lakehouse.drift.finding import Finding
from lakehouse.drift.rule_file import DriftRules

Vectors = NDArray[np.float32]
Numbers = NDArray[np.float64]
MOST_ROWS = 2_000
"""So many rows of a corpus are sampled."""
MOST_CORPORA = 50
"""So many corpora are looked at."""
_TESTED = 500
"""So many of each sample go into the test, whose work grows with their square."""
_PERMUTATIONS = 999
_FEW = 3
"""Where fewer permutations are as far apart, more are tried: a p-value of 1/1000 is too coarse among many corpora."""
_MORE = 10
_NEIGHBOURS = 10
_SAME = 1e-3
"""Cosine distance up to which two vectors are the same but for rounding."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows of a corpus.

    Attributes:
        embedder: The model of the vectors.
        ids: Of the rows, unique.
        texts: What stands for the text of each row, equal where the text and the model are.
        vectors: float32, shape (rows, dimension).
    """

    embedder: str
    ids: tuple[str, ...]
    texts: tuple[str, ...]
    vectors: Vectors


@dataclass(frozen=True, slots=True)
class Compared:
    """Findings of a corpus, not judged yet, and numbers for its report."""

    findings: tuple[Finding, ...]
    details: dict[str, Any]


def compare_samples(corpus: str, before: Sample, now: Sample, rules: DriftRules) -> Compared:
    """Compare two samples of a corpus."""
    least = rules.kinds["embedding"].least_samples
    was, is_ = len(before.ids), len(now.ids)
    details: dict[str, Any] = {
        "embedder": now.embedder, "baseline_embedder": before.embedder, "baseline_samples": was, "samples": is_,
    }  # fmt: skip
    if min(was, is_) < least:
        note = f"{len(before.ids)} and {len(now.ids)} rows; a test needs {least} on both sides"
        return Compared(
            (Finding(corpus, "vectors", "mmd", None, None, was, is_, verdict="insufficient", note=note),), details
        )
    if before.embedder != now.embedder or before.vectors.shape[1] != now.vectors.shape[1]:
        return _other_model(corpus, before, now, least, details)
    return _same_model(corpus, before, now, least, details)


def _same_model(corpus: str, before: Sample, now: Sample, least: int, details: dict[str, Any]) -> Compared:
    was, is_ = _unit(before.vectors), _unit(now.vectors)
    seed = _seed(corpus)
    statistic, p_value = mmd_test(_some(was, seed), _some(is_, seed + 1), seed=seed)
    shift = centroid_shift(was, is_)
    findings = [
        Finding(
            corpus, "vectors", "mmd", baseline=0.0, now=statistic, baseline_samples=len(was), samples=len(is_),
            effect=statistic,
            test="kernel two-sample test (MMD, permutations)", p_value=p_value,
            note=f"the centroid moved by a cosine distance of {shift:.4f}",
        )
    ]  # fmt: skip
    places, others = _common(before.texts, now.texts)
    if len(places) >= least:
        far = 1 - (was[places] * is_[others]).sum(axis=1) > _SAME
        moved = float(far.mean())
        findings.append(
            Finding(
                corpus, "revectored", "revectored_share", baseline=0.0, now=moved, baseline_samples=len(places),
                samples=len(places), effect=moved, note="of the rows of the same text under the same model",
            )
        )  # fmt: skip
    return Compared(tuple(findings), {**details, "mmd": statistic, "centroid_shift": shift, "common": len(places)})


def _other_model(corpus: str, before: Sample, now: Sample, least: int, details: dict[str, Any]) -> Compared:
    places, others = _common(before.ids, now.ids)
    said = f"the model was changed from {before.embedder} to {now.embedder}"
    size = len(places)
    if size < least:
        note = f"{said}; {size} rows are in both samples, {least} are needed"
        found = Finding(
            corpus, "neighbours", "lost_neighbours", None, None, size, size, verdict="insufficient", note=note
        )
        return Compared((found,), {**details, "common": len(places)})
    overlap = neighbour_overlap(_unit(before.vectors[places]), _unit(now.vectors[others]))
    found = Finding(corpus, "neighbours", "lost_neighbours", 1.0, overlap, size, size, effect=1 - overlap, note=said)
    return Compared((found,), {**details, "common": len(places), "neighbour_overlap": overlap})


def mmd_test(before: Vectors, now: Vectors, *, seed: int, permutations: int = _PERMUTATIONS) -> tuple[float, float]:
    """Whether two sets of vectors are of one distribution.

    Args:
        before: Shape (n, d).
        now: Shape (m, d).
        seed: Of the permutations.
        permutations: How many at first; of those that find next to nothing as far apart, ten times as many.

    Returns:
        The unbiased squared MMD over the mean kernel within the samples, so that 1 means that nothing is alike, and
        the p-value. The kernel is Gaussian, its width the median distance.

    Source:
        Gretton et al. 2012, A Kernel Two-Sample Test, Journal of Machine Learning Research 13.
    """
    both = np.concatenate([before, now]).astype(np.float64)
    squares = (both * both).sum(axis=1)
    distances = np.maximum(0.0, squares[:, None] + squares[None, :] - 2 * both @ both.T)
    width = float(np.median(distances[np.triu_indices(len(both), 1)])) or 1.0
    kernel = np.exp(-distances / width)
    np.fill_diagonal(kernel, 0.0)
    count, other = len(before), len(now)
    generator = np.random.default_rng(seed)
    truth = np.zeros((len(both), 1))
    truth[:count] = 1
    found, means = _discrepancies(kernel, truth, count, other)
    as_far, tried = 0, 0
    while tried < permutations or (as_far < _FEW and tried < _MORE * permutations):
        # Each column says which rows are of the first sample.
        sides = np.zeros((len(both), permutations))
        for column in range(permutations):
            sides[generator.permutation(len(both))[:count], column] = 1
        as_far += int((_discrepancies(kernel, sides, count, other)[0] >= found[0] - 1e-12).sum())
        tried += permutations
    p_value = (as_far + 1) / (tried + 1)
    return float(max(0.0, found[0]) / max(means[0], 1e-12)), p_value


def _discrepancies(kernel: Numbers, sides: Numbers, count: int, other: int) -> tuple[Numbers, Numbers]:
    """The squared MMD of each division into two samples, and the mean kernel within them."""
    products = kernel @ sides
    within = (sides * products).sum(axis=0)
    across = products.sum(axis=0) - within
    outside = kernel.sum() - within - 2 * across
    means = within / (count * (count - 1)) + outside / (other * (other - 1))
    return means - 2 * across / (count * other), means


def centroid_shift(before: Vectors, now: Vectors) -> float:
    """The cosine distance between the means of two samples of unit vectors; 0 to 2."""
    was, is_ = before.mean(axis=0), now.mean(axis=0)
    lengths = float(np.linalg.norm(was) * np.linalg.norm(is_))
    return float(1 - was @ is_ / lengths) if lengths else 0.0


def neighbour_overlap(before: Vectors, now: Vectors, *, count: int = _NEIGHBOURS) -> float:
    """The mean share of each row's nearest rows that are the same under two models.

    Args:
        before: Unit vectors, shape (n, d).
        now: The same rows under another model, shape (n, e).
        count: How many neighbours.
    """
    most = min(count, len(before) - 1)
    near = []
    for vectors in (before, now):
        likeness = vectors @ vectors.T
        np.fill_diagonal(likeness, -np.inf)
        near.append(np.argpartition(-likeness, most - 1, axis=1)[:, :most])
    shared = [len(np.intersect1d(was, is_, assume_unique=True)) for was, is_ in zip(near[0], near[1], strict=True)]
    return float(np.mean(shared) / most)


def _common(before: tuple[str, ...], now: tuple[str, ...]) -> tuple[list[int], list[int]]:
    """Places of what stands in both, once each."""
    known = {name: place for place, name in enumerate(before)}
    pairs = {known[name]: place for place, name in enumerate(now) if name in known}
    return list(pairs), list(pairs.values())


def _unit(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    made: Vectors = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    return made


def _some(vectors: Vectors, seed: int) -> Vectors:
    """So many of the rows at random, for those of a sample are in the order of their ids."""
    return vectors[np.random.default_rng(seed).permutation(len(vectors))[:_TESTED]]


def _seed(corpus: str) -> int:
    return int.from_bytes(corpus.encode()[:8].ljust(8, b"\0"), "big")
