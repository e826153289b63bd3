"""When drift is confirmed: by the same finding on days that follow each other, or by one that is severe.

Belongs here: those two rules. Not here: what a finding must reach (see judging.py), what a confirmed drift stops (see
freeze.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from lakehouse.drift.finding import Finding
from lakehouse.drift.report import ConfirmedBy, DriftReport
from lakehouse.drift.rule_file import DriftRules


def confirmed(report: DriftReport, before: Sequence[DriftReport], rules: DriftRules) -> DriftReport:
    """The report with what is confirmed in it.

    Args:
        report: Of which nothing is said yet.
        before: Earlier reports of the kind, in any order; those without a verdict are passed over.
        rules: How many days, and what is severe.
    """
    if report.verdict != "drift":
        return report
    severe = {one.key for one in report.drifted if _is_severe(one, rules)}
    lasting = _lasting(report, before, rules)
    if not severe | lasting:
        return report
    by: ConfirmedBy = "both" if severe and lasting else "severe" if severe else "days"
    return replace(report, confirmed_by=by, confirmed=tuple(sorted(severe | lasting)))


def _lasting(report: DriftReport, before: Sequence[DriftReport], rules: DriftRules) -> set[str]:
    """Keys of what stands in so many reports that follow each other."""
    lasting = {one.key for one in report.drifted}
    day = report.day
    earlier_ones = _judged_before(report, before)[: rules.confirm_days - 1]
    if len(earlier_ones) < rules.confirm_days - 1:
        return set()
    for earlier in earlier_ones:
        # Under another baseline or other rules a finding of the same name is another finding.
        is_alike = (earlier.baseline_version, earlier.rules_version) == (report.baseline_version, report.rules_version)
        if not is_alike or day - earlier.day > timedelta(days=rules.within_days):
            return set()
        lasting &= {one.key for one in earlier.drifted}
        day = earlier.day
    return lasting


def _judged_before(report: DriftReport, before: Sequence[DriftReport]) -> list[DriftReport]:
    """Reports with a verdict of days before, the latest first."""
    judged = [one for one in before if one.verdict is not None and one.day < report.day]
    return sorted(judged, key=lambda one: one.day, reverse=True)


def _is_severe(one: Finding, rules: DriftRules) -> bool:
    return one.name in rules.at_once and abs(one.effect or 0.0) >= rules.effects[one.effect_name].severe
