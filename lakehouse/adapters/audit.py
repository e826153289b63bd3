"""The audit: everything that the platform says of its files and runs, held against what there is.

A check that cannot be made is a finding, and the other checks go on.

Belongs here: the order of the checks, the report's place. Not here: each check (see the other audit_ modules), the form
of the report (see lakehouse/lineage/findings.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.adapters import audit_chains, audit_lines
from lakehouse.adapters.audit_manifests import check_builds, check_bytes, check_files, read_named
from lakehouse.adapters.audit_receipts import check_receipts
from lakehouse.adapters.evidence_lake import INDEX_TABLE, SCORED_TABLE, add_relations, open_lake, root_of
from lakehouse.adapters.scratch import scratch_folder
from lakehouse.clock import new_id, utc_now
from lakehouse.errors import InsufficientStorage, LakehouseError, StoreUnavailable
from lakehouse.lineage.findings import CHECKS, AuditReport, Check, Finding, Ledger

if TYPE_CHECKING:
    import duckdb

    from lakehouse.adapters.audit_manifests import Named
    from lakehouse.adapters.objects import S3Location
    from lakehouse.storage.objects import ObjectStore

SAMPLE = 1000


class Auditor:
    """Audits one bucket; writes nothing but the report.

    Args:
        store: The bucket.
        location: The bucket's address with read-only keys, for query engines.
        work_dir: Local folder for temporary files.
        clock: The time now.
    """

    def __init__(
        self, store: ObjectStore, location: S3Location, *, work_dir: Path, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._store = store
        self._location = location
        self._work_dir = work_dir
        self._clock = clock

    def audit(self, *, is_full: bool = False, sample: int = SAMPLE) -> AuditReport:
        """Run every check.

        Args:
            is_full: Read every byte, and hold every line against its bytes.
            sample: How many lines to hold against their bytes otherwise.

        Raises:
            StoreUnavailable: The store does not answer.
            InsufficientStorage: There is not enough memory or disk.
        """
        audit_id, started_at, ledger = new_id(), self._clock(), Ledger()
        named = read_named(self._store, ledger)
        check_files(self._store, named, ledger)
        check_builds(self._store, named, ledger)
        check_receipts(self._store, named, ledger, is_full=is_full)
        if is_full:
            check_bytes(self._store, named.files, ledger)
        audit_chains.check_index(named, ledger)
        with scratch_folder(self._work_dir, "audit-") as folder:
            self._check_runs(named, ledger, folder, sample=None if is_full else sample, seed=audit_id)
        return AuditReport.of(ledger, audit_id=audit_id, started_at=started_at, ended_at=self._clock(), is_full=is_full)

    def keep(self, report: AuditReport) -> str:
        """Store a report under `audits/<id>/`; gives the key of the one for people."""
        self._store.put(f"{report.prefix}report.json", report.to_json(), content_type="application/json")
        key = f"{report.prefix}report.md"
        self._store.put(key, report.to_markdown().encode(), content_type="text/markdown; charset=utf-8")
        return key

    def _check_runs(self, named: Named, ledger: Ledger, folder: Path, *, sample: int | None, seed: str) -> None:
        """The checks that need an engine; each has one of its own, since a damaged file ends the engine's query."""

        def lines(engine: duckdb.DuckDBPyConnection) -> None:
            if sample is None:
                audit_lines.check_all(self._store, engine, ledger)
            else:
                audit_lines.check_sample(self._store, engine, ledger, count=sample, seed=seed)

        def builds(engine: duckdb.DuckDBPyConnection) -> None:
            audit_chains.check_builds(engine, root_of(self._location), named, ledger)

        def sources(engine: duckdb.DuckDBPyConnection) -> None:
            audit_chains.check_sources(self._store, engine, ledger)

        def scores(engine: duckdb.DuckDBPyConnection) -> None:
            audit_chains.check_scores(engine, ledger)

        checks: list[tuple[Check, str, Callable[[duckdb.DuckDBPyConnection], None]]] = [
            ("lines", INDEX_TABLE, lines), ("chains", INDEX_TABLE, sources), ("chains", "builds", builds),
            ("chains", SCORED_TABLE, scores),
        ]  # fmt: skip
        for check, table, run in checks:
            with _told(check, table, ledger), open_lake(self._location, folder) as engine:
                add_relations(engine, self._location.bucket, named.table(INDEX_TABLE), named.table(SCORED_TABLE))
                run(engine)


@contextmanager
def _told(check: Check, table: str, ledger: Ledger) -> Iterator[None]:
    """Turn a check that could not be done into a finding."""
    import duckdb

    try:
        yield
    except InsufficientStorage:
        raise
    except (StoreUnavailable, duckdb.Error) as error:
        reason = error.detail if isinstance(error, LakehouseError) else type(error).__name__
        what = f"could not be checked: {CHECKS[check]} ({reason})"
        remedy = "A file of it is damaged or gone, which the checks `manifests` and, in full, `bytes` name"
        ledger.find(Finding(check, table, what, remedy))
