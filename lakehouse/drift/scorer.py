"""Drift of the scorer: the same runs, scored by the rules of today and by those of the baseline.

Each run has three scores: as the baseline kept it, by the baseline's rules over what is known today, and by the rules
of today over the same. The first two differ where a label was corrected, the last two where the rules were changed; so
the one is never taken for the other.

Belongs here: counting, the confusion matrix, the findings; `scorer_drift` is all of it for rows that a caller has. Not
here: scoring (see lakehouse/scoring), which runs (see lakehouse/adapters/drift_scores.py).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from lakehouse.counted import counted
from lakehouse.drift.finding import Finding
from lakehouse.drift.judging import Verdict, judge, verdict_of
from lakehouse.drift.rule_file import DriftRules, default_rules
from lakehouse.drift.two_samples import psi
from lakehouse.errors import BadInput
from lakehouse.tables.scored import SCORES, Score

_Z_95 = 1.959964


class Scored(NamedTuple):
    """The three scores of a run: kept by the baseline, by its rules today, by the rules of today."""

    kept: Score
    by_baseline_rules: Score
    by_rules: Score


@dataclass(frozen=True, slots=True)
class ScorerBaseline:
    """Scores that were kept, for `scorer_drift`.

    Attributes:
        rules_version: Version of the rules that gave them.
        scores: The score by run.
        evidence: What each run's score rested on then, by run: SHA-256 of its record, or anything that is another one
            when something new is known of the run.
    """

    rules_version: str
    scores: Mapping[str, Score]
    evidence: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ScorerResult:
    """What came of a comparison.

    Attributes:
        verdict: None: too few runs.
        findings: `verdicts` (moved by rules) and `distribution` (PSI of the scores).
        confusion: Rows by the baseline's rules, columns by the rules of today, in the order of `SCORES`.
        runs: Runs that both sides know.
        moved: Runs whose score the rules changed.
        corrected: Runs whose score changed because something else is known of them now.
        corrections: The same as a matrix: rows as kept, columns by the same rules today.
    """

    verdict: Verdict | None
    findings: tuple[Finding, ...]
    confusion: tuple[tuple[int, ...], ...]
    runs: int
    moved: int
    corrected: int
    corrections: tuple[tuple[int, ...], ...]


def scorer_drift(
    evidence: Iterable[Mapping[str, Any]],
    scored: Iterable[Mapping[str, Any]],
    baseline: ScorerBaseline,
    *,
    rules: DriftRules | None = None,
) -> ScorerResult:
    """Compare scored rows with a baseline.

    Args:
        evidence: Rows of what is known now: `run_id`, and `record_sha256` or `provenance.sha256`.
        scored: Rows of the scores of today: `run_id`, `score`. Where a row has `score_by_baseline_rules`, that tells
            corrections; else a run counts as corrected when its evidence is another than at the baseline.
        baseline: What was kept.
        rules: Level and floors; the platform's by default.

    Raises:
        BadInput: A row has no run id, or a score that is none.
    """
    known = {_text(row, "run_id"): _sha256(row) for row in evidence}
    counts: Counter[Scored] = Counter()
    for row in scored:
        run_id, score = _text(row, "run_id"), _score(row.get("score"))
        kept = baseline.scores.get(run_id)
        if kept is None:
            continue
        given = row.get("score_by_baseline_rules")
        is_same = known.get(run_id) == baseline.evidence.get(run_id)
        by_baseline = _score(given) if given is not None else (kept if is_same else score)
        counts[Scored(_score(kept), by_baseline, score)] += 1
    return judge_scores(counts, rules or default_rules())


def judge_scores(counts: Mapping[Scored, int], rules: DriftRules) -> ScorerResult:
    """Judge how often each combination of the three scores occurs.

    Args:
        counts: Runs by their three scores.
        rules: Level and floors.
    """
    confusion = _matrix(counts, lambda one: (one.by_baseline_rules, one.by_rules))
    corrections = _matrix(counts, lambda one: (one.kept, one.by_baseline_rules))
    runs = sum(counts.values())
    moved = runs - sum(confusion[place][place] for place in range(len(SCORES)))
    corrected = runs - sum(corrections[place][place] for place in range(len(SCORES)))
    findings = judge(_findings(confusion, runs, moved, corrected, rules), rules)
    verdict = verdict_of(findings)
    least = rules.effects["moved_share"].floor
    if verdict == "stable" and runs and corrected / runs >= least:
        verdict = "label_correction"
    return ScorerResult(verdict, findings, confusion, runs, moved, corrected, corrections)


def _findings(
    confusion: tuple[tuple[int, ...], ...], runs: int, moved: int, corrected: int, rules: DriftRules
) -> list[Finding]:
    least = rules.kinds["scorer"].least_samples
    if runs < least:
        note = f"{counted(runs, 'run')} of the baseline can be scored; {least} are needed"
        return [
            Finding(
                "", "verdicts", "moved_share", samples=runs, baseline_samples=runs, verdict="insufficient", note=note
            )
        ]
    note = (
        f"{corrected:,} of {counted(runs, 'run', 'has')} other labels than when the baseline was set"
        if corrected
        else ""
    )
    before = [sum(row) for row in confusion]
    now = [sum(row[place] for row in confusion) for place in range(len(SCORES))]
    return [
        Finding(
            "", "verdicts", "moved_share", baseline=0.0, now=moved / runs, baseline_samples=runs, samples=runs,
            effect=lower_end(moved, runs), note=note,
        ),
        Finding(
            "", "distribution", "psi", baseline=0.0, now=psi(before, now), baseline_samples=runs, samples=runs,
            effect=psi(before, now) if moved else 0.0,
        ),
    ]  # fmt: skip


def lower_end(count: int, of: int) -> float:
    """The lower end of the 95 % interval of a share.

    Source:
        Wilson 1927, Probable inference, the law of succession, and statistical inference.
    """
    share, square = count / of, _Z_95**2
    middle = share + square / (2 * of)
    spread = _Z_95 * math.sqrt(share * (1 - share) / of + square / (4 * of * of))
    return max(0.0, (middle - spread) / (1 + square / of)) if count else 0.0


def _matrix(counts: Mapping[Scored, int], of: Any) -> tuple[tuple[int, ...], ...]:
    cells: Counter[tuple[Score, Score]] = Counter()
    for one, count in counts.items():
        cells[of(one)] += count
    return tuple(tuple(cells[row, column] for column in SCORES) for row in SCORES)


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value:
        raise BadInput(f"a row has no {name}; each of evidence and scored rows needs one")
    return value


def _sha256(row: Mapping[str, Any]) -> str:
    own = row.get("record_sha256")
    place = row.get("provenance")
    return str(own if own is not None else place.get("sha256") if isinstance(place, Mapping) else "")


def _score(value: object) -> Score:
    for score in SCORES:
        if score == value:
            return score
    raise BadInput(f"{str(value)[:60]!r} is not a score; scores are {', '.join(SCORES)}")
