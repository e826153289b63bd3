"""Tables on the terminal: search results, playbooks, indexes.

Belongs here: how documents of the API are shown. Not here: getting them (see search_commands.py).
"""

from __future__ import annotations

import json
from typing import Any

from rich.table import Column, Table

from lakehouse_cli.terminal import id_column, output_console, shown

_MAX_METADATA = 120


def print_results(answer: Any) -> None:
    """Show results, best first, and what each corpus gave."""
    console = output_console()
    table = Table(Column("id", overflow="fold"), "corpus", "score", "playbook", "metadata")
    for result in answer["results"]:
        lift = result["playbook"]
        table.add_row(
            shown(result["id"]),
            shown(result["corpus"]),
            f"{result['score']:.4f}",
            "" if lift is None else f"{lift['boost']:+.3f}",
            shown(_short(json.dumps(result["metadata"], ensure_ascii=False))),
        )
    console.print(table)
    counts = ", ".join(f"{name} {c['hits']} found, {c['dropped']} dropped" for name, c in answer["corpora"].items())
    stale = f"; stale: {', '.join(answer['stale'])}" if answer["stale"] else ""
    console.print(
        f"[dim]{shown(counts)}; arm {answer['arm']}, {answer['config_version']}, "
        f"{answer['timings_ms']['total']:.1f} ms{shown(stale)}[/]"
    )
    for name, reason in answer.get("unjudged", {}).items():
        console.print(f"[dim]{shown(name)}: no relevance threshold: {shown(reason)}[/]")


def print_playbooks(answer: Any) -> None:
    """Show entries, oldest first."""
    table = Table(id_column("playbook"), "query", "answer", "corpus", "evidence", "score")
    for entry in answer["playbooks"]:
        table.add_row(
            entry["playbook_id"],
            shown(_short(entry["query"])),
            shown(entry["answer_id"]),
            shown(entry["answer_corpus"] or "any"),
            str(entry["evidence"]),
            f"{entry['mean_score']:+.2f}",
        )
    output_console().print(table)
    if answer["next"]:
        output_console().print("[dim]there are more; raise --limit[/]")


def print_indexes(answer: Any) -> None:
    """Show indexes with their shape."""
    table = Table("index", "kind", "rows", "dimension", "distance", "embedder", "held as")
    for index in answer["indexes"]:
        table.add_row(
            index["name"],
            index["kind"],
            f"{index['rows']:,}",
            str(index["dimension"]),
            index["distance"],
            shown(index["embedder"]),
            shown(str(index["state"].get("kind", ""))),
        )
    output_console().print(table)


def _short(text: str) -> str:
    return text if len(text) <= _MAX_METADATA else f"{text[: _MAX_METADATA - 1]}…"
