"""The commands `exchange …`: evidence, pathways, replays and baselines as JSON lines, for other lakes.

Belongs here: options and output. Not here: lines of evidence (see lakehouse/evidence/exchange.py), of pathways (see
lakehouse/client/pathway_exchange.py), of replays (see lakehouse/replay/exchange.py).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from lakehouse.counted import counted
from lakehouse_cli.evidence_parts import EvidenceParts
from lakehouse_cli.maintenance_commands import DryRunOption
from lakehouse_cli.process_commands import JsonOption
from lakehouse_cli.usage import as_usage_error

exchange = typer.Typer(
    help="Evidence, pathways, replays and baselines as JSON lines: out of this lake, into it.", no_args_is_help=True
)
_JsonOption = Annotated[bool, typer.Option("--json", help="Print what was done as JSON; on stderr where FILE is `-`.")]
FileArgument = Annotated[Path, typer.Argument(help="The file; `-` is stdin or stdout.", allow_dash=True)]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.add_typer(exchange, name="exchange")


@exchange.command("evidence-out")
def evidence_out(
    file: FileArgument,
    stream: Annotated[list[str] | None, typer.Option(help="Only this stream; may be given several times.")] = None,
    as_json: _JsonOption = False,
) -> None:
    """Write each record that serves, beside the raw line that it was made of."""
    from lakehouse.adapters.evidence_exchange import write_out
    from lakehouse.adapters.evidence_lake import add_relations, open_lake
    from lakehouse.evidence.transforms import transform_of

    with as_usage_error("--stream"):
        streams = [transform_of(name).stream for name in stream or ()]
    where, values = ("list_contains(?, stream)", (streams,)) if streams else ("true", ())
    parts = EvidenceParts()
    parts.work_dir.mkdir(parents=True, exist_ok=True)
    with open_lake(parts.location, parts.work_dir) as engine, _writing(file) as target:
        add_relations(engine, parts.location.bucket, parts.index.read())
        count = write_out(engine, parts.objects, target, where=where, values=values)
    tell_written(file, "record", count, as_json=as_json)


@exchange.command("evidence-in")
def evidence_in(file: FileArgument, dry_run: DryRunOption = False, as_json: JsonOption = False) -> None:
    """Take raw lines in, each held against its SHA-256; `lakehouse materialize` makes evidence of them."""
    from lakehouse.adapters.evidence_exchange import take_in

    parts = EvidenceParts()
    with _reading(file) as source:
        done = take_in(parts.objects, source, work_dir=parts.work_dir, is_dry=dry_run)
    if as_json:
        _print_json({"lines": done.lines, "objects": list(done.objects), "new": done.new_objects}, is_dry=dry_run)
        return
    verb = "would take in" if dry_run else "took in"
    new = "" if dry_run else f", {done.new_objects:,} of them new"
    typer.echo(f"{verb} {counted(done.lines, 'line')} as {counted(len(done.objects), 'raw object')}{new}")


@exchange.command("pathways-out")
def pathways_out(file: FileArgument, as_json: _JsonOption = False) -> None:
    """Write each trace that was not retired, its predecessors before it."""
    from lakehouse.client import Client
    from lakehouse.client.pathway_exchange import write_pathways

    with Client() as client, _writing(file) as target:
        count = write_pathways(client, target)
    tell_written(file, "trace", count, as_json=as_json)


@exchange.command("pathways-in")
def pathways_in(file: FileArgument, dry_run: DryRunOption = False, as_json: JsonOption = False) -> None:
    """Take traces in; what is known here already is linked, revisions follow what they revise."""
    from lakehouse.client import Client
    from lakehouse.client.pathway_exchange import take_pathways

    with Client() as client, _reading(file) as source:
        done = take_pathways(client, source, is_dry=dry_run)
    if as_json:
        _print_json({"traces": done.traces, "known": done.known}, is_dry=dry_run)
        return
    known = "" if done.known is None else f", {done.known:,} known here already"
    typer.echo(f"{'would take in' if dry_run else 'took in'} {counted(done.traces, 'trace')}{known}")


@exchange.command("replays-out")
def replays_out(
    file: FileArgument,
    batch: Annotated[list[str] | None, typer.Option(help="Only this batch; may be given several times.")] = None,
    baselines: Annotated[bool, typer.Option(help="Baselines of audits and drift, too.")] = True,
    as_json: _JsonOption = False,
) -> None:
    """Write replays with their rows and verdicts, and the baselines of audits and drift."""
    from lakehouse.adapters.replay_exchange import write_out

    with _writing(file) as target:
        count = write_out(EvidenceParts().objects, target, batches=batch or (), baselines=baselines)
    tell_written(file, "object", count, as_json=as_json)


@exchange.command("replays-in")
def replays_in(file: FileArgument, dry_run: DryRunOption = False, as_json: JsonOption = False) -> None:
    """Take replays and baselines in; what is there already must be the same."""
    import shutil
    import tempfile

    from lakehouse.adapters.replay_exchange import take_in

    with tempfile.TemporaryFile() as kept, _reading(file) as source:
        shutil.copyfileobj(source, kept)
        kept.seek(0)
        done = take_in(EvidenceParts().objects, kept, is_dry=dry_run)
    if as_json:
        told = {"objects": done.objects, "new": done.new, "batches": sorted(done.batches)}
        _print_json(told, is_dry=dry_run)
        return
    verb = "would take in" if dry_run else "took in"
    typer.echo(
        f"{verb} {counted(done.objects, 'object')}, {done.new:,} of them new, of {counted(len(done.batches), 'replay')}"
    )


def tell_written(file: Path, noun: str, count: int, *, as_json: bool) -> None:
    """Say what was written, where it does not mix with the lines themselves."""
    if as_json:
        typer.echo(json.dumps({"file": str(file), f"{noun}s": count}, indent=2), err=str(file) == "-")
    else:
        typer.echo(f"wrote {counted(count, noun)}", err=True)


def _print_json(told: dict[str, Any], *, is_dry: bool) -> None:
    typer.echo(json.dumps({**told, "dry_run": is_dry}, indent=2))


@contextmanager
def _writing(file: Path) -> Iterator[BinaryIO]:
    """A file that is there when it is whole, or stdout."""
    if str(file) == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    partial = file.with_name(f".{file.name}.part")
    try:
        with partial.open("wb") as stream:
            yield stream
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _reading(file: Path) -> Iterator[BinaryIO]:
    if str(file) == "-":
        yield sys.stdin.buffer
        return
    try:
        with file.open("rb") as stream:
            yield stream
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be read ({error.strerror})", param_hint="FILE") from None
