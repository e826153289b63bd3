"""Outcome, latency and cost by model version: runs now against runs of the baseline, metric by metric.

Belongs here: which metrics, how each is compared. Not here: which runs (see lakehouse/adapters/drift_run_facts.py),
judging (see judging.py), series (see series.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from lakehouse.drift.finding import Effect, Finding
from lakehouse.drift.two_samples import Numbers, test_numbers, test_shares
from lakehouse.drift.versions import pair_versions

SHARES = (
    "success",  # ground truth of the run: a person's word, else its reward or outcomes, one half and more
    "accepted",  # score `accepted`, among runs that have a score and need nobody to look at
    "refused",  # the answer gives up, or says nothing
    "failed",  # the call failed
)
NUMBERS = ("length", "latency_ms", "cost_usd")  # the length is in tokens, or in characters where too few told tokens
CHARACTERS = "characters"
"""How long answers are where tokens cannot be compared; no metric of its own."""
COLUMNS = (*SHARES[:1], "first_success", *SHARES[1:], *NUMBERS, CHARACTERS)
_IN_CHARACTERS = "in characters, for too few answers of one side have told tokens"


@dataclass(frozen=True, slots=True)
class Runs:
    """Runs of one model version, a column for each of `COLUMNS`.

    Attributes:
        columns: Of one length; shares are 0 or 1, what is not known is NaN. `first_success` is the label as it was
            first given, before anybody corrected it.
        rules_version: Versions of the rules that gave the scores.
    """

    columns: Mapping[str, Numbers]
    rules_version: str = ""

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.columns["success"])


def compare_versions(now: Mapping[str, Runs], baseline: Mapping[str, Runs], *, least_samples: int) -> list[Finding]:
    """Compare every version of now with what it is compared to.

    Args:
        now: Runs by model version.
        baseline: The same at the baseline; labels are those of today, so that a correction changes both sides.
        least_samples: Fewer of a metric, on either side, are not tested.

    Returns:
        Findings that are not judged yet; those without enough samples are `insufficient`.
    """
    counts = [{name: runs.count for name, runs in side.items()} for side in (now, baseline)]
    findings: list[Finding] = []
    for name, other in pair_versions(*counts).items():
        if other is None:
            note = "the baseline has no version of this model; set another one when it has run for a while"
            findings.append(
                Finding(name, "runs", "cohens_h", samples=now[name].count, verdict="insufficient", note=note)
            )
            continue
        findings += compare_runs(
            name, baseline[other], now[name], least_samples=least_samples, note=_against(name, other)
        )
    return findings


def compare_runs(group: str, before: Runs, now: Runs, *, least_samples: int, note: str = "") -> list[Finding]:
    """Compare two sets of runs, metric by metric; a metric that neither side knows is left out."""
    found = [_share(group, name, before, now, least=least_samples, note=note) for name in SHARES]
    found += [_number(group, name, before, now, least=least_samples, note=note) for name in NUMBERS]
    return [one for one in found if one is not None]


def _share(group: str, name: str, before: Runs, now: Runs, *, least: int, note: str) -> Finding | None:
    was, is_ = _known(before, name), _known(now, name)
    if not len(was) and not len(is_):
        return None
    one = _finding(group, name, "cohens_h", was, is_, note=note)
    if min(len(was), len(is_)) < least:
        return _insufficient(one, least)
    if name == "accepted" and before.rules_version != now.rules_version:
        said = f"scored by other rules ({before.rules_version} then, {now.rules_version} now); see drift of the scorer"
        return replace(one, verdict="insufficient", note=said)
    test, p_value, effect = test_shares(_counts(was), _counts(is_))
    one = replace(one, test=test, p_value=p_value, effect=effect)
    if name == "success":
        first_was, first_is = _known(before, "first_success"), _known(now, "first_success")
        if min(len(first_was), len(first_is)) >= least:
            _, first_p, first_effect = test_shares(_counts(first_was), _counts(first_is))
            one = replace(one, first_p_value=first_p, first_effect=first_effect)
    return one


def _number(group: str, name: str, before: Runs, now: Runs, *, least: int, note: str) -> Finding | None:
    was, is_ = _known(before, name), _known(now, name)
    if name == "length" and min(len(was), len(is_)) < least:
        # Of a provider that tells no tokens, or has begun or stopped to.
        said_then, said_now = _known(before, CHARACTERS), _known(now, CHARACTERS)
        if min(len(said_then), len(said_now)) >= least:
            was, is_, note = said_then, said_now, f"{note}; {_IN_CHARACTERS}" if note else _IN_CHARACTERS
    if not len(was) and not len(is_):
        return None
    one = _finding(group, name, "cliffs_delta", was, is_, note=note)
    if min(len(was), len(is_)) < least:
        return _insufficient(one, least)
    test, p_value, effect = test_numbers(was, is_)
    return replace(one, test=test, p_value=p_value, effect=effect)


def _finding(group: str, name: str, effect_name: Effect, was: Numbers, is_: Numbers, *, note: str) -> Finding:
    return Finding(
        group, name, effect_name,
        baseline=float(was.mean()) if len(was) else None, now=float(is_.mean()) if len(is_) else None,
        baseline_samples=len(was), samples=len(is_), note=note,
    )  # fmt: skip


def _insufficient(one: Finding, least: int) -> Finding:
    said = f"{one.baseline_samples} and {one.samples} samples; a test needs {least} on both sides"
    return replace(one, verdict="insufficient", note=said)


def _known(runs: Runs, name: str) -> Numbers:
    column = runs.columns[name]
    return column[np.isfinite(column)]


def _counts(values: Numbers) -> tuple[int, int]:
    return int((values >= 0.5).sum()), len(values)


def _against(name: str, other: str) -> str:
    return "" if name == other else f"compared with {other}, which the baseline has of this model"
