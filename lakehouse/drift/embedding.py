"""Drift of embeddings: vectors of a corpus now against a sample of the baseline.

Under one model the two samples are compared as they are (classifier two-sample test, shift of the centroid), and rows
of the same text must have the same vector. Under another model vectors cannot be compared, but who is near whom can:
the neighbours of the rows that both samples have.

Belongs here: the statistics. Not here: taking samples (see lakehouse/adapters/drift_vectors.py).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lakehouse.counted import counted
from lakehouse.drift.finding import Finding
from lakehouse.drift.rule_file import DriftRules
from lakehouse.drift.two_samples import Tested

Vectors = NDArray[np.float32]
Sided = tuple[Vectors, NDArray[np.bool_]]
"""Vectors, and which of them are learned from."""
MOST_ROWS = 2_000
"""So many rows of a corpus are sampled."""
_LEAST_ROWS = 200
"""So many are left of it where there are many corpora."""
_ALL_ROWS = 100_000
MOST_CORPORA = _ALL_ROWS // _LEAST_ROWS
"""So many corpora are looked at; a report names those beyond."""
_ITERATIONS = 1_000
_NEIGHBOURS = 10
_TEST = "classifier two-sample test (logistic regression, Mann-Whitney on rows it has not seen)"
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
            (Finding(corpus, "vectors", "cliffs_delta", None, None, was, is_, verdict="insufficient", note=note),),
            details,
        )
    if before.embedder != now.embedder or before.vectors.shape[1] != now.vectors.shape[1]:
        return _other_model(corpus, before, now, least, details)
    return _same_model(corpus, before, now, least, details)


def _same_model(corpus: str, before: Sample, now: Sample, least: int, details: dict[str, Any]) -> Compared:
    was, is_ = _unit(before.vectors), _unit(now.vectors)
    tested = classifier_test((was, _learned(before.texts)), (is_, _learned(now.texts)))
    shift = centroid_shift(was, is_)
    findings = [
        Finding(
            corpus, "vectors", "cliffs_delta", baseline=0.0, now=tested.effect, baseline_samples=len(was),
            samples=len(is_), effect=tested.effect, test=tested.test, p_value=tested.p_value,
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
    return Compared(
        tuple(findings), {**details, "separation": tested.effect, "centroid_shift": shift, "common": len(places)}
    )


def _other_model(corpus: str, before: Sample, now: Sample, least: int, details: dict[str, Any]) -> Compared:
    places, others = _common(before.ids, now.ids)
    said = f"the model was changed from {before.embedder} to {now.embedder}"
    size = len(places)
    if size < least:
        note = f"{said}; {counted(size, 'row', 'is')} in both samples, {least} are needed"
        found = Finding(
            corpus, "neighbours", "lost_neighbours", None, None, size, size, verdict="insufficient", note=note
        )
        return Compared((found,), {**details, "common": len(places)})
    overlap = neighbour_overlap(_unit(before.vectors[places]), _unit(now.vectors[others]))
    found = Finding(corpus, "neighbours", "lost_neighbours", 1.0, overlap, size, size, effect=1 - overlap, note=said)
    return Compared((found,), {**details, "common": len(places), "neighbour_overlap": overlap})


def rows_of(corpora: int) -> int:
    """How many rows of each of so many corpora are sampled, so that all together stay what they are for fifty."""
    return max(_LEAST_ROWS, min(MOST_ROWS, _ALL_ROWS // max(1, corpora)))


def classifier_test(before: Sided, now: Sided) -> Tested:
    """Whether two sets of vectors are of one distribution: whether one can learn to tell them apart.

    A logistic regression learns on some rows of both, and is asked for the rest. Where nothing differs, it ranks those
    of the one no higher than those of the other, whatever it has learned.

    Args:
        before: Unit vectors of the baseline, shape (n, d), and which of them are learned from, (n,).
        now: The same of now, (m, d) and (m,). A row that stands in both must be on one side in both.

    Returns:
        The one-sided Mann-Whitney test on the rows that were not learned from; the effect is Cliff's delta of their
        scores, 0 (nothing tells them apart) to 1 (everything does).

    Source:
        Lopez-Paz & Oquab 2017, Revisiting Classifier Two-Sample Tests; by ranks: Clémençon et al. 2009.
    """
    from scipy import stats
    from sklearn.linear_model import LogisticRegression

    (was, learn_was), (is_, learn_is) = before, now
    rows = np.concatenate([was[learn_was], is_[learn_is]]).astype(np.float64)
    sides = np.repeat([0, 1], [int(learn_was.sum()), int(learn_is.sum())])
    left, right = was[~learn_was], is_[~learn_is]
    if min(len(left), len(right)) == 0 or len(np.unique(sides)) < 2:  # less likely than 1 in 2**50 of fifty rows
        return Tested(_TEST, 1.0, 0.0)
    learned = LogisticRegression(class_weight="balanced", max_iter=_ITERATIONS).fit(rows, sides)
    old, new = (learned.decision_function(some.astype(np.float64)) for some in (left, right))
    done = stats.mannwhitneyu(new, old, alternative="greater", method="asymptotic")
    # The very same vectors on both sides: nothing was learned, and all scores are one.
    p_value = 1.0 if np.isnan(done.pvalue) else float(done.pvalue)
    return Tested(_TEST, p_value, max(0.0, 2 * float(done.statistic) / (len(old) * len(new)) - 1))


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
    made: Vectors = np.nan_to_num(vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    return made


def _learned(texts: tuple[str, ...]) -> NDArray[np.bool_]:
    """Which rows are learned from: about half, and the same text always on the same side."""
    sides = (hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=1).digest()[0] & 1 for text in texts)
    return np.fromiter(sides, np.bool_, len(texts))
