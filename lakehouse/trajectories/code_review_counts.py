"""Published counts of Code Review Bench held against the lists that they are of.

For each (pull request, tool): `tp`, `fp` and `fn` against the lists' lengths; `total_golden` against the golden
comments that people wrote; `total_candidates` against the candidates that are published; `precision` against the share
of candidates that the lists show as matched, `recall` against the share of golden comments.

Belongs here: what is counted, and how. Not here: verdicts (see published.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lakehouse.trajectories.code_review_bench import Held, hold
from lakehouse.trajectories.elements import Element, parse, read_members
from lakehouse.trajectories.published import Finding, judge
from lakehouse.trajectories.run import OpenFile, Plan, Unusable

_DECIMALS = 9


def check(plan: Plan, open_file: OpenFile) -> Iterator[Finding]:
    """Hold every evaluation of a plan against its lists."""
    for job in plan.jobs:
        held = hold(job, open_file)
        with open_file(job.name) as stream:
            for element in read_members(stream):
                yield from _of_pull_request(element, held) if isinstance(element, Element) else ()


def compare(evaluation: Mapping[str, Any], *, tool: str, pull_request: str, held: Held) -> Iterator[Finding]:
    """The findings of one evaluation."""
    matched, unmatched, missed = (
        evaluation.get(name) or [] for name in ("true_positives", "false_positives", "false_negatives")
    )
    of_tools = held.candidates.get(pull_request)
    candidates = of_tools.get(tool) if isinstance(of_tools, dict) else None
    comments = (held.golden.get(pull_request) or {}).get("comments")
    shown = len({m.get("matched_candidate") for m in matched if isinstance(m, dict)})
    listed = shown + len(unmatched)
    golden = len(matched) + len(missed)
    rows: dict[str, float | None] = {
        "tp": len(matched),
        "fp": len(unmatched),
        "fn": len(missed),
        "total_golden": None if comments is None else len(comments),
        "total_candidates": None if candidates is None else len(candidates),
        "precision": shown / listed if listed else 0.0,
        "recall": len(matched) / golden if golden else 0.0,
    }
    for field, recomputed in rows.items():
        published = evaluation.get(field)
        if isinstance(published, int | float) and not isinstance(published, bool):
            yield judge((tool, pull_request, field), published, recomputed, least_decimals=_DECIMALS)


def _of_pull_request(element: Element, held: Held) -> Iterator[Finding]:
    try:
        tools = parse(element.raw)
    except Unusable:
        return
    for tool, evaluation in tools.items() if isinstance(tools, dict) else ():
        if isinstance(evaluation, dict):
            yield from compare(evaluation, tool=tool, pull_request=element.name, held=held)
