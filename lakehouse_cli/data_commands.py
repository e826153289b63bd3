"""Commands for data: ingest, datasets, sql, sample.

Belongs here: options and output. Not here: HTTP (see client.py), generators (see lakehouse/sample/).
"""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from lakehouse.counted import counted
from lakehouse_cli.process_commands import JsonOption


class _Mode(StrEnum):
    REPLACE = "replace"
    APPEND = "append"


class _OnError(StrEnum):
    REFUSE = "refuse"
    QUARANTINE = "quarantine"


class _Format(StrEnum):
    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    ARROW = "arrow"


class _Sample(StrEnum):
    WORKERS = "workers"
    CLIENT_BLOCKS = "client_blocks"


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(ingest)
    app.command()(datasets)
    app.command()(sql)
    app.command()(sample)


def ingest(  # noqa: PLR0917 - Typer passes all by name
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="CSV, JSONL or Parquet.")],
    name: Annotated[str, typer.Option(help="Dataset to make or replace.")],
    mode: Annotated[_Mode, typer.Option(help="Replace the dataset's rows or add to them.")] = _Mode.REPLACE,
    types: Annotated[str, typer.Option(help='Types to fix, as JSON: {"zip": "VARCHAR"}.')] = "",
    encoding: Annotated[str, typer.Option(help="Encoding of the text.")] = "utf-8",
    delimiter: Annotated[str, typer.Option(help="Delimiter of a CSV, or `auto`.")] = ",",
    on_error: Annotated[_OnError, typer.Option(help="What bad records do.")] = _OnError.REFUSE,
    evolve: Annotated[bool, typer.Option("--evolve", help="Accept another schema.")] = False,
    allow_duplicate: Annotated[bool, typer.Option("--allow-duplicate", help="Append the same bytes again.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Load a file into a dataset through the API."""
    from rich.console import Console
    from rich.filesize import decimal
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from lakehouse_cli.client import connect_api
    from lakehouse_cli.reading_settings import read_settings

    given = {"types": types, "evolve": "true" if evolve else "", "allow_duplicate": "true" if allow_duplicate else ""}
    params = {"name": name, "mode": mode, "encoding": encoding, "delimiter": delimiter, "on_error": on_error}
    params |= {key: value for key, value in given.items() if value}
    errors = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    size = file.stat().st_size
    with (
        connect_api(read_settings()) as api,
        Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as progress,
    ):
        task = progress.add_task(file.name, total=size)
        answer = api.upload("/v1/ingest", file, params=params, on_bytes=lambda n: progress.advance(task, n))
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
        return
    verb = "already there" if answer["existing"] else "loaded"
    typer.echo(
        f"{verb}: {name} version {answer['version']}, {counted(answer['row_count'], 'row')}, {decimal(answer['bytes'])}"
    )
    if answer.get("quarantined"):
        where = ", ".join(answer["quarantine_keys"])
        typer.echo(f"quarantined: {counted(answer['quarantined'], 'record')}, with their reasons in {where}", err=True)


def datasets(
    name: Annotated[str | None, typer.Argument(help="One dataset; all of them when left out.")] = None,
    versions: Annotated[bool, typer.Option("--versions", help="List the dataset's versions.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List datasets, or show one with its columns or versions."""
    from lakehouse_cli import dataset_tables
    from lakehouse_cli.client import connect_api
    from lakehouse_cli.reading_settings import read_settings

    if versions and name is None:
        raise typer.BadParameter("--versions needs the name of a dataset")
    path = "/v1/catalog" if name is None else f"/v1/catalog/{name}{'/versions' if versions else ''}"
    with connect_api(read_settings()) as api:
        document = api.json("GET", path)
    if as_json:
        typer.echo(json.dumps(document, indent=2))
    elif name is None:
        dataset_tables.print_list(document)
    elif versions:
        dataset_tables.print_versions(document)
    else:
        dataset_tables.print_dataset(document)


def sql(
    query: Annotated[str, typer.Argument(help="One statement that reads; `-` takes it from stdin.")],
    output: Annotated[_Format, typer.Option("--format", "-f", help="Form of the answer.")] = _Format.TABLE,
    out: Annotated[Path | None, typer.Option(help="File to write instead of stdout.")] = None,
    max_rows: Annotated[int | None, typer.Option(min=1, help="Row limit.")] = None,
    as_of: Annotated[str | None, typer.Option(help="Time (ISO 8601) to read datasets and memory as of.")] = None,
) -> None:
    """Query the datasets."""
    from lakehouse_cli import dataset_tables
    from lakehouse_cli.client import connect_api
    from lakehouse_cli.reading_settings import read_settings

    if output is _Format.ARROW and out is None and sys.stdout.isatty():
        raise typer.BadParameter("--format arrow is binary: add --out FILE or a pipe")
    wire = "json" if output is _Format.TABLE else output.value
    body: dict[str, Any] = {"sql": sys.stdin.read() if query == "-" else query, "format": wire}
    body |= {k: v for k, v in {"max_rows": max_rows, "as_of": as_of}.items() if v is not None}
    with connect_api(read_settings()) as api:
        if output is _Format.TABLE and out is None:
            dataset_tables.print_answer(api.json("POST", "/v1/sql", json=body))
            return
        with api.stream("POST", "/v1/sql", json=body) as chunks:
            if out is None:
                for chunk in chunks:
                    sys.stdout.buffer.write(chunk)
                if wire == "json":
                    typer.echo()
                return
            with out.open("wb") as stream:
                stream.writelines(chunks)
    typer.echo(f"wrote {out}", err=True)


def sample(
    table: Annotated[_Sample, typer.Argument(help="Which table.")],
    rows: Annotated[int, typer.Option(min=0, help="How many rows.")] = 10_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 7,
    out: Annotated[Path | None, typer.Option(help="CSV file to write; default: <table>.csv.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="client_blocks: ids are drawn from 1 to this.")] = 10_000,
) -> None:
    """Write sample data as CSV: the staffing table, or who is blocked for which client."""
    from rich.console import Console
    from rich.progress import Progress

    from lakehouse.sample.client_blocks import write_client_blocks
    from lakehouse.sample.workers import write_workers

    path = out or Path(f"{table.value}.csv")
    if not path.parent.is_dir():
        raise typer.BadParameter(f"{path.parent} is not a folder", param_hint="--out")
    errors = Console(stderr=True)
    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as progress:
        task = progress.add_task(path.name, total=rows)
        if table is _Sample.WORKERS:
            size = write_workers(path, rows, seed, on_rows=lambda n: progress.advance(task, n))
        else:
            size = write_client_blocks(path, rows, seed, workers=workers)
    typer.echo(f"wrote {path}: {counted(rows, 'row')}, {counted(size, 'byte')}")
