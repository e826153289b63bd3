"""Drift of the playbook: how often it moves a search, what it gains over the hold-out arm, how much of it is stale.

Belongs here: the three numbers and their comparison. Not here: counting (see lakehouse/adapters/drift_playbook.py),
how a playbook works (see lakehouse/retrieval/playbook.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lakehouse.drift.finding import Finding
from lakehouse.drift.rule_file import DriftRules
from lakehouse.drift.two_samples import test_gains, test_shares

ARM, HOLD_OUT = "playbook", "holdout"


@dataclass(frozen=True, slots=True)
class PlaybookCounts:
    """What was counted over some days.

    Attributes:
        searches: Searches of the playbook arm.
        moved: Those of them in which an entry moved a result.
        judged: Answers of the playbook arm that have an outcome.
        succeeded: Those of them that did well, by the latest word.
        first_succeeded: The same by the first word.
        held_judged: Answers of the hold-out arm that have an outcome.
        held_succeeded: Those of them that did well.
        held_first_succeeded: The same by the first word.
        entries: Entries of the playbook at the end.
        stale: Those of them that nobody has judged for long.
    """

    searches: int = 0
    moved: int = 0
    judged: int = 0
    succeeded: int = 0
    first_succeeded: int = 0
    held_judged: int = 0
    held_succeeded: int = 0
    held_first_succeeded: int = 0
    entries: int = 0
    stale: int = 0

    def to_document(self) -> dict[str, int]:
        """The JSON object."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> PlaybookCounts:
        """Stored counts."""
        return cls(**{name: int(value) for name, value in document.items()})

    @property
    def lift(self) -> float | None:
        """By how much the share of successes is larger than in the hold-out arm."""
        if not self.judged or not self.held_judged:
            return None
        return self.succeeded / self.judged - self.held_succeeded / self.held_judged


def compare_counts(before: PlaybookCounts, now: PlaybookCounts, rules: DriftRules) -> list[Finding]:
    """The findings, not judged yet."""
    least = rules.kinds["playbook"].least_samples
    return [
        _share("hit_rate", (before.moved, before.searches), (now.moved, now.searches), least),
        _lift(before, now, least),
        _share("stale_share", (before.stale, before.entries), (now.stale, now.entries), least),
    ]


def _share(name: str, before: tuple[int, int], now: tuple[int, int], least: int) -> Finding:
    (was, of_before), (is_, of_now) = before, now
    values = (was / of_before if of_before else None, is_ / of_now if of_now else None)
    if min(of_before, of_now) < least:
        return _insufficient(name, values, of_before, of_now, least)
    test, p_value, effect = test_shares(before, now)
    return Finding(
        "", name, "cohens_h", baseline=values[0], now=values[1], baseline_samples=of_before, samples=of_now,
        effect=effect, test=test, p_value=p_value,
    )  # fmt: skip


def _lift(before: PlaybookCounts, now: PlaybookCounts, least: int) -> Finding:
    fewest = [min(one.judged, one.held_judged) for one in (before, now)]
    if min(fewest) < least:
        return _insufficient("lift", (before.lift, now.lift), fewest[0], fewest[1], least)
    test, p_value, effect = test_gains(
        ((before.succeeded, before.judged), (before.held_succeeded, before.held_judged)),
        ((now.succeeded, now.judged), (now.held_succeeded, now.held_judged)),
    )
    _, first_p, first_effect = test_gains(
        ((before.first_succeeded, before.judged), (before.held_first_succeeded, before.held_judged)),
        ((now.first_succeeded, now.judged), (now.held_first_succeeded, now.held_judged)),
    )
    return Finding(
        "", "lift", "cohens_h", baseline=before.lift, now=now.lift, baseline_samples=fewest[0], samples=fewest[1],
        effect=effect, test=test, p_value=p_value, first_p_value=first_p, first_effect=first_effect,
    )  # fmt: skip


def _insufficient(
    name: str, values: tuple[float | None, float | None], of_before: int, of_now: int, least: int
) -> Finding:
    note = f"{of_before} and {of_now} samples; a test needs {least} on both sides"
    if name == "lift":
        note = f"outcomes of the arm that has fewer: {note}"
    return Finding(
        "", name, "cohens_h", baseline=values[0], now=values[1], baseline_samples=of_before, samples=of_now,
        verdict="insufficient", note=note,
    )  # fmt: skip
