"""What the commands on reviews print: progress on stderr, Markdown or JSON on stdout.

Belongs here: output. Not here: the report (see lakehouse/review/report.py), options (see review_commands.py).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from lakehouse.counted import counted

if TYPE_CHECKING:
    from lakehouse.adapters.review_run import SecondPass, ToReview
    from lakehouse.review.life import KeptFindings
    from lakehouse.review.panel import Answered
    from lakehouse.review.rates import Rate
    from lakehouse.review.review import Review


def print_bundles(asked: ToReview, *, as_json: bool) -> None:
    """The bundles that would be shown."""
    if as_json:
        rows = [
            {"number": one.number, "bytes": one.size, "paths": one.paths, "warning": one.warning}
            for one in asked.bundles
        ]
        typer.echo(json.dumps({"diff": asdict(asked.diff), "bundles": rows}, indent=2))
        return
    for one in asked.bundles:
        typer.echo(f"bundle {one.number}: {counted(one.size, 'byte')}, {', '.join(one.paths)}")
        if one.warning is not None:
            typer.echo(f"warning: {one.warning}", err=True)


def say_warnings(asked: ToReview, names: Sequence[str]) -> None:
    """What is about to be asked, and sizes that are a concern."""
    for one in asked.bundles:
        if one.warning is not None:
            typer.echo(f"warning: {one.warning}", err=True)
    typer.echo(f"bundles: {len(asked.bundles)}, reviewers: {len(names)}", err=True)


def say_answer(answered: Answered) -> None:
    """One answer as it comes."""
    heard = answered.heard
    what = (
        f"not engaged: {heard.why_not}"
        if heard.verdict is None
        else f"{heard.verdict}, {counted(len(heard.findings), 'finding')}"
    )
    typer.echo(f"bundle {heard.bundle}, {heard.reviewer}: {what}", err=True)


def print_review(review: Review, rates: Mapping[str, Rate], *, as_json: bool) -> None:
    """The review."""
    from lakehouse.review.report import review_markdown

    if as_json:
        typer.echo(json.dumps(review.to_document(), indent=2))
    else:
        typer.echo(review_markdown(review, rates=rates), nl=False)


def print_list(reviews: Sequence[KeptFindings], *, as_json: bool) -> None:
    """Reviews with their findings by state."""
    states = [dict(sorted(Counter(finding.state for finding in kept.findings).items())) for kept in reviews]
    if as_json:
        rows = [
            {"review_id": kept.review_id, "source": kept.source, "findings": of}
            for kept, of in zip(reviews, states, strict=True)
        ]
        typer.echo(json.dumps(rows, indent=2))
        return
    if not reviews:
        typer.echo("no review yet; `lakehouse review --diff HEAD --reviewers a,b,c` makes one", err=True)
    for kept, of in zip(reviews, states, strict=True):
        counts = ", ".join(f"{count} {state}" for state, count in of.items()) or "no findings"
        typer.echo(f"{kept.review_id}  {counts:<32} {kept.source}")


def print_second_pass(done: SecondPass, *, as_json: bool) -> None:
    """What a second pass said of each finding, and what changed."""
    if as_json:
        document = {
            "pass_id": done.pass_id,
            "review_id": done.findings.review_id,
            "judged": [asdict(one) for one in done.judged],
            "changed": done.changed,
            "not_engaged": dict(done.why_not),
            "findings": done.findings.to_document()["findings"],
        }
        typer.echo(json.dumps(document, indent=2))
        return
    for one in done.judged:
        typer.echo(f"finding {one.number}, {one.reviewer}: {one.state}: {one.why}")
    for name, why in done.why_not:
        typer.echo(f"{name} is not engaged: {why}")
    for finding in done.findings.findings:
        mark = " (changed)" if finding.number in done.changed else ""
        typer.echo(f"{finding.number}. {finding.state}{mark} {finding.severity} {finding.where}")
