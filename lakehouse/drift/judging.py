"""Judging findings: which changes are drift, over all tests of a report together, and which come of corrected labels.

Belongs here: the verdict on each finding and on all. Not here: tests (see two_samples.py), confirmation (see
confirmation.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, TypeAlias

from lakehouse.drift.finding import Finding
from lakehouse.drift.rule_file import DriftRules
from lakehouse.drift.two_samples import holm

Verdict: TypeAlias = Literal["stable", "label_correction", "drift"]


def judge(findings: Sequence[Finding], rules: DriftRules) -> tuple[Finding, ...]:
    """Give each finding its verdict; one that is `insufficient` or a `notice` already stays so.

    Args:
        findings: All of one report: the more tests there are, the less each may find by chance.
        rules: Their level and floors.
    """
    open_ = [one for one in findings if one.verdict == "stable"]
    tested = [one for one in open_ if one.p_value is not None]
    adjusted = dict(zip(map(id, tested), holm([one.p_value or 0.0 for one in tested]), strict=True))
    return tuple(
        _judged(replace(one, p_adjusted=adjusted.get(id(one))), rules) if one.verdict == "stable" else one
        for one in findings
    )


def verdict_of(findings: Sequence[Finding]) -> Verdict | None:
    """The verdict on all; None: of none there are enough samples."""
    verdicts = {one.verdict for one in findings}
    if not verdicts - {"insufficient", "notice"}:
        return None
    return "drift" if "drift" in verdicts else "label_correction" if "label_correction" in verdicts else "stable"


def _judged(one: Finding, rules: DriftRules) -> Finding:
    floor = rules.effects[one.effect_name].floor
    if one.effect is None or abs(one.effect) < floor:
        return one
    if one.p_adjusted is not None and one.p_adjusted > rules.alpha:
        return one
    if one.first_effect is None or one.first_p_value is None:
        return replace(one, verdict="drift")
    # The same test on labels as they were first given: what is not there came with the corrections.
    same_way = one.first_effect * (one.effect or 0) > 0
    if same_way and abs(one.first_effect) >= floor and one.first_p_value <= rules.alpha:
        return replace(one, verdict="drift")
    return replace(one, verdict="label_correction", note=_CORRECTED if not one.note else f"{one.note}; {_CORRECTED}")


_CORRECTED = "labels were corrected afterwards: by those that were first given, nothing has changed"
