"""A review as Markdown, for people: the verdict, who was engaged, what they agree on, what was dropped.

Belongs here: the text. Not here: what is in it (see review.py, life.py, rates.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lakehouse.catalog.manifest import format_utc
from lakehouse.counted import counted
from lakehouse.review.convergence import Point
from lakehouse.review.life import KeptFindings
from lakehouse.review.rates import Rate
from lakehouse.review.review import Review, Seat

_VERDICTS = {
    None: "Not reviewed: on some part nobody is engaged, and silence is no approval.",
    "accept": "Accepted by every reviewer that is engaged.",
    "cycle": "To be mended and shown again.",
    "reject": "**Rejected.**",
}


def review_markdown(review: Review, *, rates: Mapping[str, Rate] | None = None) -> str:
    """The report of a review.

    Args:
        review: The review.
        rates: What is known of reviewers from reviews before.
    """
    return "\n".join(_review(review, rates or {})) + "\n"


def findings_markdown(kept: KeptFindings) -> str:
    """The findings of a review as they stand now, with their lives."""
    return "\n".join(_findings(kept)) + "\n"


def rates_markdown(rates: Sequence[Rate]) -> str:
    """How often reviewers are wrong."""
    lines = [
        "| reviewer | lineage | findings | open | fixed | dismissed | deferred | false positives |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for one in rates:
        numbers = " | ".join(str(n) for n in (one.findings, one.open, one.fixed, one.dismissed, one.deferred))
        lines.append(f"| {_plain(one.reviewer)} | {_plain(one.lineage)} | {numbers} | {_share(one)} |")
    return "\n".join(lines) + "\n"


def _review(review: Review, rates: Mapping[str, Rate]) -> Iterator[str]:
    diff, dropped = review.diff, review.dropped()
    yield f"# Review {review.review_id}"
    yield ""
    yield f"{_VERDICTS[review.verdict()]} {format_utc(review.created_at)}, {_code(diff.source)}:"
    yield f"files: {diff.files:,}, bytes: {diff.size:,}, bundles: {len(review.bundles)}."
    for bundle in review.bundles:
        if bundle.warning is not None:
            yield f"Warning: {_plain(bundle.warning)}"
    if review.unreviewed():
        yield f"Nobody is engaged on: bundle {', '.join(map(str, review.unreviewed()))}."
    if review.disputed():
        disputed = ", ".join(map(str, review.disputed()))
        yield f"Reviewers of different lineages contradict each other on: bundle {disputed}."
    yield ""
    yield "## Reviewers"
    yield ""
    yield "| reviewer | lineage | engaged on | verdict | findings | dropped | false positives before |"
    yield "| --- | --- | --- | --- | ---: | ---: | ---: |"
    for seat in review.seats():
        yield _seat(seat, rates.get(seat.reviewer))
    for seat in review.seats():
        for bundle_number, why in seat.why_not:
            yield ""
            yield f"{_code(seat.reviewer)} is not engaged on bundle {bundle_number}: {_plain(why)}."
    for title, points in (
        ("Converged: several lineages name it", [p for p in review.points if p.is_converged]),
        ("Named by one lineage", [p for p in review.points if not p.is_converged]),
    ):
        yield from _points(title, points)
    yield ""
    yield (
        f"Dropped: {dropped.outside} at places that are not in the diff, {dropped.withdrawn} taken back by their own"
        f" reviewer, {dropped.duplicate} said twice, {dropped.malformed} incomplete."
    )


def _seat(seat: Seat, rate: Rate | None) -> str:
    verdict: str = "not engaged" if seat.verdict is None else seat.verdict
    if seat.verdict == "accept" and not seat.is_approval:
        verdict = "no approval: not engaged on all"
    d = seat.dropped
    dropped = d.outside + d.withdrawn + d.duplicate + d.malformed
    before = "" if rate is None else _share(rate)
    return (
        f"| {_plain(seat.reviewer)} | {_plain(seat.lineage)} | {seat.engaged} of {seat.bundles} | {verdict}"
        f" | {seat.findings} | {dropped} | {before} |"
    )


def _points(title: str, points: Sequence[Point]) -> Iterator[str]:
    if not points:
        return
    yield ""
    yield f"## {title}"
    for point in points:
        yield ""
        yield f"### {point.severity} {_code(str(point.place))}"
        yield ""
        for finding in point.findings:
            where = f"{_code(str(finding.place))}, {_code(finding.reviewer)}"
            yield f"- {finding.severity} {where}: {_plain(finding.reason)}"


def _findings(kept: KeptFindings) -> Iterator[str]:
    yield f"# Findings of review {kept.review_id}"
    yield ""
    yield f"{_code(kept.source)}, {counted(len(kept.findings), 'finding')}."
    for one in kept.findings:
        yield ""
        where = f"{_code(one.where)}, {_code(one.reviewer)}"
        yield f"{one.number}. **{one.state}** {one.severity} {where}: {_plain(one.reason)}"
        for change in one.history:
            yield f"   - {change.at} {change.state} by {_plain(change.by)}: {_plain(change.why)}"


def _share(rate: Rate) -> str:
    if rate.false_positive_rate is None:
        return "none decided"
    decided = rate.fixed + rate.dismissed + rate.deferred
    return f"{rate.dismissed} of {decided} ({rate.false_positive_rate:.0%})"


def _plain(text: str) -> str:
    """A text of somebody's in one line, that makes no markup of its own."""
    flat = " ".join(text.split())
    return flat.replace("\\", "\\\\").replace("<", "&lt;").replace("|", "\\|").replace("[", "\\[").replace("![", "!\\[")


def _code(text: str) -> str:
    flat = " ".join(text.split()).replace("|", "\\|")
    return f"`` {flat} ``" if "`" in flat else f"`{flat}`"
