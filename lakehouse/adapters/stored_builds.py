"""Built training corpora as they lie in the bucket, for whoever looks at them: their list, manifests, differences.

Belongs here: reading. Not here: making and keeping builds (see corpus_exports.py), comparing folders (see
distill_diff.py).
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lakehouse.adapters.corpus_exports import MANIFEST, PREFIX
from lakehouse.adapters.distill_diff import BuildDifference, diff_builds
from lakehouse.adapters.distill_writer import PROVENANCE
from lakehouse.adapters.evidence_lake import BUILDS_TABLE
from lakehouse.catalog.partitioned import PartitionedTable
from lakehouse.distillation.manifest import BuildManifest, read_manifest
from lakehouse.errors import NotFound
from lakehouse.storage.objects import ObjectStore

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class StoredBuild:
    """A build in the list; `is_kept` is False for one whose files had to go."""

    kind: str
    build_id: str
    samples: int
    candidates: int
    created_at: datetime
    is_kept: bool

    @property
    def prefix(self) -> str:
        """Where its files lie."""
        return f"{PREFIX}{self.kind}/{self.build_id}/"


class StoredBuilds:
    """The builds of a bucket.

    Args:
        store: The bucket.
        work_dir: Local folder for what is compared.
    """

    def __init__(self, store: ObjectStore, work_dir: Path) -> None:
        self._store = store
        self._work_dir = work_dir
        self._table = PartitionedTable(store, BUILDS_TABLE)

    def list(self) -> list[StoredBuild]:
        """All builds, the newest first."""
        made = []
        for entry, partition in self._table.read().partitions.items():
            kind, _, build_id = entry.partition("/")
            counts = partition.counts
            created_at = datetime.fromtimestamp(counts.get("created_us", 0) / 1_000_000, UTC)
            is_kept = "superseded_us" not in counts
            made.append(
                StoredBuild(kind, build_id, counts["samples"], counts.get("candidates", 0), created_at, is_kept)
            )
        return sorted(made, key=lambda build: (build.created_at, build.build_id), reverse=True)

    def find(self, kind: str, build_id: str) -> StoredBuild:
        """One build.

        Raises:
            NotFound: The list has none of this name.
        """
        for build in self.list():
            if (build.kind, build.build_id) == (kind, build_id):
                return build
        raise NotFound(f"there is no build {kind[:20]}/{build_id[:40]}; the page Corpora lists those there are")

    def manifest(self, build: StoredBuild) -> BuildManifest:
        """What a build was made of.

        Raises:
            NotFound: Its files are gone.
            BadInput: The manifest is none.
        """
        return read_manifest(self._read(build, MANIFEST))

    def text(self, build: StoredBuild, name: str) -> str:
        """A small text file of a build.

        Raises:
            NotFound: It has no such file.
        """
        return self._read(build, name).decode("utf-8", "replace")

    def differences(self, one: StoredBuild, other: StoredBuild) -> BuildDifference:
        """What two builds differ in.

        Raises:
            NotFound: The files of one are gone.
        """
        self._work_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="compare-", dir=self._work_dir) as name:
            folders = [Path(name) / "one", Path(name) / "other"]
            for folder, build in zip(folders, (one, other), strict=True):
                folder.mkdir()
                (folder / MANIFEST).write_bytes(self._read(build, MANIFEST))
                self._copy(build, PROVENANCE, folder / PROVENANCE)
            return diff_builds(*folders)

    def _read(self, build: StoredBuild, name: str) -> bytes:
        return self._store.get(f"{build.prefix}{name}").body

    def _copy(self, build: StoredBuild, name: str, to: Path) -> None:
        """Copy a file of any length to the local disk; a build without samples has none."""
        if self._store.head(f"{build.prefix}{name}") is None:
            return
        with self._store.open(f"{build.prefix}{name}") as reader, to.open("wb") as file:
            for chunk in reader.chunks(_CHUNK_BYTES):
                file.write(chunk)
