"""Write what is generated of docs/reference (see `PAGES`) from the code, and pictures; `--check` only compares texts.

Belongs here: rendering. Not here: the facts (see lakehouse/settings.py, lakehouse_cli/main.py, lakehouse_api/app.py).
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
REFERENCE = HERE / "reference"


def settings_page() -> str:
    """Every setting with its default and meaning."""
    from lakehouse.settings import PREFIX, Settings

    lines = [
        "# Settings",
        "",
        "Each is an environment variable or a line of `.env`; the environment wins. A wrong value or an unknown name",
        "stops the start and is named. Generated from `lakehouse/settings.py`.",
        "",
        "| setting | default | meaning |",
        "| --- | --- | --- |",
    ]
    for name, field in Settings.model_fields.items():
        default = "unset" if field.default is None else field.get_default(call_default_factory=True)
        if isinstance(default, tuple | dict):
            default = ",".join(default) or "empty"
        lines.append(f"| `{PREFIX}{name.upper()}` | `{default if default != '' else 'empty'}` | {field.description} |")
    return "\n".join(lines) + "\n"


def errors_page() -> str:
    """The tree of errors with their statuses."""
    from lakehouse import errors

    lines = [
        "# Errors",
        "",
        "Every error is `application/problem+json` (RFC 9457): `type`, `title`, `status`, `detail`, `instance`,",
        "`request_id`, and fields of its own such as `line` or `retry_after_s`. Generated from `lakehouse/errors.py`.",
        "",
        "| status | title | meaning |",
        "| --- | --- | --- |",
    ]
    kinds = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.LakehouseError)]
    for kind in sorted(kinds, key=lambda e: e.status):
        lines.append(f"| {kind.status} | {kind.title} | {(kind.__doc__ or '').splitlines()[0]} |")
    return "\n".join(lines) + "\n"


def functions_page() -> str:
    """The functions that SQL may call."""
    from lakehouse.query.functions import SCALAR_FUNCTIONS, TABLE_FUNCTIONS

    named = sorted(name for name in SCALAR_FUNCTIONS if name[0].isalpha())
    lines = [
        "# Functions of SQL",
        "",
        "What a query may call; [DuckDB's manual](https://duckdb.org/docs/stable/sql/functions/overview) says what",
        "each does. Anything else is refused with 403. Generated from `lakehouse/query/functions.py`.",
        "",
        f"Table functions: {', '.join(f'`{name}`' for name in sorted(TABLE_FUNCTIONS))}.",
        "",
    ]
    for letter in sorted({name[0] for name in named}):
        lines += [", ".join(f"`{name}`" for name in named if name[0] == letter), ""]
    return "\n".join(lines).rstrip() + "\n"


def command_page() -> str:
    """Every subcommand with its arguments and options."""
    import typer

    from lakehouse_cli.main import app

    root = typer.main.get_command(app)
    shared = [_parameter(p) for p in root.params if p.name != "help"]
    lines = ["# The command `lakehouse`", "", "Generated from `lakehouse_cli/`.", ""]
    lines += ["Before the name of a command:", "", "| | |", "| --- | --- |", *shared, ""]
    lines += [
        "Exit codes: 0: done; 1: it failed or was refused, and `error: …` on stderr says why, or it found what its",
        "section below names; 2: the command line is wrong (an unknown name of a fixed list, too); 3, of commands that",
        "judge: nothing was judged. With `--json` stdout is one JSON document, and all else is on stderr.",
        "",
    ]
    with root.make_context("lakehouse", [], resilient_parsing=True) as context:
        lines += _commands_of(root, "lakehouse", context)
    return "\n".join(lines).rstrip() + "\n"


def _commands_of(group: Any, path: str, context: Any) -> list[str]:
    """The sections of the commands below a group, those below them included."""
    lines: list[str] = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command.hidden:
            continue
        lines += [f"## `{path} {name}`", "", (command.help or "").strip(), ""]
        rows = [_parameter(p) for p in command.params if p.name != "help" and not getattr(p, "hidden", False)]
        if rows:
            lines += ["| | |", "| --- | --- |", *rows, ""]
        if hasattr(command, "list_commands"):
            lines += _commands_of(command, f"{path} {name}", context)
    return lines


def _parameter(parameter: Any) -> str:
    options = [*getattr(parameter, "opts", []), *getattr(parameter, "secondary_opts", [])]
    name = " ".join(options) if getattr(parameter, "param_type_name", "") == "option" else parameter.metavar
    text = " ".join(str(getattr(parameter, "help", "") or "").split()).replace("|", "\\|")
    return f"| `{name}` | {text} |"


def openapi_document() -> str:
    """The OpenAPI description of the API with default settings."""
    from lakehouse.settings import load_settings
    from lakehouse_api.app import create_app

    document = create_app(load_settings({}, env_file=None)).openapi()
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def scoring_page() -> str:
    """The rules of scoring, with everything they are made of."""
    from lakehouse.scoring import FACTS, default_labels, default_rules
    from lakehouse.scoring.lineage import lineages
    from lakehouse.scoring.streams import SCORED, SILENT, TESTIMONY
    from lakehouse.tables.reserved import RESERVED_VIEWS
    from lakehouse.tables.scored import MEANING

    rules = default_rules()
    meanings: dict[str, list[str]] = {}
    for label, means in default_labels().meaning.items():
        meanings.setdefault(means, []).append(label)
    makers: dict[str, list[str]] = {}
    for prefix, lineage in sorted(lineages()):
        makers.setdefault(lineage, []).append(prefix)
    tables = {
        "columns": _table(
            ("column", "type", "meaning"),
            [(f"`{n}`", f"`{RESERVED_VIEWS['scored'][n]}`", m) for n, m in MEANING.items()],
        ),
        "streams": _table(
            ("stream", "is", "of it"),
            [
                *((f"`{name}`", "runs", one.meaning) for name, one in SCORED.items()),
                *((f"`{name}`", "testimony", about) for name, about in TESTIMONY.items()),
                *((f"`{name}`", "neither", why) for name, why in SILENT.items()),
            ],
        ),
        "rules": _table(
            ("rule", "kind", "streams", "when", "score", "reason"),
            [
                (
                    f"`{rule.name}`",
                    rule.kind,
                    "all" if rule.streams == frozenset(SCORED) else ", ".join(f"`{s}`" for s in sorted(rule.streams)),
                    " and ".join(c.text() for c in rule.when) or "always",
                    f"`{rule.verdict}`",
                    rule.reason,
                )
                for rule in rules.rules
            ],
        ),
        "facts": _table(("fact", "is", "meaning"), [(f"`{n}`", f.kind, f.meaning) for n, f in FACTS.items()]),
        "labels": _table(
            ("says", "labels"), [(says, ", ".join(f"`{one}`" for one in labels)) for says, labels in meanings.items()]
        ),
        "lineages": _table(
            ("lineage", "names begin with"),
            [(lineage, ", ".join(f"`{one}`" for one in prefixes)) for lineage, prefixes in sorted(makers.items())],
        ),
    }
    template = (HERE / "scoring.template.txt").read_text()
    return template.format(version=rules.version, **tables)


def validation_page() -> str:
    """The page of validation: the table of rules and their version as they are, the text around them as it stands."""
    from lakehouse.validation import RULES, RULES_VERSION

    table = _table(
        ("rule", "kinds", "refuses with", "asks", "source", "since"),
        [(f"`{r.id}`", ", ".join(r.kinds), r.error, r.what, r.source, str(r.since)) for r in RULES],
    )
    page = (REFERENCE / "validation.md").read_text()
    page = re.sub(r"^Version `[^`]+`", f"Version `{RULES_VERSION}`", page, flags=re.MULTILINE)
    page = re.sub(r"^\| rule \|.*(\n\|.*)*", lambda _: table, page, flags=re.MULTILINE)
    if f"Version `{RULES_VERSION}`" not in page or table not in page:
        raise ValueError("docs/reference/validation.md has lost its line 'Version `…`' or its table '| rule |'")
    return page


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "errors.md": errors_page,
    "command.md": command_page,
    "functions.md": functions_page,
    "scoring.md": scoring_page,
    "validation.md": validation_page,
    "openapi.json": openapi_document,
}


def main() -> int:
    """Write the pages, or with `--check` name those that differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 when a text is out of date")
    given = parser.parse_args()
    stale = []
    for name, render in PAGES.items():
        path, text = REFERENCE / name, render()
        if given.check:
            if not path.exists() or path.read_text() != text:
                stale.append(str(path.relative_to(HERE.parent)))
        else:
            path.write_text(text)
    if not given.check:
        from screenshots import write_pictures

        if not write_pictures():
            sys.stderr.write("docs/ui is as it was: its pictures need Debian's chromium, and ../shared/data/drift\n")
    if stale:
        sys.stderr.write(f"out of date: {', '.join(stale)}; run `make docs`\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
