"""Tables on the terminal: datasets, versions, a dataset's columns, a query's answer.

Belongs here: how documents of the API are shown. Not here: getting them (see data_commands.py).
"""

from __future__ import annotations

from typing import Any

from rich.filesize import decimal
from rich.table import Table

from lakehouse.counted import counted
from lakehouse_cli.terminal import output_console, shown


def print_list(document: Any) -> None:
    """Show all datasets; broken ones with the reason."""
    table = _table("name", "rows", "size", "version", "updated", "columns")
    for manifest in document["datasets"]:
        table.add_row(
            manifest["name"],
            f"{manifest['row_count']:,}",
            decimal(manifest["size_bytes"]),
            str(manifest["version"]),
            manifest["updated_at"][:19].replace("T", " "),
            str(len(manifest["columns"])),
        )
    console = output_console()
    console.print(table if table.row_count else "no datasets yet; load one with: lakehouse ingest FILE --name NAME")
    for name, reason in document["broken"].items():
        console.print(f"[red]broken[/] {shown(name)}: {shown(reason)}")


def print_versions(document: Any) -> None:
    """Show a dataset's versions, newest first."""
    table = _table("version", "rows", "size", "updated", "by", "note")
    for version in sorted(document["versions"], key=lambda v: v["version"], reverse=True):
        table.add_row(
            str(version["version"]),
            f"{version['row_count']:,}",
            decimal(version["size_bytes"]),
            version["updated_at"][:19].replace("T", " "),
            shown(version.get("committed_by", "")),
            shown(version.get("note", "")),
        )
    output_console().print(table)


def print_dataset(manifest: Any) -> None:
    """Show one dataset with its columns."""
    console = output_console()
    console.print(
        f"[bold]{manifest['name']}[/] version {manifest['version']}: {counted(manifest['row_count'], 'row')},"
        f" {decimal(manifest['size_bytes'])} in {counted(len(manifest['objects']), 'object')},"
        f" updated {manifest['updated_at']}"
    )
    table = _table("column", "type", "personal data")
    for column in manifest["columns"]:
        table.add_row(shown(column["name"]), column["type"], "yes" if column["pii"] else "")
    console.print(table)


def print_answer(answer: Any) -> None:
    """Show a query's rows."""
    table = _table(*(shown(column["name"]) for column in answer["columns"]))
    for row in answer["rows"]:
        table.add_row(*(_cell(value) for value in row))
    console = output_console()
    console.print(table)
    if answer["truncated"]:
        console.print(f"[yellow]truncated[/] at {counted(answer['row_count'], 'row')}; see --max-rows")


def _cell(value: Any) -> str:
    return "[dim]NULL[/]" if value is None else shown(value)


def _table(*columns: str) -> Table:
    return Table(*columns, box=None, pad_edge=False, header_style="bold")
