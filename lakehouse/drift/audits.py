"""Drift of audits: the metrics of the latest audit against the baseline of audits.

Belongs here: comparing metrics. Not here: audits and their baselines (see lakehouse/audit), reading both (see
lakehouse/adapters/drift_audits.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from lakehouse.drift.finding import Finding


@dataclass(frozen=True, slots=True)
class AuditMetrics:
    """What an audit measured.

    Attributes:
        audit_id: The audit.
        metrics: Values by `<phase>.<name>`.
        better: Which way is better, by the same names.
        failed: Names of the phases that failed.
    """

    audit_id: str
    metrics: Mapping[str, float]
    better: Mapping[str, Literal["higher", "lower", "neither"]]
    failed: tuple[str, ...]


def compare_audit(now: AuditMetrics, baseline: Mapping[str, float]) -> list[Finding]:
    """The findings, not judged yet.

    Nothing is sampled: an audit measures the lake itself, and a metric that grew worse by a tenth did so. Metrics of
    which neither way is better, such as counts, are no findings.

    Args:
        now: The latest audit.
        baseline: Metrics of the baseline.
    """
    findings = [
        Finding(
            "", name, "worse_by", baseline=baseline[name], now=value, baseline_samples=1, samples=1,
            effect=worse_by(value, baseline[name], is_higher_better=now.better[name] == "higher"),
        )
        for name, value in sorted(now.metrics.items())
        if name in baseline and now.better.get(name, "neither") != "neither"
    ]  # fmt: skip
    findings.append(
        Finding(
            "", "phases", "failed_phase", baseline=0.0, now=float(len(now.failed)), baseline_samples=1, samples=1,
            effect=float(len(now.failed)), note=f"failed: {', '.join(now.failed)}" if now.failed else "",
        )
    )  # fmt: skip
    return findings


def worse_by(value: float, before: float, *, is_higher_better: bool) -> float:
    """By which part of the baseline a metric is worse; 0 where it is as good or better.

    A metric that was 0 is compared with 1, the step of a count and the whole of a share.
    """
    worse = before - value if is_higher_better else value - before
    return max(0.0, worse) / (abs(before) or 1.0)
