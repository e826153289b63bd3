"""The commands `review …`: a diff before models of several lineages, and what becomes of their findings.

Belongs here: options, exit codes. Not here: the work (see lakehouse/adapters/review_run.py), the rules (see
lakehouse/review), what is printed (see review_tables.py).
"""

from __future__ import annotations

import getpass
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse_cli.not_run import EXIT_NOT_RUN
from lakehouse_cli.process_commands import JsonOption
from lakehouse_cli.review_parts import ReviewParts

if TYPE_CHECKING:
    from lakehouse.adapters.review_chat import ReviewChat
    from lakehouse.adapters.review_run import Reviews, SecondPass, ToReview
    from lakehouse.review.review import Review

_REJECTED = 1
_KB = 1000
ReviewArgument = Annotated[str, typer.Argument(metavar="REVIEW", help="The review's id.")]
DiffOption = Annotated[
    str, typer.Option("--diff", metavar="FILE|REV", help="A file with a unified diff, a commit, or a range a..b.")
]
ReviewersOption = Annotated[
    str, typer.Option("--reviewers", "-r", help="Models, with commas; default: LAKEHOUSE_REVIEW_REVIEWERS.")
]
BundleOption = Annotated[int, typer.Option("--bundle-kb", min=1, max=100, help="Largest bundle of several files.")]
SplitOption = Annotated[bool, typer.Option("--split", help="Cut files that are larger between their hunks.")]
ForceOption = Annotated[bool, typer.Option("--force-oversize", help="Show bundles of more than 100 KB, too.")]
ByOption = Annotated[str, typer.Option("--by", help="Who says so; default: your name on this machine.")]

review = typer.Typer(help="Review a diff by models of several lineages.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(review, name="review", invoke_without_command=True, callback=review_diff)


def review_diff(  # noqa: PLR0917 - Typer passes all by name
    context: typer.Context,
    diff: DiffOption = "",
    reviewers: ReviewersOption = "",
    about: Annotated[str, typer.Option("--about", metavar="RUN", help="The run that made the diff.")] = "",
    bundle_kb: BundleOption = 60,
    split: SplitOption = False,
    force_oversize: ForceOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the bundles and ask nobody.")] = False,
    by: ByOption = "",
    as_json: JsonOption = False,
) -> None:
    """Review a diff by models of several lineages: lakehouse review --diff HEAD --reviewers a,b,c.

    Exit code 1: it is rejected or sent back; 3: on a part of it nobody is engaged.
    """
    if context.invoked_subcommand is not None:
        return
    if not diff:
        raise typer.BadParameter("name the diff", param_hint="--diff")
    from lakehouse_cli.review_tables import print_bundles, print_review, say_answer, say_warnings

    asked = _read(diff, bundle_kb, is_split=split, is_forced=force_oversize)
    if dry_run:
        print_bundles(asked, as_json=as_json)
        return
    parts = ReviewParts()
    names, actor = parts.names(reviewers), by or getpass.getuser()
    say_warnings(asked, names)

    async def work(reviews: Reviews, chat: ReviewChat) -> Review:
        settings = parts.settings
        return await reviews.review(
            asked, names, chat,
            max_tokens=settings.review_max_tokens, at_once=settings.review_at_once, actor=actor, about=about or None,
            on_answer=say_answer,
        )  # fmt: skip

    rates = {rate.reviewer: rate for rate in parts.store.rates()}  # first: a store that is away costs no review
    made = parts.ask(names, work, actor=actor)
    print_review(made, rates, as_json=as_json)
    typer.echo(f"kept as {parts.store.keep(made, rates)}", err=True)
    if made.verdict() is None:
        raise typer.Exit(EXIT_NOT_RUN)
    if made.verdict() != "accept":
        raise typer.Exit(_REJECTED)


@review.command("list")
def list_reviews(as_json: JsonOption = False) -> None:
    """List the reviews, newest first, with their findings by state."""
    from lakehouse_cli.review_tables import print_list

    print_list(list(ReviewParts().store.all_findings())[::-1], as_json=as_json)


@review.command("show")
def show_review(
    review_id: ReviewArgument,
    report: Annotated[bool, typer.Option("--report", help="As JSON, the review as it was made.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the findings of a review as they stand now, with their lives."""
    from lakehouse.review.report import findings_markdown

    store = ReviewParts().store
    if report:
        typer.echo(json.dumps(store.report(review_id), indent=2))
        return
    kept = store.findings(review_id)
    typer.echo(json.dumps(kept.to_document(), indent=2) if as_json else findings_markdown(kept), nl=as_json)


@review.command("set")
def set_state(  # noqa: PLR0917 - Typer passes all by name
    review_id: ReviewArgument,
    number: Annotated[int, typer.Argument(help="The finding's number.")],
    state: Annotated[str, typer.Argument(help="open, fixed, dismissed (it was wrong) or deferred.")],
    why: Annotated[str, typer.Option(help="Why; kept with the finding.")],
    by: ByOption = "",
    as_json: JsonOption = False,
) -> None:
    """Say what became of a finding."""
    parts = ReviewParts()
    with parts.reviews() as reviews:
        kept = reviews.change(review_id, number, state, by=by or getpass.getuser(), why=why)
    parts.store.rates()
    finding = kept.of(number)
    if as_json:
        typer.echo(json.dumps({"review_id": review_id, **asdict(finding)}, indent=2))
        return
    typer.echo(f"finding {number} is {finding.state}")


@review.command("second-pass")
def second_pass(  # noqa: PLR0917 - Typer passes all by name
    review_id: ReviewArgument,
    diff: DiffOption,
    reviewers: ReviewersOption = "",
    bundle_kb: BundleOption = 60,
    split: SplitOption = False,
    force_oversize: ForceOption = False,
    by: ByOption = "",
    as_json: JsonOption = False,
) -> None:
    """Have the fix of a review's findings judged by models of other lineages than those that raised them.

    Exit code 1: a finding is still open; 3: no model judged any of them.
    """
    from lakehouse_cli.review_tables import print_second_pass

    fix = _read(diff, bundle_kb, is_split=split, is_forced=force_oversize)
    parts = ReviewParts()
    names = parts.names(reviewers)

    async def work(reviews: Reviews, chat: ReviewChat) -> SecondPass:
        return await reviews.second_pass(review_id, fix, names, chat, max_tokens=parts.settings.review_max_tokens)

    done = parts.ask(names, work, actor=by or getpass.getuser())
    parts.store.rates()
    print_second_pass(done, as_json=as_json)
    if not done.judged:
        raise typer.Exit(EXIT_NOT_RUN)
    if any(finding.state == "open" for finding in done.findings.findings):
        raise typer.Exit(_REJECTED)


@review.command("rates")
def show_rates(as_json: JsonOption = False) -> None:
    """Say how often each reviewer was wrong: the share of its decided findings that was dismissed."""
    from lakehouse.review.rates import rates_document
    from lakehouse.review.report import rates_markdown

    rates = ReviewParts().store.rates()
    typer.echo(json.dumps(rates_document(rates), indent=2) if as_json else rates_markdown(rates), nl=as_json)


def _read(source: str, bundle_kb: int, *, is_split: bool, is_forced: bool) -> ToReview:
    from lakehouse.adapters.review_diff import read_diff
    from lakehouse.adapters.review_run import Cut, ToReview

    return ToReview.of(read_diff(source), source, Cut(bundle_kb * _KB, is_split, is_forced))
