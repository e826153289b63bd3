"""Raw lines of the stream `reviews`: what reviewers said of bundles, of fixes, and what people said of findings.

A reviewer that is not engaged has no line: nothing that it did not say may pass for a judgement.

Belongs here: the fields of the lines. Not here: the envelope (see lakehouse/events/envelope.py), what evidence makes of
them (see lakehouse/evidence/transforms/reviews.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lakehouse.review.life import Change, KeptFinding
from lakehouse.review.panel import Said
from lakehouse.review.review import Review
from lakehouse.review.second_pass import Judged

_MOST_TEXT = 200_000


def lines_of(review: Review, *, about: str | None = None, actor: str | None = None) -> Iterator[dict[str, Any]]:
    """The lines of a review, one for each engaged reviewer and bundle.

    Args:
        review: The review.
        about: The run that made the diff, which the verdicts then are about; None: the diff itself.
        actor: Who had it made.
    """
    shown = {bundle.number: bundle.text() for bundle in review.bundles}
    for answered in review.answers:
        heard, said = answered.heard, answered.said
        if heard.verdict is None or said is None:
            continue
        notes = [f"{one.severity} {one.place}: {one.reason}" for one in heard.findings]
        yield {
            "run_id": f"review/{review.review_id}/{heard.bundle}/{answered.seat}",
            "actor": actor,
            "review_of": about or review.thing(heard.bundle),
            "by": heard.reviewer,
            "is_human": False,
            "verdict": heard.verdict,
            "notes": notes,
            "input": shown[heard.bundle][:_MOST_TEXT],
            # Beside a run, `output` would be what should have been answered in its place.
            **({} if about else {"output": said.content[:_MOST_TEXT]}),
            **_spent(said),
            "review_id": review.review_id,
            "bundle": heard.bundle,
            "thing": review.thing(heard.bundle),
        }


def finding_name(review_id: str, number: int) -> str:
    """What a finding is called where it is spoken of."""
    return f"review:{review_id}#{number}"


def line_of_change(review_id: str, finding: KeptFinding, change: Change, *, version: int) -> dict[str, Any]:
    """The line of a person's word on a finding: it held (fixed, deferred, open again), or it was wrong (dismissed)."""
    return {
        "run_id": f"review/{review_id}/finding/{finding.number}/{version}",
        "actor": change.by,
        "review_of": finding_name(review_id, finding.number),
        "by": change.by,
        "is_human": change.is_human,
        "verdict": "reject" if change.state == "dismissed" else "accept",
        "notes": [f"{change.state}: {change.why}"],
        "input": f"{finding.severity} {finding.where}: {finding.reason}",
        "state": change.state,
        "review_id": review_id,
    }


def lines_of_second_pass(
    review_id: str, pass_id: str, judged: Sequence[tuple[Judged, Said]], findings: Sequence[KeptFinding]
) -> Iterator[dict[str, Any]]:
    """The lines of a second pass: each model on each fix, accept where it is mended, reject where it is not.

    Args:
        review_id: The review whose findings were judged.
        pass_id: Of the pass.
        judged: What was said, with the answer it stands in.
        findings: Of the review.
    """
    known = {finding.number: finding for finding in findings}
    for one, said in judged:
        finding = known[one.number]
        yield {
            "run_id": f"review/{review_id}/pass/{pass_id}/{one.number}/{one.reviewer}",
            "review_of": f"{finding_name(review_id, one.number)}/fix",
            "by": one.reviewer,
            "is_human": False,
            "verdict": "accept" if one.state == "fixed" else "reject",
            "notes": [one.why],
            "input": f"{finding.severity} {finding.where}: {finding.reason}",
            "output": said.content[:_MOST_TEXT],
            "model": said.model,
            "provider": said.provider,
            "review_id": review_id,
        }


def _spent(said: Said) -> dict[str, Any]:
    return {
        "model": said.model,
        "provider": said.provider,
        "prompt_tokens": said.prompt_tokens,
        "completion_tokens": said.completion_tokens,
        "cost_usd": said.cost_usd,
        "latency_ms": said.latency_ms,
    }
