"""The difference of two builds: parameters, counts, samples that were added, removed, or changed their split.

Belongs here: the comparison of two folders. Not here: manifests (see lakehouse/distillation/manifest.py), building (see
distill_build.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lakehouse.adapters.distill_build import MANIFEST
from lakehouse.adapters.distill_writer import PROVENANCE
from lakehouse.distillation.manifest import BuildManifest, read_manifest
from lakehouse.errors import NotFound
from lakehouse.query.quoting import quote_text

MOST_NAMED = 1000
_NO_ROWS = (
    "(SELECT NULL::VARCHAR AS sample_id, NULL::VARCHAR AS run_id, NULL::VARCHAR AS other_run_id,"
    " NULL::VARCHAR AS split LIMIT 0)"
)
_RUNS = "SELECT DISTINCT unnest([run_id, other_run_id]) AS run_id FROM {0}"


@dataclass(frozen=True, slots=True)
class SplitChange:
    """A sample that stands in another split."""

    sample_id: str
    run_id: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class BuildDifference:
    """What changed from one build to another; lists name the first thousand, counts are whole.

    Attributes:
        parameters: Changed ones, each with its value before and after.
        inputs: Changed inputs (rules, files held out, names), likewise.
        counts: Changed accounts by dotted name, likewise.
        runs_added: Runs that only the second holds.
        runs_added_count: Their number.
        runs_gone: Runs that only the first holds.
        runs_gone_count: Their number.
        split_changes: Samples of both that stand in another split.
        split_changes_count: Their number.
    """

    parameters: Mapping[str, tuple[Any, Any]]
    inputs: Mapping[str, tuple[Any, Any]]
    counts: Mapping[str, tuple[int, int]]
    runs_added: tuple[str, ...]
    runs_added_count: int
    runs_gone: tuple[str, ...]
    runs_gone_count: int
    split_changes: tuple[SplitChange, ...]
    split_changes_count: int


def diff_builds(a: Path, b: Path) -> BuildDifference:
    """Compare two builds.

    Args:
        a: Folder of the first.
        b: Folder of the second.

    Raises:
        NotFound: A folder holds no manifest.
        BadInput: A manifest is none.
    """
    import duckdb

    one, other = _manifest(a), _manifest(b)
    with duckdb.connect() as engine:
        before, after = _rows(a), _rows(b)
        added = _named(engine, f"({_RUNS.format(after)}) EXCEPT ({_RUNS.format(before)})")
        gone = _named(engine, f"({_RUNS.format(before)}) EXCEPT ({_RUNS.format(after)})")
        moved = f"FROM {before} x JOIN {after} y USING (sample_id) WHERE x.split <> y.split"
        changes = engine.execute(
            f"SELECT sample_id, x.run_id, x.split, y.split {moved} ORDER BY sample_id LIMIT {MOST_NAMED}"
        ).fetchall()
        changed = engine.execute(f"SELECT count(*) {moved}").fetchall()[0][0]
    return BuildDifference(
        parameters=_changed(one.parameters.to_document(), other.parameters.to_document()),
        inputs=_changed(_inputs(one), _inputs(other)),
        counts=_changed(_counts(one), _counts(other)),
        runs_added=added[0],
        runs_added_count=added[1],
        runs_gone=gone[0],
        runs_gone_count=gone[1],
        split_changes=tuple(SplitChange(*change) for change in changes),
        split_changes_count=changed,
    )


def _manifest(folder: Path) -> BuildManifest:
    try:
        return read_manifest((folder / MANIFEST).read_bytes())
    except FileNotFoundError:
        raise NotFound(f"{folder} holds no {MANIFEST}; give the folder of a build") from None


def _rows(folder: Path) -> str:
    path = folder / PROVENANCE
    return f"read_parquet({quote_text(str(path))})" if path.exists() else _NO_ROWS


def _named(engine: Any, statement: str) -> tuple[tuple[str, ...], int]:
    runs = f"FROM ({statement}) WHERE run_id IS NOT NULL"
    named = engine.execute(f"SELECT run_id {runs} ORDER BY run_id LIMIT {MOST_NAMED}").fetchall()
    return tuple(run for (run,) in named), engine.execute(f"SELECT count(*) {runs}").fetchall()[0][0]


def _inputs(manifest: BuildManifest) -> dict[str, Any]:
    inputs = manifest.inputs
    return {
        "fingerprint": inputs.fingerprint, "runs": inputs.runs, "rules_versions": inputs.rules_versions,
        "held_out_sha256": inputs.held_out_sha256, "names_fingerprint": inputs.names_fingerprint,
        "code_version": manifest.code_version,
    }  # fmt: skip


def _counts(manifest: BuildManifest) -> dict[str, int]:
    counts = manifest.counts
    flat = {"candidates": counts.candidates, "samples": counts.samples}
    for name in ("by_gate", "by_split", "by_form", "by_source", "by_licence", "by_reason", "by_verdict", "personal"):
        flat.update({f"{name}.{key}": count for key, count in getattr(counts, name).items()})
    return flat


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    names = sorted({*before, *after})
    return {name: (before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)}
