"""The report of a proof: a Markdown page by claim, and an assertion as a JSON line.

Belongs here: text. Not here: verdicts (see verdicts.py), files (see lakehouse/adapters/proof_files.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from lakehouse.counted import counted
from lakehouse.proof.claims import Mode
from lakehouse.proof.verdicts import Assertion, Outcome, Verdict

_MOST_REASON = 300


def to_document(assertion: Assertion, mode: Mode, claims: Sequence[str]) -> dict[str, Any]:
    """An assertion as its JSON line has it; `claims` are the ids of those that it is evidence for."""
    return {
        "mode": str(mode),
        "claims": list(claims),
        "evidence": assertion.evidence,
        "step": assertion.step,
        "assertion": assertion.words,
        "outcome": str(assertion.outcome),
        "detail": assertion.detail,
        "elapsed_ms": round(assertion.elapsed_ms, 3),
        "request": assertion.request,
        "response": assertion.response,
    }


def summary(verdicts: Sequence[Verdict]) -> str:
    """One line: how many of each."""
    counts = Counter(verdict.outcome for verdict in verdicts)
    return ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome)


def write_report(mode: Mode, where: str, verdicts: Sequence[Verdict]) -> str:
    """The page: totals, what failed and why, then every claim.

    Args:
        mode: What was run.
        where: The service it ran against.
        verdicts: In the order of the claims.
    """
    failed = [verdict for verdict in verdicts if verdict.outcome is Outcome.FAIL]
    lines = [f"# Proof: {mode}", "", f"{summary(verdicts)} of {counted(len(verdicts), 'claim')}, against {where}.", ""]
    if failed:
        lines += ["## What failed", ""]
        lines += [f"- **{verdict.claim.id}**: {_cell(verdict.reason)}" for verdict in failed]
        lines.append("")
    lines += ["## By claim", "", "| claim | verdict | assertions | statement | where it stands | remark |",
              "| --- | --- | --- | --- | --- | --- |"]  # fmt: skip
    for verdict in verdicts:
        claim = verdict.claim
        held = f"{verdict.passed} of {verdict.passed + verdict.failed}" if verdict.passed + verdict.failed else ""
        cells = (claim.id, str(verdict.outcome), held, claim.statement, claim.source, verdict.reason)
        lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    short = text if len(text) <= _MOST_REASON else f"{text[:_MOST_REASON]} …"
    return " ".join(short.split()).replace("|", "\\|")
