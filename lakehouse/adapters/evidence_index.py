"""The index of evidence in the bucket: where the line of every run is, and which one serves.

It is a function of what the streams' manifests name and of the retracted runs. When another index is published while
one is being made, it is made once more, so that no index knows less than the one before it.

Belongs here: bringing the index up to date. Not here: what is said of a line (see evidence_judging.py), records (see
evidence_materializer.py), reading through the index (see evidence_lake.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import orjson

from lakehouse.adapters.evidence_judging import ToJudge, judge_lines
from lakehouse.adapters.evidence_lake import CURRENT, EVIDENCE, EXCLUDED, INDEX, INDEX_TABLE, open_lake, root_of
from lakehouse.adapters.evidence_materializer import TABLE
from lakehouse.adapters.objects import S3Location
from lakehouse.adapters.scratch import scratch_folder
from lakehouse.catalog.partitioned import Partition, PartitionedTable, PartitionFile, TableManifest
from lakehouse.clock import utc_now
from lakehouse.errors import Conflict, Unavailable
from lakehouse.evidence.transforms import TRANSFORMS
from lakehouse.storage.objects import ObjectStore
from lakehouse.storage.publish import publish

_CODE_VERSION = 1
"""Rises when lines of an index before cannot be taken over: it is made from scratch then."""
_CODE = "code_version"
_FOLDER = "evidence/index/"
_VERSION = "version of "
_ATTEMPTS = 5


class EvidenceIndex:
    """The index of one bucket.

    Args:
        store: The bucket.
        location: The same for engines, with keys that may read; or a folder in which the objects lie.
        work_dir: Local folder for temporary files.
        retracted: Gives the runs that serve no more.
        clock: The time now.
    """

    def __init__(
        self,
        store: ObjectStore,
        location: S3Location | Path,
        *,
        work_dir: Path,
        retracted: Callable[[], Sequence[str]] = lambda: (),
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store = store
        self._location = location
        self._work_dir = work_dir
        self._retracted = retracted
        self._table = PartitionedTable(store, INDEX_TABLE, clock=clock)
        self._clock = clock

    def read(self) -> TableManifest:
        """The manifest of the index as it serves."""
        return self._table.read()

    def is_behind(self) -> bool:
        """Whether a refresh would have something to do.

        Raises:
            StoreUnavailable: The store does not answer.
        """
        before = self._table.read().partitions.get(CURRENT)
        manifests = self._streams()
        return _is_old(before, _fingerprint(manifests, self._retracted_now()))

    def refresh(self) -> tuple[TableManifest, bool]:
        """Bring the index up to what the streams' manifests name.

        Returns:
            Its manifest, and whether there was anything to do.

        Raises:
            Unavailable: Others kept making it at the same time; what they made serves.
            StoreUnavailable: The store does not answer; what served goes on serving.
        """
        for _ in range(_ATTEMPTS):
            # The index is read before the manifests, so that the new one is made of nothing older than it.
            live = self._table.read()
            before = live.partitions.get(CURRENT)
            manifests, retracted = self._streams(), self._retracted_now()
            fingerprint = _fingerprint(manifests, retracted)
            if not _is_old(before, fingerprint):
                return live, False
            made = self._make(before, manifests, retracted, fingerprint)

            def replace_before(
                now: TableManifest, before: Partition | None = before, made: Partition = made
            ) -> dict[str, Partition]:
                there = now.partitions.get(CURRENT)
                if there not in (before, made):
                    raise Conflict("another index came first")
                return {CURRENT: made}

            try:
                return self._table.commit(replace_before), True
            except Conflict:
                continue
        raise Unavailable("others kept making the index of evidence at the same time; try again", retry_after_s=5)

    def _retracted_now(self) -> list[str]:
        return sorted(set(self._retracted()))

    def _streams(self) -> dict[str, TableManifest]:
        with ThreadPoolExecutor(len(TRANSFORMS)) as pool:
            read = pool.map(lambda stream: PartitionedTable(self._store, TABLE + stream).read(), TRANSFORMS)
            return dict(zip(TRANSFORMS, read, strict=True))

    def _make(
        self,
        before: Partition | None,
        manifests: Mapping[str, TableManifest],
        retracted: Sequence[str],
        fingerprint: str,
    ) -> Partition:
        files = _evidence_files(manifests)
        usable = before if before is not None and before.counts.get(_CODE) == _CODE_VERSION else None
        known = set() if usable is None else {file.key for file in usable.files if file.role == EVIDENCE}
        index = None if usable is None else usable.file(INDEX)
        task = ToJudge(
            root=root_of(self._location),
            before=index.key if index is not None and index.rows else None,
            named=[file.key for file in files],
            new=[file.key for file in files if file.key not in known],
            retracted=retracted,
        )
        with scratch_folder(self._work_dir, "index-") as folder:
            with open_lake(self._location, folder) as engine:
                judged = judge_lines(engine, task, folder)
            published = (
                self._publish(judged.index, INDEX, judged.rows),
                self._publish(judged.excluded, EXCLUDED, judged.excluded_rows),
            )
        versions = {f"{_VERSION}{stream}": manifest.version for stream, manifest in manifests.items()}
        counts = {**judged.counts, **versions, _CODE: _CODE_VERSION}
        return Partition(fingerprint, (*published, *files), counts)

    def _publish(self, path: Path, role: str, rows: int) -> PartitionFile:
        one = publish(self._store, path, lambda sha256: f"{_FOLDER}{role}-{sha256}.parquet", clock=self._clock)
        return PartitionFile(role, one.key, one.size, one.sha256, rows)


def _is_old(before: Partition | None, fingerprint: str) -> bool:
    return before is None or before.fingerprint != fingerprint


def _evidence_files(manifests: Mapping[str, TableManifest]) -> list[PartitionFile]:
    files = (
        partition.file(EVIDENCE)
        for _, manifest in sorted(manifests.items())
        for _, partition in sorted(manifest.partitions.items())
    )
    return [file for file in files if file is not None]


def _fingerprint(manifests: Mapping[str, TableManifest], retracted: Sequence[str]) -> str:
    said = [_CODE_VERSION, [[f.key, f.sha256] for f in _evidence_files(manifests)], list(retracted)]
    return hashlib.sha256(orjson.dumps(said)).hexdigest()
