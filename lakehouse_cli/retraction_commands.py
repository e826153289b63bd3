"""The command `retract`: a run, or all that speaks of a subject, serves no more, wherever it has come.

Belongs here: options, the question, output. Not here: the work (see lakehouse/adapters/retraction.py).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.counted import counted
from lakehouse_cli.evidence_parts import EvidenceParts
from lakehouse_cli.maintenance_commands import DryRunOption
from lakehouse_cli.process_commands import JsonOption

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lakehouse.adapters.retraction import Retractor
    from lakehouse.adapters.words import Words
    from lakehouse.lineage.retracted import Place, RetractionReport

_OPEN = 1
_MOST_SHOWN = 50


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(retract)


def retract(  # noqa: PLR0917 - Typer passes all by name
    run_id: Annotated[str | None, typer.Argument(help="The run.", show_default=False)] = None,
    subject: Annotated[
        str | None,
        typer.Option(
            help="Instead: a task, an actor, or words; every run that has it as whole words, in any case, goes."
        ),
    ] = None,
    reason: Annotated[str, typer.Option(help="Why; kept on the list.")] = "",
    by: Annotated[str, typer.Option(help="Who says so; kept on the list.")] = "operator",
    erase: Annotated[bool, typer.Option("--erase", help="Remove the bytes, too; cannot be undone.")] = False,
    held_out: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="The file that builds held out, where one did.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Retract a run or a subject: it serves no more, and builds and memory are made anew without it.

    Exit code 1: something is left to you; the list says what.
    """
    from lakehouse.catalog.retractions import Retraction
    from lakehouse.clock import utc_now

    if (run_id is None) == (subject is None):
        raise typer.BadParameter("give a run id or --subject, one of them")
    if not reason.strip():
        raise typer.BadParameter("say why", param_hint="--reason")
    kind, value = ("run", run_id) if run_id is not None else ("subject", str(subject))
    retraction = Retraction("run" if kind == "run" else "subject", str(value), reason, by, utc_now())
    parts = EvidenceParts()
    retractor = _retractor(parts, held_out)
    if dry_run or not yes:
        planned = retractor.plan(retraction)
        if dry_run:
            _show(planned, as_json=as_json)
            return
        _show(planned, as_json=False)
        typer.confirm("Retract it and erase its bytes?" if erase else "Retract it?", abort=True, err=True)
    eraser = None
    if erase:
        from lakehouse.adapters.erasure import Eraser

        settings = parts.settings
        local = (settings.spool_path, settings.data_dir / "logs")
        eraser = Eraser(
            parts.objects, parts.materializer, work_dir=parts.work_dir, local=local, drop_removed=_drop_removed(parts)
        )
    report = retractor.retract(retraction, parts.run, eraser=eraser)
    _show(report, as_json=as_json)
    if report.open_places:
        raise typer.Exit(_OPEN)


def _drop_removed(parts: EvidenceParts) -> Callable[[], bool]:
    """What has the embedded store take removed bytes off its disk; another one has to be told by its operator."""
    from lakehouse.adapters.connect import embedded_store
    from lakehouse.adapters.seaweedfs import drop_removed_bytes

    store = embedded_store(parts.settings) if parts.settings.is_store_embedded else None
    return lambda: store is not None and drop_removed_bytes(store)


def _retractor(parts: EvidenceParts, held_out: Path | None) -> Retractor:
    from lakehouse.adapters.retracted_runs import RetractedRuns
    from lakehouse.adapters.retraction import Followers, Retractor

    def fold_back(speaks: Callable[[str], bool]) -> int:
        with parts.memory() as memory:
            return parts.fold_back.run(memory, parts.run, unspoken=speaks).withdrawn

    def forget(words: Words) -> int:
        from lakehouse.adapters.memory_erasure import MemoryErasure

        spoken = MemoryErasure(parts.objects).find(words)
        if not spoken:
            return 0
        with parts.memory() as memory:
            return memory.forget(spoken)

    def take_out(runs: Sequence[str]) -> Iterable[Place]:
        from lakehouse.adapters.corpus_retraction import take_out_of_corpora

        return take_out_of_corpora(parts.objects, runs)

    followers = Followers(parts.index, parts.scored, parts.exports, fold_back, forget, take_out, held_out)
    retracted = RetractedRuns(parts.objects, parts.location, work_dir=parts.work_dir)
    return Retractor(parts.objects, parts.location, retracted, followers, work_dir=parts.work_dir)


def _show(report: RetractionReport, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(report.to_document(), indent=2))
        return
    verb = "would retract" if report.is_dry else "retracted"
    on_list = "" if report.is_new else "; it was on the list before"
    typer.echo(f"{verb} the {report.kind} {report.value!r}: {counted(len(report.runs), 'run')}{on_list}")
    if not report.is_found:
        stays = "it would stay" if report.is_dry else "it stays"
        typer.echo(f"  nothing made of it was found; {stays} on the list, for lines that come later")
    done = [place for place in report.places if not place.is_open]
    for place in done[:_MOST_SHOWN]:
        typer.echo(f"  {_line(place)}")
    if len(done) > _MOST_SHOWN:
        typer.echo(f"  {counted(len(done) - _MOST_SHOWN, 'place')} more; --json shows them")
    for before, after in report.builds.items():
        typer.echo(f"  build {before}: {'nothing took its place' if after is None else f'now {after}'}")
    if report.open_places:
        typer.echo("left to you:")
    for place in report.open_places:
        typer.echo(f"  {_line(place)}")
    if report.receipt:
        typer.echo(f"  receipt {report.receipt}")


def _line(place: Place) -> str:
    return f"{place.key} {place.what}"
