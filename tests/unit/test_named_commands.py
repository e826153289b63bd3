"""Commands that messages, docstrings and docs tell people to type are there, with the options that they name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import typer

from lakehouse_cli.main import app

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("lakehouse", "lakehouse_api", "lakehouse_assets", "lakehouse_cli", "jobs", "sensors")
_NAMED = re.compile(r"(?<![\w./-])lakehouse ((?:[a-z][a-z-]*\b ?)+)([^\n`\"]*)")
_OPTION = re.compile(r"(?<!\w)--[a-z][a-z-]*")


def texts() -> Iterator[Path]:
    for package in PRODUCT:
        yield from (ROOT / package).rglob("*.py")
    yield from (path for path in (ROOT / "docs").rglob("*.md") if path.parent.name != "decisions")
    yield from ROOT.glob("*.md")


def commands() -> dict[tuple[str, ...], click.Command]:
    found: dict[tuple[str, ...], click.Command] = {}

    def walk(command: click.Command, path: tuple[str, ...]) -> None:
        found[path] = command
        for name, inner in getattr(command, "commands", {}).items():
            walk(inner, (*path, name))

    walk(typer.main.get_command(app), ())
    return found


def test_commands_that_texts_name_are_there() -> None:
    known = commands()
    wrong = []
    for path in texts():
        for said, more in _NAMED.findall(path.read_text()):
            words = said.split()
            if (words[0],) not in known:
                continue  # "the lakehouse is …"
            depth = next(n for n in range(len(words), 0, -1) if tuple(words[:n]) in known)
            command = known[tuple(words[:depth])]
            needs_more = hasattr(command, "commands") and not getattr(command, "invoke_without_command", False)
            if needs_more and len(words) > depth:
                wrong.append(f"{path.relative_to(ROOT)}: lakehouse {said.strip()}")
            above = (known[tuple(words[:n])] for n in range(depth + 1))
            options = {name for one in above for param in one.params for name in (*param.opts, *param.secondary_opts)}
            asked = set(_OPTION.findall(more)) - options - {"--help"}
            wrong += [f"{path.relative_to(ROOT)}: lakehouse {said.strip()} {option}" for option in sorted(asked)]
    assert not wrong, "; ".join(wrong)
