"""Tables of partitions in a backup: manifests of what is in the cut.

What is made of another table is read before it (scores before the index, the index before the evidence): restored, a
table may be behind what it is made of, and the next run brings it up, but it is never ahead.

Belongs here: which of their manifests belong to a cut, and that their files do. Not here: copying (see backup.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lakehouse.catalog.partitioned import PREFIX, TableManifest
from lakehouse.catalog.table_gc import VERSION_KEY, files_of
from lakehouse.errors import Conflict
from lakehouse.operations.cut import BackupFolder, Entry
from lakehouse.storage.objects import ObjectInfo, ObjectStore, list_all


def table_pointers(store: ObjectStore) -> list[ObjectInfo]:
    """The manifests that serve, in the order in which they are to be read: backwards by name."""
    found = [info for info in list_all(store, PREFIX) if not VERSION_KEY.fullmatch(info.key)]
    return sorted(found, key=lambda info: info.key, reverse=True)


class PartitionTables:
    """The tables of a cut.

    Args:
        folder: The backup, in which the manifests lie.
        pointers: Those that serve.

    Raises:
        BrokenManifest: One of them cannot be read.
    """

    def __init__(self, folder: BackupFolder, pointers: Sequence[Entry]) -> None:
        self._folder = folder
        self.pointers = pointers
        self._serving = {entry.key: self._manifest(entry) for entry in pointers}

    def versions(self, store: ObjectStore) -> Iterator[ObjectInfo]:
        """Versions that were replaced before the cut."""
        serving = {manifest.table: manifest.version for manifest in self._serving.values()}
        for info in list_all(store, PREFIX):
            match = VERSION_KEY.fullmatch(info.key)
            if match is not None and int(match["version"]) < serving.get(match["table"], 0):
                yield info

    def require_files(self, copied: Sequence[Entry]) -> None:
        """Require what serves.

        Raises:
            Conflict: A file that a manifest names is missing from the bucket.
        """
        there = {entry.key for entry in copied}
        for key, manifest in self._serving.items():
            for file in files_of(manifest):
                if file not in there:
                    raise Conflict(
                        f"{key!r} names {file!r}, which is not in the bucket: restore it, or delete {key!r} and make "
                        f"{manifest.table!r} again, then take the backup again; the former backup is as it was",
                        key=file,
                    )

    def whole_versions(self, versions: Sequence[Entry], copied: Sequence[Entry]) -> list[Entry]:
        """The versions whose files are in the cut: those of others were collected as garbage meanwhile."""
        there = {entry.key for entry in copied}
        return [entry for entry in versions if there.issuperset(files_of(self._manifest(entry)))]

    def _manifest(self, entry: Entry) -> TableManifest:
        return TableManifest.from_json(self._folder.blob_path(entry.sha256).read_bytes(), key=entry.key)
