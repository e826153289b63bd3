"""The gates that compare samples, over all of a build: copies, twins, limits per task, splits, leakage.

Belongs here: their order, what is known of each sample in the end. Not here: the gates' rules (see
lakehouse/distillation), samples themselves (see distill_stage.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lakehouse.adapters.distill_stage import Stage
from lakehouse.distillation.clusters import entity_pairs, join_clusters
from lakehouse.distillation.leakage import held_out, refuse_twins
from lakehouse.distillation.parameters import CorpusParameters
from lakehouse.distillation.refusal import GATES, Gate
from lakehouse.distillation.splits import assign_splits, over_limit
from lakehouse.distillation.twins import drop_near, exact_copies

if TYPE_CHECKING:
    import numpy.typing as npt

CLUSTER_LIKENESS = 0.85
"""From this likeness on samples are of one cluster, where none is dropped for its likeness."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of each sample.

    Attributes:
        gates: Number of the gate that took it out, from 1; 0 where none did.
        twins: The sample that it was taken out for, a text from elsewhere (numbered behind the samples), or -1.
        likeness: To that one.
        splits: The split, whether it was taken out or not.
        clusters: The first sample of its cluster.
    """

    gates: npt.NDArray[np.uint8]
    twins: npt.NDArray[np.int64]
    likeness: npt.NDArray[np.float64]
    splits: npt.NDArray[np.uint8]
    clusters: npt.NDArray[np.int64]

    def gate_of(self, place: int) -> Gate | None:
        """The gate that took a sample out."""
        number = int(self.gates[place])
        return GATES[number - 1] if number else None


def judge(stage: Stage, parameters: CorpusParameters) -> Judgement:
    """Judge all samples of a build.

    Args:
        stage: Every sample, and behind them what is held out from elsewhere.
        parameters: The build's.
    """
    staged = stage.arrays()
    count = len(stage)
    is_kept = np.ones(count, dtype=np.bool_)
    gates = np.zeros(count, dtype=np.uint8)
    twins = np.full(count, -1, dtype=np.int64)
    likeness = np.zeros(count)

    first, is_torn = exact_copies(staged.exact, staged.forms, staged.labels)
    is_copy = is_torn | (first != np.arange(count))
    _drop(is_copy, "exact_duplicate", is_kept, gates)
    twins[is_copy & ~is_torn] = first[is_copy & ~is_torn]
    likeness[is_copy] = 1.0

    alike, how = _alike(stage, parameters, count)
    if parameters.near_duplicate is not None:
        dropped_for = drop_near(alike, is_kept, forms=staged.forms, labels=staged.labels)
        _mark(dropped_for, "near_duplicate", gates, twins)
        _note_likeness(likeness, dropped_for, alike, how, stage.signatures.count)
    if parameters.limit_per_task is not None:
        many = over_limit(staged.tasks, staged.forms, is_kept, parameters.limit_per_task)
        _drop(np.isin(np.arange(count), many), "task_limit", is_kept, gates)

    copies = np.stack([first, np.arange(count)], axis=1)
    joined = np.concatenate([alike, copies, entity_pairs(staged.owners, staged.entities)])
    clusters = join_clusters(count, joined)
    splits = assign_splits(clusters, staged.keys, parameters.seed, parameters.split_shares)
    _refuse_leaks(stage, parameters, splits, is_kept, Marks(gates, twins, likeness))
    return Judgement(gates, twins, likeness, splits, clusters)


@dataclass(frozen=True, slots=True)
class Marks:
    """Arrays that a gate writes into: its number, the twin, the likeness."""

    gates: npt.NDArray[np.uint8]
    twins: npt.NDArray[np.int64]
    likeness: npt.NDArray[np.float64]


def _alike(
    stage: Stage, parameters: CorpusParameters, count: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Pairs of samples that are so alike that they are of one cluster."""
    pairs, how = stage.signatures.alike(parameters.near_duplicate or CLUSTER_LIKENESS)
    are_samples = pairs[:, 1] < count  # what is held out from elsewhere stands behind them
    return pairs[are_samples], how[are_samples]


def _refuse_leaks(
    stage: Stage,
    parameters: CorpusParameters,
    splits: npt.NDArray[np.uint8],
    is_kept: npt.NDArray[np.bool_],
    marks: Marks,
) -> None:
    total, count = stage.signatures.count, len(stage)
    is_held = held_out(splits, is_kept, total - count)
    is_asked = np.concatenate([is_kept, np.zeros(total - count, dtype=np.bool_)]) & ~is_held
    if not is_held.any() or not is_asked.any():
        return
    pairs, how = stage.signatures.alike_held(parameters.leakage, is_held, is_asked)
    twin_of = refuse_twins(pairs, splits, is_kept)
    _mark(twin_of, "leakage", marks.gates, marks.twins)
    _note_likeness(marks.likeness, twin_of, pairs[:, ::-1], how, total)


def _drop(
    is_dropped: npt.NDArray[np.bool_], gate: Gate, is_kept: npt.NDArray[np.bool_], gates: npt.NDArray[np.uint8]
) -> None:
    gates[is_dropped] = GATES.index(gate) + 1
    is_kept[is_dropped] = False


def _mark(
    dropped_for: npt.NDArray[np.int64], gate: Gate, gates: npt.NDArray[np.uint8], twins: npt.NDArray[np.int64]
) -> None:
    is_dropped = dropped_for >= 0
    gates[is_dropped] = GATES.index(gate) + 1
    twins[is_dropped] = dropped_for[is_dropped]


def _note_likeness(
    likeness: npt.NDArray[np.float64],
    dropped_for: npt.NDArray[np.int64],
    pairs: npt.NDArray[np.int64],
    how: npt.NDArray[np.float64],
    total: int,
) -> None:
    """Write down how alike each dropped sample is to the one that it was dropped for."""
    places = np.flatnonzero(dropped_for >= 0)
    if not len(places):
        return
    codes = pairs[:, 0] * total + pairs[:, 1]
    order = np.argsort(codes)
    wanted = dropped_for[places] * total + places
    likeness[places] = how[order][np.searchsorted(codes[order], wanted)]
