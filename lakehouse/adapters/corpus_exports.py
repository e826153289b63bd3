"""Built corpora in the bucket: each build under `exports/<kind>/<build_id>/`, its manifest last.

A build's id is a hash of what it was made of, so building it again changes nothing. A build exists once its manifest is
in the bucket; the manifest of the table `builds` lists all of them.

Belongs here: builds from the bucket to the bucket, their list. Not here: building (see distill_build.py).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from lakehouse.adapters.distill_build import Build, build_corpus
from lakehouse.adapters.distill_writer import PROVENANCE
from lakehouse.adapters.drift_gate import DriftGate
from lakehouse.adapters.evidence_lake import (
    BUILDS_TABLE,
    INDEX_TABLE,
    SCORED_TABLE,
    SUPERSEDED_BY,
    add_relations,
    open_lake,
    root_of,
)
from lakehouse.adapters.evidence_materializer import RunFacts
from lakehouse.adapters.objects import S3Location
from lakehouse.adapters.scratch import scratch_folder
from lakehouse.catalog.partitioned import Partition, PartitionedTable, PartitionFile, TableManifest
from lakehouse.clock import utc_now
from lakehouse.distillation.manifest import BuildManifest
from lakehouse.distillation.parameters import CorpusParameters
from lakehouse.query.quoting import quote_text
from lakehouse.receipts.receipt import Receipt, ReceiptCounts, ReceiptItem, write_receipt
from lakehouse.storage.objects import ObjectStore, list_all

PREFIX = "exports/"
MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Exported:
    """A build in the bucket; `is_new` says whether it was not there before."""

    manifest: BuildManifest
    prefix: str
    is_new: bool


class CorpusExports:
    """The builds of one bucket.

    Args:
        store: The bucket.
        location: The bucket's address with read-only keys, for query engines.
        work_dir: Local folder for unfinished builds.
        clock: The time now, for receipts.
    """

    def __init__(
        self,
        store: ObjectStore,
        location: S3Location,
        *,
        work_dir: Path,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store = store
        self._location = location
        self._work_dir = work_dir
        self._table = PartitionedTable(store, BUILDS_TABLE, clock=clock)
        self._clock = clock

    def export(
        self,
        params: CorpusParameters,
        run: RunFacts,
        *,
        held_out: Path | None = None,
        names: Iterable[str] | None = None,
        is_dry: bool = False,
        is_repair: bool = False,
        on_build: Callable[[Build], None] = lambda _: None,
    ) -> Exported:
        """Build a corpus of the scored evidence there is, and keep it in the bucket.

        Args:
            params: What is built.
            run: Who does it.
            held_out: JSON lines that nothing may be trained on, or None.
            names: Full names of people to be scrubbed, or None.
            is_dry: Build, and keep nothing.
            is_repair: It replaces a build that has to go, and is made even when there is drift.
            on_build: Called with the build while its folder is there, also when it was kept before; not when dry.

        Raises:
            BadInput: The held-out file is no such file.
            Conflict: Drift is confirmed and nobody has acknowledged it.
            StoreUnavailable: The store does not answer; what was put up so far is named by nothing.
        """
        started_at = self._clock()
        names = None if names is None else tuple(names)
        if not is_dry and not is_repair:
            DriftGate(self._store).require_open()
        index = PartitionedTable(self._store, INDEX_TABLE).read()
        scored = PartitionedTable(self._store, SCORED_TABLE).read()
        self._work_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="export-", dir=self._work_dir) as name:
            with open_lake(self._location, Path(name)) as engine:
                add_relations(engine, self._location.bucket, index, scored)
                build = build_corpus(engine, params, Path(name) / "builds", held_out=held_out, names=names)
            manifest = build.manifest
            prefix = f"{PREFIX}{params.kind}/{manifest.build_id}/"
            entry = f"{params.kind}/{manifest.build_id}"
            is_new = not _is_kept(self._table.read().partitions.get(entry))
            if is_dry:
                return Exported(manifest, prefix, is_new)
            files = self._put(build, prefix) if is_new else []
            on_build(build)
        if not is_new:
            return Exported(manifest, prefix, is_new)
        receipt = self._receipt(manifest, params, files, run, started_at)
        write_receipt(self._store, receipt)
        created_us = int(receipt.ended_at.timestamp() * 1_000_000)
        counts = {
            "samples": manifest.counts.samples, "candidates": manifest.counts.candidates, "created_us": created_us,
        }  # fmt: skip
        partition = Partition(manifest.build_id, tuple(files), counts, receipt.key)
        self._table.commit(lambda live: {} if _is_kept(live.partitions.get(entry)) else {entry: partition})
        if self._holds_retracted(entry, index):
            # A run was retracted meanwhile, and whoever retracted it looked for its builds before this one was listed.
            self.supersede(entry, by="")
            return self.export(params, run, held_out=held_out, names=names, is_repair=is_repair, on_build=on_build)
        return Exported(manifest, prefix, is_new)

    def _holds_retracted(self, entry: str, made_of: TableManifest) -> bool:
        """Whether a build has runs that have been retracted since the index that it was made from."""
        now = PartitionedTable(self._store, INDEX_TABLE).read()
        build = self._table.read().partitions.get(entry)
        file = None if build is None else build.file(PROVENANCE)
        if now.version == made_of.version or file is None or not file.rows:
            return False
        rows = f"read_parquet([{quote_text(root_of(self._location) + file.key)}])"
        with scratch_folder(self._work_dir, "held-") as folder, open_lake(self._location, folder) as engine:
            add_relations(engine, self._location.bucket, now)
            found = engine.execute(
                f"SELECT count(*) FROM (SELECT unnest([run_id, other_run_id]) AS run_id FROM {rows})"
                " SEMI JOIN (FROM evidence_index WHERE status = 'retracted') USING (run_id)"
            ).fetchone()
        return found is not None and found[0] > 0

    def supersede(self, entry: str, *, by: str) -> list[str]:
        """Mark a build as superseded, then remove its files.

        Args:
            entry: `<kind>/<build_id>`.
            by: The id of the build that takes its place; empty: none does.

        Returns:
            The keys that were removed.

        Raises:
            StoreUnavailable: The store does not answer; doing it again goes on from here.
        """
        superseded_us = int(self._clock().timestamp() * 1_000_000)

        def mark(live: TableManifest) -> dict[str, Partition]:
            there = live.partitions.get(entry)
            if there is None or not _is_kept(there):
                return {}
            counts = {**there.counts, "superseded_us": superseded_us}
            return {entry: replace(there, files=(PartitionFile(SUPERSEDED_BY, by, 0, "", 0),), counts=counts)}

        self._table.commit(mark)
        removed = [info.key for info in list_all(self._store, f"{PREFIX}{entry}/")]
        # The manifest goes first: a build is there when its manifest is.
        for key in sorted(removed, key=lambda key: not key.endswith(f"/{MANIFEST}")):
            self._store.delete(key)
        return removed

    def _put(self, build: Build, prefix: str) -> list[PartitionFile]:
        """Upload the files, the manifest last.

        Files that a killed build has uploaded are put again, so that they are young and garbage collection spares them.
        """
        files = [
            PartitionFile(file.name, prefix + file.name, file.bytes, file.sha256, file.rows or 0)
            for file in build.manifest.files
        ]
        for name in [*(file.name for file in build.manifest.files), MANIFEST]:
            self._store.put(prefix + name, build.folder / name)
        return files

    def _receipt(
        self,
        manifest: BuildManifest,
        params: CorpusParameters,
        files: list[PartitionFile],
        run: RunFacts,
        started_at: datetime,
    ) -> Receipt:
        counts = manifest.counts
        return Receipt(
            asset=f"exports/{params.kind}",
            partition=manifest.build_id,
            run_id=run.run_id,
            code_version=manifest.code_version,
            git_commit=run.git_commit,
            started_at=started_at,
            ended_at=self._clock(),
            inputs=(ReceiptItem("evidence", manifest.inputs.fingerprint, manifest.inputs.runs),),
            outputs=tuple(ReceiptItem(file.key, file.sha256, file.rows) for file in files),
            counts=ReceiptCounts(
                taken=counts.candidates,
                new=counts.samples,
                quarantined=counts.candidates - counts.samples,
                out=counts.samples,
            ),
        )


def _is_kept(partition: Partition | None) -> bool:
    """Whether a build is there with its files."""
    return partition is not None and partition.file(SUPERSEDED_BY) is None
