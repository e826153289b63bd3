"""The `lakehouse` command and its edge: every error of ours becomes one line on stderr and exit code 1 (3: `NotRun`).

Belongs here: the application, its commands' registration, the error edge. Not here: the commands themselves.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup

from lakehouse.errors import LakehouseError
from lakehouse_cli import (
    audit_commands,
    chat_commands,
    corpus_commands,
    data_commands,
    drift_commands,
    evidence_commands,
    exchange_commands,
    import_commands,
    lineage_commands,
    load_commands,
    maintenance_commands,
    parity_commands,
    pathway_commands,
    process_commands,
    promotion_commands,
    proof_commands,
    replay_commands,
    retraction_commands,
    review_commands,
    search_commands,
    triage_commands,
    validation_commands,
    workflow_commands,
)
from lakehouse_cli.command_panels import panel_of, place_of
from lakehouse_cli.not_run import EXIT_NOT_RUN, NotRun
from lakehouse_cli.own_terms import command_of, in_own_terms, terms_of

_ARGUMENTS = "lakehouse.arguments"


class _Edge(TyperGroup):
    """Maps our errors; a usage error is 2 (Typer's own), a bug is a traceback."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        _name_arguments(self)
        self.commands = {name: self.commands[name] for name in sorted(self.commands, key=place_of)}
        for name, command in self.commands.items():
            if isinstance(command, TyperCommand | TyperGroup):
                command.rich_help_panel = panel_of(name)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta[_ARGUMENTS] = tuple(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except LakehouseError as error:
            if ctx.params.get("debug"):
                raise
            typer.echo(f"error: {self._told(ctx, error)}", err=True)
            raise typer.Exit(EXIT_NOT_RUN if isinstance(error, NotRun) else 1) from None
        except OSError as error:
            if error.filename is None or ctx.params.get("debug"):
                raise
            typer.echo(f"error: {error.filename}: {error.strerror}", err=True)
            raise typer.Exit(1) from None

    def _told(self, ctx: Any, error: LakehouseError) -> str:
        """What is wrong; what the API says speaks of the command's options, not of its own."""
        if "status" not in error.fields:
            return error.detail
        return in_own_terms(error.detail, terms_of(command_of(self, ctx.meta[_ARGUMENTS])), error.fields)


def _name_arguments(group: TyperGroup) -> None:
    """Name arguments in capitals, as what the API refuses does (see own_terms.py)."""
    for command in group.commands.values():
        if isinstance(command, TyperGroup):
            _name_arguments(command)
        for param in command.params:
            if isinstance(param, TyperArgument):
                param.metavar = (param.metavar or str(param.name)).upper()


app = typer.Typer(
    cls=_Edge,
    help="Run the Lakehouse and work with its data.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _tell_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"lakehouse {version('lakehouse')}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    is_version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del debug, is_version  # the edge reads the first from the context; the second has ended the program


process_commands.register(app)
data_commands.register(app)
import_commands.register(app)
evidence_commands.register(app)
exchange_commands.register(app)
corpus_commands.register(app)
maintenance_commands.register(app)
lineage_commands.register(app)
drift_commands.register(app)
audit_commands.register(app)
retraction_commands.register(app)
replay_commands.register(app)
promotion_commands.register(app)
search_commands.register(app)
pathway_commands.register(app)
validation_commands.register(app)
chat_commands.register(app)
parity_commands.register(app)
load_commands.register(app)
proof_commands.register(app)
review_commands.register(app)
triage_commands.register(app)
workflow_commands.register(app)


def run() -> None:
    """Entry point of the script `lakehouse`."""
    app(prog_name="lakehouse")
