"""Corpora on the terminal: their states and numbers.

Belongs here: gathering states, how they are shown. Not here: what a state is (see lakehouse/retrieval/corpus_state.py).
"""

from __future__ import annotations

from typing import Any

from rich.filesize import decimal
from rich.table import Table

from lakehouse.counted import counted
from lakehouse.retrieval.corpus_state import CorpusState, state_of
from lakehouse.retrieval.live_table import BrokenPointer, LiveTable
from lakehouse_cli.terminal import output_console, shown

COLORS = {"built": "green", "broken": "red", "undeclared": "white"}
HIDDEN_KINDS = frozenset({"memory"})


def read_states() -> list[CorpusState]:
    """The state of every corpus that is declared or built, by name."""
    from lakehouse.adapters.connect import connect_store
    from lakehouse.adapters.corpus_context import SettingsEmbedders
    from lakehouse.adapters.corpus_files import read_folder
    from lakehouse.adapters.lance_tables import list_tables
    from lakehouse_cli.reading_settings import read_settings

    settings = read_settings()
    store, embedders = connect_store(settings), SettingsEmbedders(settings)
    declared = {d.name: d.declaration or d.problem for d in read_folder(settings.corpora_dir)}
    live = {name: _read(store, name) for name in list_tables(store)}
    states = [
        state_of(name, declared.get(name), live.get(name), name_of=embedders.name_of)
        for name in sorted(declared.keys() | live.keys())
    ]
    return [state for state in states if state.kind not in HIDDEN_KINDS]


def print_states(states: list[CorpusState]) -> None:
    """Show them."""
    console = output_console()
    if not states:
        console.print("no corpora; declare one in corpora/, see docs/guides/corpora.md")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("name", "state", "rows", "embedder", "version", "fragments", "updated", "source"):
        table.add_column(name, no_wrap=name != "source")
    for state in states:
        told = (
            f"{state.rows:,}", shown(state.embedder), str(state.version or ""), str(state.fragments or ""),
            state.updated_at[:16].replace("T", " "), shown(state.source),
        )  # fmt: skip
        table.add_row(state.name, f"[{COLORS.get(state.state, 'yellow')}]{state.state}[/]", *told)
    console.print(table)
    for state in states:
        if state.problem:
            console.print(f"[red]broken[/] {state.name}: {shown(state.problem)}")


def print_stats(document: dict[str, Any]) -> None:
    """Show one corpus."""
    console = output_console()
    info = document["info"]
    console.print(
        f"[bold]{document['name']}[/] version {document['version']}: {counted(document['rows'], 'row')},"
        f" {decimal(document['bytes'])}, {info.get('dimension')} x float32 by {info.get('embedder')},"
        f" {info.get('distance')}"
    )
    table = Table(box=None, pad_edge=False, show_header=False)
    for key in ("uri", "fragments", "deleted_rows", "versions", "generation", "is_ahead"):
        table.add_row(key, str(document[key]))
    for key in ("description", "source", "rerank_embedder", "metadata_columns", "pii_columns", "chunking", "index"):
        if info.get(key):
            table.add_row(key, shown(_told(info[key])))
    console.print(table)


def _told(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_told(of)}" for key, of in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _read(store: Any, name: str) -> LiveTable | str | None:
    from lakehouse.retrieval.live_pointer import LivePointer

    try:
        return LivePointer(store, name).read()
    except BrokenPointer as error:
        return error.detail
