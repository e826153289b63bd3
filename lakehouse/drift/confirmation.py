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
    """Keys of what stands in so many reports that follow each other, of those that have measured it."""
    earlier = _judged_before(report, before)
    return {one.key for one in report.drifted if _is_lasting(one, report, earlier, rules)}


def _is_lasting(one: Finding, report: DriftReport, before: Sequence[DriftReport], rules: DriftRules) -> bool:
    # What only some reports measure, a phase of the weekly audit say, is not gone in those that do not.
    measured = [earlier for earlier in before if _has_measured(earlier, one)][: rules.confirm_days - 1]
    day, most = report.day, timedelta(days=rules.within_days_of(report.kind))
    for earlier in measured:
        # Under another baseline or other rules a finding of the same name is another finding.
        is_alike = (earlier.baseline_version, earlier.rules_version) == (report.baseline_version, report.rules_version)
        if not is_alike or day - earlier.day > most or one.key not in {other.key for other in earlier.drifted}:
            return False
        day = earlier.day
    return len(measured) == rules.confirm_days - 1


def _has_measured(report: DriftReport, one: Finding) -> bool:
    same = (other for other in report.findings if (other.group, other.name) == (one.group, one.name))
    return any(other.verdict not in {"insufficient", "notice"} for other in same)


def _judged_before(report: DriftReport, before: Sequence[DriftReport]) -> list[DriftReport]:
    """Reports with a verdict of days before, the latest first."""
    judged = [one for one in before if one.verdict is not None and one.day < report.day]
    return sorted(judged, key=lambda one: one.day, reverse=True)


def _is_severe(one: Finding, rules: DriftRules) -> bool:
    return one.name in rules.at_once and abs(one.effect or 0.0) >= rules.effects[one.effect_name].severe
