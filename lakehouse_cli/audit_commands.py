"""The commands `audit` and `audit full`: whether the bucket, and the whole platform, are as they are said to be.

Belongs here: options, output, exit codes. Not here: looking (see lakehouse/adapters/audit.py, audit_full.py), what
doctor adds (see audit_setup.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse_cli.process_commands import JsonOption

if TYPE_CHECKING:
    from lakehouse.adapters.audit_full_parts import AuditParts
    from lakehouse.audit.results import Phase
    from lakehouse_cli.evidence_parts import EvidenceParts

_UNSOUND = 1
_LAST = 7
_SAMPLE = 1000


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    commands = typer.Typer(help=audit.__doc__, invoke_without_command=True)
    commands.callback()(audit)
    commands.command("full")(full)
    app.add_typer(commands, name="audit")


def audit(
    context: typer.Context,
    every_byte: Annotated[bool, typer.Option("--full", help="Read every byte and every raw line.")] = False,
    sample: Annotated[int, typer.Option(min=0, help="Else so many raw lines, others each time.")] = _SAMPLE,
    as_json: JsonOption = False,
) -> None:
    """Hold manifests, receipts, raw lines and builds against what lies in the bucket; exit code 1: something is wrong.

    The report is kept in the bucket, too: `audits/<id>/report.md` and `.json`. `lakehouse audit full` looks at the
    whole platform.
    """
    if context.invoked_subcommand is not None:
        if every_byte or as_json or sample != _SAMPLE:
            raise typer.BadParameter("`full` has options of its own, which stand behind it")
        return
    from lakehouse.adapters.audit import Auditor
    from lakehouse_cli.evidence_parts import EvidenceParts

    parts = EvidenceParts()
    auditor = Auditor(parts.objects, parts.location, work_dir=parts.work_dir)
    report = auditor.audit(is_full=every_byte, sample=sample)
    key = auditor.keep(report)
    typer.echo(report.to_json().decode() if as_json else f"{report.to_markdown()}\nkept as {key}")
    if not report.is_sound:
        raise typer.Exit(_UNSOUND)


def full(
    phase: Annotated[
        list[int] | None,
        typer.Option(min=0, max=_LAST, help="Only this phase; may be given several times.", show_default=False),
    ] = None,
    set_baseline: Annotated[
        bool, typer.Option("--set-baseline", help="Later audits are held against the metrics of this one.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Go through the whole platform, phases 0 to 7; exit code 1: a phase failed.

    0 set-up, 1 contracts, 2 materialize, 3 score, 4 exports, 5 receipts, 6 acceptance, 7 live replay. What is behind is
    made on the way; what cannot be looked at is skipped with its reason, and is no pass. The report is printed and
    kept in the bucket: `audits/<id>/report.md` and `.json`.
    """
    from lakehouse.adapters.audit_full import ALL, FullAuditor
    from lakehouse.errors import BadInput, LakehouseError
    from lakehouse_cli.audit_setup import doctor_checks
    from lakehouse_cli.evidence_parts import EvidenceParts

    if set_baseline and phase is not None:
        raise typer.BadParameter("a baseline is of all phases; leave --phase out", param_hint="--set-baseline")
    parts = EvidenceParts()
    auditor = FullAuditor(_audit_parts(parts), more_setup=doctor_checks, on_phase=_say)
    report = auditor.audit(ALL if phase is None else phase)
    typer.echo(report.to_json().decode() if as_json else report.to_markdown(), nl=False)
    try:
        typer.echo(f"kept as {auditor.keep(report, actor='cli', client='cli')}", err=True)
    except LakehouseError as error:
        typer.echo(f"the report could not be kept: {error.detail}", err=True)
        raise typer.Exit(_UNSOUND) from None
    if set_baseline:
        try:
            baseline = auditor.set_baseline(report, by="cli")
        except BadInput as error:
            typer.echo(f"error: {error.detail}", err=True)
        else:
            typer.echo(f"baseline {baseline.version} is of this audit", err=True)
    if not report.is_sound:
        raise typer.Exit(_UNSOUND)


def _say(phase: Phase) -> None:
    typer.echo(f"phase {phase.number}: {phase.name}", err=True)


def _audit_parts(parts: EvidenceParts) -> AuditParts:
    from lakehouse.adapters.audit_full_parts import AuditParts
    from lakehouse.audit.contract import ApiAddress
    from lakehouse.client.installation import api_url, find_token
    from lakehouse.settings import process_environ
    from lakehouse_assets.processes import PROJECT

    settings = parts.settings
    return AuditParts(
        settings=settings,
        store=parts.objects,
        location=parts.location,
        work_dir=parts.work_dir,
        materializer=parts.materializer,
        index=parts.index,
        scored=parts.scored,
        exports=parts.exports,
        run=parts.run,
        api=ApiAddress(api_url(settings) + settings.root_path, find_token(settings, process_environ())),
        openapi=PROJECT / "docs" / "reference" / "openapi.json",
    )
