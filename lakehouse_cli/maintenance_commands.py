"""Commands for operators: gc, backup, restore, upgrade, doctor.

Belongs here: options and output. Not here: the work (see lakehouse/operations/, doctor.py).
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lakehouse.counted import counted
from lakehouse.errors import Unprocessable
from lakehouse_cli.process_commands import JsonOption

if TYPE_CHECKING:
    from lakehouse.operations.cut import Cut

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would happen and change nothing.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(gc)
    app.command()(backup)
    app.command()(restore)
    app.command()(upgrade)
    app.command()(doctor)


def gc(dry_run: DryRunOption = False, as_json: JsonOption = False) -> None:
    """Remove versions past their history and objects that nothing refers to."""
    from rich.filesize import decimal

    from lakehouse.adapters.connect import connect_store
    from lakehouse.clock import utc_now
    from lakehouse.operations.garbage import collect_all_garbage
    from lakehouse_cli.reading_settings import read_settings

    settings = read_settings()
    report = collect_all_garbage(
        connect_store(settings),
        now=utc_now(),
        history=timedelta(days=settings.history_days),
        min_age=timedelta(hours=settings.gc_min_age_hours),
        dry_run=dry_run,
    )
    if as_json:
        typer.echo(json.dumps({**asdict(report), "bytes_collected": report.bytes_collected}, indent=2))
        return
    for garbage in report.collected:
        typer.echo(f"{garbage.key}  {decimal(garbage.size)}  {garbage.reason}")
    verb = "would remove" if dry_run else "removed"
    kept = f"kept {counted(report.kept_objects, 'object')} and {counted(report.kept_versions, 'version')}"
    typer.echo(f"{verb} {counted(len(report.collected), 'key')}, {decimal(report.bytes_collected)}; {kept}")


def backup(
    folder: Annotated[Path, typer.Argument(file_okay=False, help="Folder of the backup; made if missing.")],
    prune: Annotated[bool, typer.Option("--prune", help="Remove contents that only earlier cuts had.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Copy the bucket to a folder, consistently, while writers go on; what has not changed is not copied again."""
    from rich.filesize import decimal

    from lakehouse.adapters.connect import connect_store
    from lakehouse.clock import utc_now
    from lakehouse.operations.backup import back_up
    from lakehouse_cli.reading_settings import read_settings

    report = back_up(connect_store(read_settings()), folder, now=utc_now(), prune=prune)
    cut = report.cut
    if as_json:
        counts = {k: v for k, v in asdict(report).items() if k != "cut"}
        typer.echo(json.dumps({"folder": str(folder), **_cut_document(cut), **counts}, indent=2))
    else:
        typer.echo(
            f"{folder} holds {counted(cut.keys, 'key')}, {decimal(cut.bytes)}, as of {cut.taken_at}:"
            f" {report.copied:,} copied ({decimal(report.copied_bytes)}), {report.unchanged:,} unchanged"
        )
    if report.damaged:
        raise Unprocessable(f"content is not what its key says: {', '.join(report.damaged[:5])}; ingest it again")


def restore(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder of the backup.")],
    force: Annotated[bool, typer.Option("--force", help="Write into a bucket that is not empty.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write a backup into an empty bucket."""
    from rich.filesize import decimal

    from lakehouse.adapters.connect import connect_store
    from lakehouse.operations.restore import restore as write_back
    from lakehouse_cli.reading_settings import read_settings

    store = connect_store(read_settings())
    store.ensure_bucket()
    report = write_back(store, folder, force=force)
    if as_json:
        counts = {"restored": report.restored, "restored_bytes": report.restored_bytes}
        typer.echo(json.dumps({"folder": str(folder), **_cut_document(report.cut), **counts}, indent=2))
        return
    typer.echo(
        f"restored {counted(report.restored, 'key')}, {decimal(report.restored_bytes)}, as of {report.cut.taken_at}"
    )


def upgrade(dry_run: DryRunOption = False, as_json: JsonOption = False) -> None:
    """Rewrite stored documents of an earlier format to the one this program writes; take a backup first."""
    from lakehouse.adapters.connect import connect_store
    from lakehouse.operations.upgrade import upgrade as bring_up_to_date
    from lakehouse_cli.reading_settings import read_settings

    report = bring_up_to_date(connect_store(read_settings()), dry_run=dry_run)
    found = sorted(report.found.items())
    if as_json:
        told = [{"format": name, "version": version, "count": count} for (name, version), count in found]
        typer.echo(json.dumps({**asdict(report), "found": told}, indent=2))
    else:
        for (name, version), count in found:
            typer.echo(f"{name}: {count:,} of version {version}")
        for rewrite in report.rewrites:
            typer.echo(f"{rewrite.key}: {rewrite.format} from version {rewrite.from_version} to {rewrite.to_version}")
        typer.echo(f"{'would rewrite' if dry_run else 'rewrote'} {counted(len(report.rewrites), 'document')}")
    if report.unreadable:
        raise Unprocessable(f"cannot be read: {', '.join(report.unreadable[:5])}; see: lakehouse doctor")


def _cut_document(cut: Cut) -> dict[str, Any]:
    return {"keys": cut.keys, "bytes": cut.bytes, "taken_at": cut.taken_at}


def doctor(
    as_json: JsonOption = False,
    write_env_example: Annotated[
        Path | None, typer.Option(help="Write the annotated list of settings to this file, and do nothing else.")
    ] = None,
) -> None:
    """Say what is wrong with this set-up and how to mend it; exit code 1 when something is."""

    from lakehouse_cli.doctor import examine
    from lakehouse_cli.env_example import render_env_example
    from lakehouse_cli.terminal import output_console, shown

    if write_env_example is not None:
        write_env_example.write_text(render_env_example())
        return
    findings = examine()
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        console = output_console()
        for finding in findings:
            color = {"ok": "green", "warning": "yellow", "problem": "red"}[finding.verdict]
            message = shown(finding.message, keeps_lines=True)
            console.print(f"[{color}]{finding.verdict:<8}[/] {finding.check}: {message}")
            if finding.remedy:
                console.print(f"         mend: {shown(finding.remedy, keeps_lines=True)}")
    if any(finding.verdict == "problem" for finding in findings):
        raise typer.Exit(1)
