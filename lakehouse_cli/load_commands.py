"""The command `load`: the load mix against a running API, with every answer checked.

Belongs here: options, exit codes. Not here: the work (see load_run.py), the report (see load_tables.py).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lakehouse.counted import counted
from lakehouse.errors import BadInput
from lakehouse_cli.not_run import as_not_run
from lakehouse_cli.numbers import finite
from lakehouse_cli.process_commands import JsonOption
from lakehouse_cli.search_commands import SearchMode

if TYPE_CHECKING:
    from lakehouse.load.mix import ScenarioKind

EXIT_FAILURES = 1
DEFAULT_DURATION_S = 10.0
DEFAULT_CHAOS_S = 600.0
_ROOT = Path(__file__).resolve().parents[1]


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(load)


def load(  # noqa: PLR0917 - Typer passes all by name
    url: Annotated[str | None, typer.Option(help="Address of the API; default: this installation's.")] = None,
    token: Annotated[
        str, typer.Option(envvar="LOAD_TOKEN", help="Bearer token; this installation's API needs none given.")
    ] = "",
    concurrency: Annotated[
        int, typer.Option(min=1, max=1000, help="Connections, each with one scenario at a time.")
    ] = 50,
    duration: Annotated[
        float | None,
        typer.Option(
            min=0.1, callback=finite, help="Seconds in which scenarios begin; default: 10, or until --requests."
        ),
    ] = None,
    requests: Annotated[int | None, typer.Option(min=1, help="End with the scenario that reaches so many.")] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            max=100_000,
            callback=finite,
            help="Scenarios to begin a second, whether or not others have ended.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed plays the same scenarios in the same order.")] = 7,
    corpus: Annotated[str, typer.Option(help="The corpus of workers.")] = "workers",
    mode: Annotated[SearchMode | None, typer.Option(help="Mode of searches; default: the live config's.")] = None,
    timeout: Annotated[float, typer.Option(min=0.1, callback=finite, help="Seconds that one answer may take.")] = 10.0,
    mix: Annotated[
        str | None,
        typer.Option(
            metavar="NAME=WEIGHT,…",
            help="Weights: search_email, fill_record, exclude, repeat, sms, record_again; default: 35,15,15,15,10,10.",
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False, metavar="FILE", help="Draw rate, latency, processor and memory over time: .svg or .png."
        ),
    ] = None,
    process: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=PID", help="Look at this process, too; may be given several times."),
    ] = None,
    on_real_data: Annotated[
        bool, typer.Option("--on-real-data", help="Also where there is data that is not the sample's.")
    ] = False,
    keep_playbooks: Annotated[
        bool, typer.Option("--keep-playbooks", help="Leave what was recorded; default: forget it at the end.")
    ] = False,
    chaos: Annotated[
        bool, typer.Option("--chaos", help="On a stack of its own, whose processes are killed meanwhile.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Play the load mix against a running API, check every answer, and say how long everything took.

    35 % cold search and e-mail validation, 15 % search, fill validation and playbook record, 15 % search with
    exclusions, 15 % one search five times, 10 % SMS validation, 10 % cold search, record, search again. Exit code 0: no
    failure; 1: some; 3: it could not be played.
    """
    from lakehouse.load.chart import load_chart
    from lakehouse.load.mix import SHARES
    from lakehouse_cli.load_run import LoadOptions, run_load
    from lakehouse_cli.load_tables import print_report
    from lakehouse_cli.reading_settings import read_settings
    from lakehouse_cli.remote import find_remote

    if chaos:
        _refuse_with_chaos(
            url=url, requests=requests, rate=rate, mode=mode, mix=mix, plot=plot, process=process,
            keep_playbooks=keep_playbooks or None, on_real_data=on_real_data or None,
        )  # fmt: skip
        _play_chaos(duration=duration, concurrency=concurrency, seed=seed, as_json=as_json)
        return
    shares = SHARES if mix is None else _shares(mix)
    draw = None if plot is None else _drawing(plot)
    with as_not_run():
        settings = read_settings()
        remote = find_remote(url, token, settings=settings, option="--url")
        options = LoadOptions(
            concurrency=concurrency,
            duration_s=DEFAULT_DURATION_S if duration is None and requests is None else duration,
            requests=requests,
            rate=rate,
            seed=seed,
            corpus=corpus,
            mode=None if mode is None else mode.value,
            timeout_s=timeout,
            keeps_playbooks=keep_playbooks,
            shares=shares,
            is_on_real_data=on_real_data,
            processes=tuple(process or ()),
        )
        report = run_load(remote, options, settings, tell=_tell)
    document = report.to_document()
    if as_json:
        typer.echo(json.dumps(document, indent=2))
    else:
        print_report(document)
    if plot is not None and draw is not None:
        plot.write_bytes(draw(load_chart(document)))
        _tell(f"drawn: {plot}")
    if document["failures"]:
        raise typer.Exit(EXIT_FAILURES)


def _shares(mix: str) -> Mapping[ScenarioKind, int]:
    from lakehouse.load.mix import read_mix

    try:
        return read_mix(mix)
    except BadInput as error:
        raise typer.BadParameter(error.detail, param_hint="--mix") from None


def _drawing(plot: Path) -> Callable[[Mapping[str, Any]], bytes]:
    """What draws a chart in the form that the file's name says; refused before minutes of load."""
    from lakehouse.adapters.chart_svg import chart_svg
    from lakehouse.adapters.charts import chart_png

    makers = {".png": chart_png, ".svg": lambda chart: chart_svg(chart).encode()}
    if plot.suffix.lower() not in makers:
        raise typer.BadParameter(f"{plot.name!r} is neither .svg nor .png", param_hint="--plot")
    if not plot.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {plot.parent}", param_hint="--plot")
    return makers[plot.suffix.lower()]


def _refuse_with_chaos(**options: object) -> None:
    """Options of a load on a running API say nothing to one that starts its own."""
    for name, value in options.items():
        if value is not None:
            told = "is for a running API; --chaos kills processes, and so starts a stack of its own"
            raise typer.BadParameter(told, param_hint=f"--{name.replace('_', '-')}")


def _play_chaos(*, duration: float | None, concurrency: int, seed: int, as_json: bool) -> None:
    """Exit code 1: something that was acknowledged is lost or doubled, or a fault could not be done."""
    from lakehouse_cli.load_chaos import run_chaos

    seconds = DEFAULT_CHAOS_S if duration is None else duration
    with as_not_run():
        done = run_chaos(_ROOT, duration_s=seconds, concurrency=concurrency, seed=seed, tell=_tell)
    if as_json:
        typer.echo(json.dumps(done.to_document(), indent=2))
    else:
        document = done.to_document()
        typer.echo(
            f"{document['seconds']:,.0f} s, {counted(document['scenarios'], 'scenario')}, of which"
            f" {document['scenarios_failed_meanwhile']:,} failed while faults lasted;"
            f" {document['scenarios_after']:,} after them, {document['scenarios_failed_after']:,} failed"
        )
        for name, seen in done.seen.items():
            typer.echo(f"{name}: {seen}")
        typer.echo(", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in done.counts.items()))
        for text in done.wrong:
            typer.echo(f"WRONG  {text}")
        typer.echo("something is wrong" if done.wrong else "nothing that was acknowledged is lost, nothing is doubled")
    if done.wrong:
        raise typer.Exit(EXIT_FAILURES)


def _tell(text: str) -> None:
    """Say what is being done to whoever watches; a moving line would take time from the load."""
    if sys.stderr.isatty():
        typer.echo(text, err=True)
