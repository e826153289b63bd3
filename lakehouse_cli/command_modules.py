"""Commands that are imported and built when they are asked for: a call needs one, and to build them all takes longer.

Belongs here: which module has which command, `LazyCommands`. Not here: the commands, their headings (see
command_panels.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib import import_module

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup

from lakehouse_cli.command_panels import panel_of, place_of

Command = TyperCommand | TyperGroup

_MODULES: Mapping[str, tuple[str, ...]] = {
    "audit_commands": ("audit",),
    "chat_commands": ("chat", "answer", "models"),
    "corpus_commands": ("corpus",),
    "data_commands": ("ingest", "datasets", "sql", "sample"),
    "drift_commands": ("drift",),
    "evidence_commands": ("materialize", "score", "export", "fold-back"),
    "exchange_commands": ("exchange",),
    "import_commands": ("import",),
    "lineage_commands": ("lineage",),
    "load_commands": ("load",),
    "maintenance_commands": ("gc", "backup", "restore", "upgrade", "doctor"),
    "parity_commands": ("parity",),
    "pathway_commands": ("pathway",),
    "process_commands": ("up", "down", "status", "token", "supervise"),
    "promotion_commands": ("propose", "promote", "promotions", "rollback"),
    "proof_commands": ("proof",),
    "replay_commands": ("replay",),
    "retraction_commands": ("retract",),
    "review_commands": ("review",),
    "search_commands": ("search", "playbook", "index"),
    "triage_commands": ("triage",),
    "validation_commands": ("validate",),
    "workflow_commands": ("workflow",),
}


class LazyCommands(Mapping[str, Command]):
    """All commands by name, as `lakehouse --help` orders them; one is built when it is looked up."""

    def __init__(self) -> None:
        module_of = {name: module for module, names in _MODULES.items() for name in names}
        self._module_of = {name: module_of[name] for name in sorted(module_of, key=place_of)}

    def __getitem__(self, name: str) -> Command:
        command = commands_of(self._module_of[name])[name]
        command.rich_help_panel = panel_of(name)
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(self._module_of)

    def __len__(self) -> int:
        return len(self._module_of)


@lru_cache
def commands_of(module: str) -> dict[str, Command]:
    """The commands that a module of this package registers."""
    app = typer.Typer()
    import_module(f"lakehouse_cli.{module}").register(app)
    made = typer.main.get_group(app).commands
    commands = {name: one for name, one in made.items() if isinstance(one, TyperCommand | TyperGroup)}
    for command in commands.values():
        _name_arguments(command)
    return commands


def _name_arguments(command: Command) -> None:
    """Name arguments in capitals, as what the API refuses does (see own_terms.py)."""
    if isinstance(command, TyperGroup):
        for inner in command.commands.values():
            if isinstance(inner, TyperCommand | TyperGroup):
                _name_arguments(inner)
    for param in command.params:
        if isinstance(param, TyperArgument):
            param.metavar = (param.metavar or str(param.name)).upper()
