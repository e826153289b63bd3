"""The `lakehouse` command and its edge: every error of ours becomes one line on stderr and exit code 1 (3: `NotRun`).

Belongs here: the application, the error edge. Not here: the commands (command_modules.py says which module has which).
"""

from __future__ import annotations

from typing import Annotated, Any, cast

import typer
from typer.core import TyperGroup

from lakehouse.errors import LakehouseError
from lakehouse_cli.command_modules import LazyCommands
from lakehouse_cli.not_run import EXIT_NOT_RUN, NotRun

_ARGUMENTS = "lakehouse.arguments"


class _Edge(TyperGroup):
    """Maps our errors; a usage error is 2 (Typer's own), a bug is a traceback."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.commands = cast("Any", LazyCommands())  # Typer only reads it

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
        from lakehouse_cli.own_terms import command_of, in_own_terms, terms_of

        return in_own_terms(error.detail, terms_of(command_of(self, ctx.meta[_ARGUMENTS])), error.fields)


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
        from importlib.metadata import version

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


def run() -> None:
    """Entry point of the script `lakehouse`."""
    app(prog_name="lakehouse")
