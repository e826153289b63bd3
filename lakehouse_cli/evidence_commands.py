"""The commands `materialize`, `score`, `export`, `fold-back`: run logs become evidence, scores, corpora and memory.

They do what the assets of the same names do, without Dagster.

Belongs here: options and output. Not here: the work (see lakehouse/adapters/evidence_materializer.py, scored_days.py,
corpus_exports.py, fold_back.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lakehouse.counted import counted
from lakehouse_cli.build_folder import copy_build
from lakehouse_cli.evidence_parts import EvidenceParts
from lakehouse_cli.maintenance_commands import DryRunOption
from lakehouse_cli.process_commands import JsonOption
from lakehouse_cli.usage import as_usage_error

if TYPE_CHECKING:
    from lakehouse.adapters.distill_build import Build
    from lakehouse.adapters.distilled_corpus import LoadedCorpus
    from lakehouse.errors import LakehouseError

_LOST = 1


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(materialize)
    app.command()(score)
    app.command()(export)
    app.command("fold-back")(fold_back)


def materialize(
    streams: Annotated[
        list[str] | None, typer.Argument(help="Raw streams; all by default.", show_default=False)
    ] = None,
    first: Annotated[str | None, typer.Option("--from", help="The first day, YYYY-MM-DD.", show_default=False)] = None,
    last: Annotated[str | None, typer.Option("--to", help="The last day, YYYY-MM-DD.", show_default=False)] = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make evidence of the days whose raw lines have changed; exit code 1: raw objects of a day are gone."""
    from lakehouse.adapters.evidence_raw import unknown_streams, unread_keys
    from lakehouse.evidence.days import unknown_streams_remedy, unread_remedy
    from lakehouse.evidence.transforms import TRANSFORMS, transform_of

    begin, end = _day(first, "--from"), _day(last, "--to")
    if begin is not None and end is not None and end < begin:
        raise typer.BadParameter(f"lies before --from ({begin})", param_hint="--to")
    with as_usage_error("STREAMS"):
        chosen = [transform_of(stream).stream for stream in streams or TRANSFORMS]
    parts = EvidenceParts()
    told: list[dict[str, Any]] = []
    failed: list[LakehouseError] = []
    if not streams and (strange := unknown_streams(parts.objects, TRANSFORMS)):
        typer.echo(unknown_streams_remedy(strange, TRANSFORMS), err=True)
    for stream in chosen:
        if unread := unread_keys(parts.objects, stream):
            typer.echo(f"{stream}: {unread_remedy(unread)}", err=True)
        behind = parts.materializer.behind(stream)
        days = [day for day in sorted(behind) if (begin is None or day >= begin) and (end is None or day <= end)]
        if dry_run:
            told += [{"stream": stream, "day": str(day), "raw_objects": len(behind[day])} for day in days]
            continue
        told += _make_days(parts, stream, days, failed)
    if not dry_run:
        parts.index.refresh()
    if as_json:
        typer.echo(json.dumps(told, indent=2))
    else:
        _tell_days(told, verb="would make" if dry_run else "made", is_quiet=bool(failed))
    if failed:
        raise failed[0]
    if any(one.get("lost") for one in told):
        raise typer.Exit(_LOST)


def _tell_days(told: list[dict[str, Any]], *, verb: str, is_quiet: bool) -> None:
    for one in told:
        typer.echo(_line(one))
    if told:
        typer.echo(f"{verb} the evidence of {counted(len(told), 'day')}")
    elif not is_quiet:  # what failed is told already
        typer.echo("nothing new")


def _make_days(
    parts: EvidenceParts, stream: str, days: list[date], failed: list[LakehouseError]
) -> Iterator[dict[str, Any]]:
    """Make days; those that cannot be read are named at once, and why is added to `failed`."""
    for result in parts.materializer.materialize(stream, days, parts.run, stops_at_failure=False):
        if result.error is not None:
            typer.echo(f"{stream} {result.day} is not made: {result.error.detail}", err=True)
            failed.append(result.error)
            continue
        counts = {} if result.partition is None else dict(result.partition.counts)
        yield {"stream": stream, "day": str(result.day), **counts, "lost": list(result.lost)}


def score(
    day: Annotated[list[str] | None, typer.Option(help="A day, YYYY-MM-DD; may be given several times.")] = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Score the runs of some days, by default of those whose scores may be others than before."""
    days = None if day is None else [one for text in day if (one := _day(text, "--day")) is not None]
    parts = EvidenceParts()
    if dry_run:
        behind = parts.scored.behind() if days is None else days
        told: list[dict[str, Any]] = [{"day": str(one)} for one in behind]
    else:
        done = parts.scored.score(parts.run, days)
        told = [{"day": str(o.day), "runs": o.partition.counts["out"], "is_changed": o.is_changed} for o in done]
    if as_json:
        typer.echo(json.dumps(told, indent=2))
        return
    for said in told:
        changed = "" if dry_run else f": {counted(said['runs'], 'run')}{'' if said['is_changed'] else ', as before'}"
        typer.echo(f"{said['day']}{changed}")
    typer.echo(f"{'would score' if dry_run else 'scored'} {counted(len(told), 'day')}" if told else "nothing new")


def export(  # noqa: PLR0917 - Typer passes all by name
    kind: Annotated[str, typer.Argument(help="sft, preference or rag.")],
    parameters: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="JSON file of parameters that differ from the defaults."),
    ] = None,
    held_out: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="JSON lines that nothing may be trained on.")
    ] = None,
    corpus: Annotated[
        str | None, typer.Option(help="For rag: the corpus that the chunks are loaded into.", show_default=False)
    ] = None,
    to: Annotated[Path | None, typer.Option(file_okay=False, help="Also write the files into this folder.")] = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Build a training corpus of what is scored; the same inputs and parameters are the same build."""
    from lakehouse.distillation.parameters import read_parameters

    given = _parameters(parameters)
    with as_usage_error("KIND"):
        read_parameters({"kind": kind})
    params = read_parameters({"kind": kind, **given})
    parts = EvidenceParts()
    if corpus is not None and kind != "rag":
        raise typer.BadParameter(f"goes with rag; {kind} has no chunks", param_hint="--corpus")
    loaded: list[LoadedCorpus | None] = []

    def load(build: Build) -> None:
        from lakehouse.adapters.distilled_corpus import load_chunks

        if corpus is not None:
            loaded.append(load_chunks(parts.settings, build, name=corpus))

    done = parts.exports.export(params, parts.run, held_out=held_out, is_dry=dry_run, on_build=load)
    if to is not None and not dry_run:
        copy_build(parts.objects, done.prefix, to)
    counts = done.manifest.counts
    if as_json:
        said = {"build_id": done.manifest.build_id, "prefix": done.prefix, "is_new": done.is_new}
        typer.echo(json.dumps({**said, "counts": asdict(counts)}, indent=2))
        return
    verb = "would build" if dry_run else ("built" if done.is_new else "there already:")
    typer.echo(
        f"{verb} {kind} {done.manifest.build_id}: {counted(counts.samples, 'sample')}"
        f" of {counted(counts.candidates, 'candidate')}"
    )
    for gate, number in counts.by_gate.items():
        if number:
            typer.echo(f"  {gate}: {number:,} taken out")
    if not counts.candidates:
        typer.echo("  no run passes `sources`, `score_floor` and the days: see SELECT stream, score, dt FROM scored")
    if not dry_run:
        typer.echo(f"  in the bucket: {done.prefix}")
    for one in loaded:
        typer.echo(
            "  no chunks: the corpus stays as it was"
            if one is None
            else f"  corpus {one.name}: {counted(one.rows, 'row')}"
        )


def fold_back(dry_run: DryRunOption = False, as_json: JsonOption = False) -> None:
    """Fold accepted runs and outcomes back into the memory of the running API."""
    parts = EvidenceParts()
    with parts.memory() as memory:
        report = parts.fold_back.run(memory, parts.run, is_dry=dry_run)
    if as_json:
        typer.echo(json.dumps(asdict(report), indent=2))
        return
    put, withdrew = ("would put", "would withdraw") if dry_run else ("put", "withdrew")
    typer.echo(
        f"{put} {counted(report.put, 'entry')} into memory, {withdrew} {report.withdrawn:,},"
        f" {report.refused:,} refused; {report.holds:,} of fold-back are in memory now"
    )


def _line(one: dict[str, Any]) -> str:
    said = f"{one['stream']} {one['day']}"
    if one.get("lost"):
        return f"{said}: {counted(len(one['lost']), 'raw object', 'is')} gone, its evidence stays: {one['lost'][0]}"
    if "raw_objects" in one:
        return f"{said}: {counted(one['raw_objects'], 'raw object')}"
    counts = ", ".join(
        f"{one[name]:,} {name.replace('_', ' ')}"
        for name in ("new", "corrected", "duplicate", "quarantined", "left_out")
        if one.get(name)
    )
    return f"{said}: {counts or 'no lines'}"


def _day(text: str | None, option: str) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a day; write YYYY-MM-DD", param_hint=option) from None


def _parameters(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        given = json.loads(path.read_text())
    except (ValueError, OSError) as error:
        raise typer.BadParameter(f"{path} is not JSON ({error})", param_hint="--parameters") from None
    if not isinstance(given, dict) or "kind" in given:
        raise typer.BadParameter("must be a JSON object of parameters without `kind`", param_hint="--parameters")
    return given
