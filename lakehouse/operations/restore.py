"""Restore: makes an empty bucket equal to a backup's cut.

Belongs here: the order of writes, and the check of each content before it is written. Not here: the folder's files
(see cut.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lakehouse.errors import Conflict, Unprocessable
from lakehouse.operations.cut import BackupFolder, Cut, Entry
from lakehouse.storage.objects import ObjectStore
from lakehouse.storage.publish import hash_file

_CONTENT_TYPES = {".json": "application/json", ".jsonl": "application/x-ndjson"}


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """What was written, of which cut."""

    cut: Cut
    restored: int
    restored_bytes: int


def restore(store: ObjectStore, folder: Path, *, force: bool = False) -> RestoreReport:
    """Write a backup into an empty bucket: data, then versions, then manifests, in the cut's own order.

    Interrupted, the bucket has no manifests yet, so readers see nothing half; call it again with `force`.

    Args:
        store: The bucket to fill.
        folder: The backup.
        force: Write into a bucket that is not empty; keys of the same name are replaced, others stay.

    Raises:
        NotFound: The folder holds no finished backup.
        Conflict: The bucket is not empty.
        Unprocessable: A content is missing or damaged; found before anything is written when its size is wrong.
    """
    backup = BackupFolder(folder)
    cut = backup.read_cut()
    if not force and store.list("", limit=1).objects:
        raise Conflict(
            "the bucket is not empty; restore into an empty one, or give --force to write over what has the same key"
        )
    for entry in backup.entries(cut):
        if not backup.has_blob(entry):
            raise _damaged(entry)
    restored = restored_bytes = 0
    for entry in backup.entries(cut):
        _write(store, backup, entry)
        restored += 1
        restored_bytes += entry.size
    return RestoreReport(cut, restored, restored_bytes)


def _write(store: ObjectStore, backup: BackupFolder, entry: Entry) -> None:
    path = backup.blob_path(entry.sha256)
    if hash_file(path) != entry.sha256:
        raise _damaged(entry)
    content_type = _CONTENT_TYPES.get(Path(entry.key).suffix, "application/octet-stream")
    store.put(entry.key, path, content_type=content_type)


def _damaged(entry: Entry) -> Unprocessable:
    return Unprocessable(
        f"the backup's content of {entry.key!r} ({entry.sha256}) is missing or damaged; restore from another backup",
        key=entry.key,
        sha256=entry.sha256,
    )
