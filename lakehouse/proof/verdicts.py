"""Verdicts: what the assertions of a run say of each claim.

Belongs here: an assertion as a value, the verdict. Not here: how it is shown (see report.py).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from lakehouse.proof.cases import Case
from lakehouse.proof.claims import Claim, Mode, mode_of_test


class Outcome(StrEnum):
    """Of an assertion, and of a claim."""

    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Assertion:
    """One thing that was looked at.

    `evidence` is the name of a case or a test; `request` and `response` are None of tests.
    """

    evidence: str
    step: int
    words: str
    outcome: Outcome
    detail: str
    elapsed_ms: float
    request: Mapping[str, Any] | None = None
    response: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a run says of a claim, and why where it is not a plain pass."""

    claim: Claim
    outcome: Outcome
    passed: int
    failed: int
    reason: str


def evidence_of(claim: Claim, mode: Mode, cases: Mapping[str, Case]) -> list[str]:
    """Names of the cases and tests that show a claim in a mode; a case that does not exist belongs to every mode."""
    own = [name for name in claim.cases if name not in cases or cases[name].mode is mode]
    return own + [node for node in claim.tests if mode_of_test(node) is mode]


def judge(
    claims: Sequence[Claim], mode: Mode, cases: Mapping[str, Case], assertions: Iterable[Assertion]
) -> list[Verdict]:
    """A verdict for each claim.

    A claim with no evidence at all fails, and so does one whose evidence of this mode has left no assertion. One that
    other modes show is skipped, and one of whose evidence a part was skipped.
    """
    by_evidence: dict[str, list[Assertion]] = defaultdict(list)
    for assertion in assertions:
        by_evidence[assertion.evidence].append(assertion)
    return [_judge(claim, evidence_of(claim, mode, cases), by_evidence) for claim in claims]


def _judge(claim: Claim, names: Sequence[str], by_evidence: Mapping[str, Sequence[Assertion]]) -> Verdict:
    if not claim.has_evidence:
        return Verdict(claim, Outcome.FAIL, 0, 0, "no evidence: neither a case nor a test is named")
    if not names:
        return Verdict(claim, Outcome.SKIP, 0, 0, "shown in another mode")
    found = [one for name in names for one in by_evidence.get(name, ())]
    passed = sum(one.outcome is Outcome.PASS for one in found)
    wrong = [one for one in found if one.outcome is Outcome.FAIL]
    silent = [name for name in names if not by_evidence.get(name)]
    skipped = [one for one in found if one.outcome is Outcome.SKIP]
    if wrong:
        first = wrong[0]
        return Verdict(claim, Outcome.FAIL, passed, len(wrong), f"{first.evidence}: {first.words}: {first.detail}")
    if silent:
        return Verdict(claim, Outcome.FAIL, passed, 0, f"no evidence: {silent[0]} has shown nothing")
    if skipped:
        return Verdict(claim, Outcome.SKIP, passed, 0, f"{skipped[0].evidence}: {skipped[0].detail}")
    return Verdict(claim, Outcome.PASS, passed, 0, "")
