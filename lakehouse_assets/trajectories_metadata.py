"""What the UI shows of an import: runs and refusals by file, published figures that the rows contradict.

Belongs here: turning results into Dagster metadata. Not here: importing (see trajectories.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dagster import MetadataValue

from lakehouse.adapters.trajectory_import import Imported
from lakehouse.trajectories.published import Finding

_SHOWN = 100


def import_metadata(done: Sequence[Imported], findings: Sequence[Finding]) -> Mapping[str, Any]:
    """Metadata of one materialization; tables hold the first hundred rows."""
    contradicted = [f for f in findings if f.verdict == "contradicted"]
    shown: dict[str, Any] = {
        "runs": sum(one.summary.runs for one in done if one.is_new),
        "refused": sum(one.summary.refused for one in done),
        "files_new": sum(one.is_new for one in done),
        "files_known": sum(one.key is not None and not one.is_new for one in done),
        "files_failed": sum(bool(one.error) for one in done),
        "files": MetadataValue.md(_table(("file", "runs", "refused", "outcome"), [_file(one) for one in done])),
    }
    if findings:
        rows = [(f.benchmark, f.model, f.field, f"{f.published:.6g}", f"{f.recomputed:.6g}") for f in contradicted]
        head = ("benchmark", "model", "field", "published", "recomputed")
        shown |= {"contradicted": len(contradicted), "contradictions": MetadataValue.md(_table(head, rows))}
    return shown


def _file(one: Imported) -> tuple[str, ...]:
    if one.error:
        return one.file, "", "", one.error
    if one.key is not None and not one.is_new:
        return one.file, "", "", "imported before"
    return one.file, f"{one.summary.runs:,}", f"{one.summary.refused:,}", one.key or "no run in it"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *(tuple(map(_cell, row)) for row in rows[:_SHOWN])]
    more = f"\n\nand {len(rows) - _SHOWN:,} more" if len(rows) > _SHOWN else ""
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + more


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
