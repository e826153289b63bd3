"""Chains: what lies behind evidence is there, and what was made of runs is made of runs that serve.

Belongs here: raw objects behind the index, runs behind builds and scores, the index behind its streams. Not here: lines
(see audit_lines.py), files (see audit_manifests.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakehouse.adapters.audit_manifests import Named
from lakehouse.adapters.distill_writer import PROVENANCE
from lakehouse.adapters.evidence_lake import BUILDS_TABLE, CURRENT, EVIDENCE, INDEX_TABLE
from lakehouse.adapters.evidence_materializer import TABLE
from lakehouse.counted import counted
from lakehouse.evidence.transforms import TRANSFORMS
from lakehouse.lineage.findings import Finding, Ledger
from lakehouse.query.quoting import quote_text

if TYPE_CHECKING:
    import duckdb

    from lakehouse.storage.objects import ObjectStore

_SERVING = "SELECT run_id, sha256 FROM evidence_index WHERE status = 'serves'"


def check_sources(store: ObjectStore, engine: duckdb.DuckDBPyConnection, ledger: Ledger) -> None:
    """Raw objects that evidence was made of are there."""
    rows = engine.execute("SELECT source_key, count(*) FROM evidence_index GROUP BY 1 ORDER BY 1").fetchall()
    for source_key, count in rows:
        ledger.looked("chains")
        if store.head(source_key) is None:
            what = f"is not there; {counted(count, 'record', 'was')} made of it"
            ledger.find(Finding("chains", source_key, what, "Restore it from a backup"))


def check_index(named: Named, ledger: Ledger) -> None:
    """The index is of the files that the streams' manifests name."""
    current = named.table(INDEX_TABLE).partitions.get(CURRENT)
    indexed = set() if current is None else {file.key for file in current.files if file.role == EVIDENCE}
    streams = (named.table(TABLE + stream) for stream in TRANSFORMS)
    there = {
        file.key
        for manifest in streams
        for partition in manifest.partitions.values()
        for file in partition.files
        if file.role == EVIDENCE
    }
    ledger.looked("chains", len(there | indexed))
    for key in sorted(there ^ indexed):
        what = "is not in the index yet" if key in there else "is in the index, but its stream names another file"
        remedy = "`lakehouse materialize` brings the index up to date"
        ledger.find(Finding("chains", key, what, remedy, "notice"))


def check_builds(engine: duckdb.DuckDBPyConnection, root: str, named: Named, ledger: Ledger) -> None:
    """Runs of builds serve, by the very line that the build was made of.

    Args:
        engine: Has the relation `evidence_index`.
        root: What stands before a key.
        named: What manifests name.
        ledger: Takes findings.
    """
    for entry, partition in sorted(named.table(BUILDS_TABLE).partitions.items()):
        file = partition.file(PROVENANCE)
        if file is None or not file.rows:
            continue
        ledger.looked("chains")
        source = f"read_parquet([{quote_text(root + file.key)}])"
        row = engine.execute(f"""
          WITH sides AS (
            SELECT run_id, sha256 FROM {source} UNION ALL
            SELECT other_run_id, other_sha256 FROM {source} WHERE other_run_id IS NOT NULL),
          lines AS (SELECT DISTINCT run_id, sha256 FROM sides),
          off AS (SELECT l.*, l.run_id IN (SELECT run_id FROM ({_SERVING})) AS is_served
            FROM lines l ANTI JOIN ({_SERVING}) s ON s.run_id = l.run_id AND s.sha256 = l.sha256)
          SELECT count(*) FILTER (NOT is_served), min(run_id) FILTER (NOT is_served),
            count(*) FILTER (is_served), min(run_id) FILTER (is_served) FROM off""").fetchone()
        gone, one_gone, other, one_other = row or (0, None, 0, None)
        if gone:
            what = f"is made of {counted(gone, 'run')} not serving, such as {one_gone}"
            remedy = "Build it anew; `lakehouse retract` does so for runs that it retracts"
            ledger.find(Finding("chains", f"exports/{entry}", what, remedy))
        if other:
            what = f"is made of lines of {counted(other, 'run')} corrected since, such as {one_other}"
            ledger.find(Finding("chains", f"exports/{entry}", what, "Build it anew", "notice"))


def check_scores(engine: duckdb.DuckDBPyConnection, ledger: Ledger) -> None:
    """Runs that have a score serve; scores follow the index within minutes."""
    row = engine.execute(
        f"SELECT count(*), min(run_id) FROM scored s ANTI JOIN ({_SERVING}) i ON i.run_id = s.run_id"
    ).fetchone()
    ledger.looked("chains")
    count, one = row or (0, None)
    if count:
        what = f"and {counted(count - 1, 'other', 'has')} scores without serving"
        ledger.find(Finding("chains", str(one), what, "`lakehouse score` brings the scores up to date", "notice"))
