"""The cut: what a backup folder holds, key by key, as of one time.

A backup folder has `cut.json` (replaced whole, last), the list of keys it names, and `blobs/<2>/<sha256>`: contents by
their hash, so that what has not changed is not stored twice.

Belongs here: the folder's files and their checks. Not here: the bucket (see backup.py, restore.py).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from lakehouse.clock import new_id
from lakehouse.errors import BadInput, NotFound, Unprocessable
from lakehouse.storage.publish import hash_file

FORMAT_VERSION = 1
CUT = "cut.json"
PROGRESS = "progress.jsonl"


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a cut: its content's hash and size, and the ETag it had in the bucket."""

    key: str
    size: int
    sha256: str
    etag: str


@dataclass(frozen=True, slots=True)
class Cut:
    """The head of a cut; `manifests` are the entries of the manifests that served, `keys_file` lists all."""

    taken_at: str
    keys: int
    bytes: int
    manifests: tuple[Entry, ...]
    keys_file: str
    keys_sha256: str
    format_version: int = FORMAT_VERSION


class BackupFolder:
    """A backup on a disk.

    Args:
        path: The folder; made by the first write.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read_cut(self) -> Cut:
        """The head of the last whole backup.

        Raises:
            NotFound: No backup was finished here.
            BadInput: It was written by a newer program, or is damaged.
        """
        try:
            document = orjson.loads((self.path / CUT).read_bytes())
        except FileNotFoundError:
            raise NotFound(f"{self.path} holds no finished backup ({CUT} is missing)") from None
        except orjson.JSONDecodeError:
            raise BadInput(f"{self.path / CUT} is damaged; take the backup again") from None
        if document.get("format_version", 0) > FORMAT_VERSION:
            raise BadInput(
                f"the backup has format_version {document['format_version']}, newer than this program's "
                f"{FORMAT_VERSION}; restore it with the version that made it, or a later one"
            )
        document["manifests"] = tuple(Entry(**entry) for entry in document["manifests"])
        return Cut(**document)

    def entries(self, cut: Cut) -> Iterator[Entry]:
        """Every entry of a cut, in the order it was taken.

        Raises:
            Unprocessable: The list is damaged; nothing was yielded.
        """
        path = self.path / cut.keys_file
        if not path.is_file() or hash_file(path) != cut.keys_sha256:
            raise Unprocessable(f"{path} is missing or damaged; take the backup again")
        with path.open("rb") as stream:
            for line in stream:
                yield Entry(**orjson.loads(line))

    def known(self) -> dict[str, Entry]:
        """What is stored already, by key: of the last cut, and of a backup that was interrupted."""
        known: dict[str, Entry] = {}
        if (self.path / CUT).exists():
            known |= {entry.key: entry for entry in self.entries(self.read_cut())}
        progress = self.path / PROGRESS
        if progress.exists():
            for line in progress.read_bytes().splitlines(keepends=True):
                if line.endswith(b"\n"):  # the last one may be torn
                    entry = Entry(**orjson.loads(line))
                    known[entry.key] = entry
        return known

    def blob_path(self, sha256: str) -> Path:
        """Where a content lies."""
        return self.path / "blobs" / sha256[:2] / sha256

    def has_blob(self, entry: Entry) -> bool:
        """True when an entry's content is there and has its size."""
        path = self.blob_path(entry.sha256)
        return path.is_file() and path.stat().st_size == entry.size

    def store_blob(self, chunks: Iterable[bytes]) -> tuple[str, int]:
        """Store a content as it streams; gives its SHA-256 and size once it is on disk."""
        digest = hashlib.sha256()
        size = 0
        folder = self.path / "blobs"
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f"{new_id()}.tmp"
        try:
            with temporary.open("wb") as stream:
                for chunk in chunks:
                    digest.update(chunk)
                    size += stream.write(chunk)
                stream.flush()
                os.fsync(stream.fileno())
            path = self.blob_path(digest.hexdigest())
            path.parent.mkdir(exist_ok=True)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        return digest.hexdigest(), size

    def publish(self, entries: list[Entry], *, taken_at: str, manifests: tuple[Entry, ...]) -> Cut:
        """Make a list of entries the folder's cut; until the last rename the former one holds."""
        keys_file = f"keys-{new_id()}.jsonl"
        write_whole(self.path / keys_file, b"".join(encode(entry) for entry in entries))
        cut = Cut(
            taken_at=taken_at,
            keys=len(entries),
            bytes=sum(entry.size for entry in entries),
            manifests=manifests,
            keys_file=keys_file,
            keys_sha256=hash_file(self.path / keys_file),
        )
        write_whole(self.path / CUT, orjson.dumps(asdict(cut), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS))
        (self.path / PROGRESS).unlink(missing_ok=True)
        for old in self.path.glob("keys-*.jsonl"):
            if old.name != keys_file:
                old.unlink()
        return cut

    def prune(self, entries: Iterable[Entry]) -> int:
        """Remove contents that no entry names; gives their number."""
        kept = {entry.sha256 for entry in entries}
        gone = [path for path in (self.path / "blobs").glob("*/*") if path.name not in kept]
        for path in (*gone, *(self.path / "blobs").glob("*.tmp")):
            path.unlink()
        return len(gone)


def encode(entry: Entry) -> bytes:
    """One line of a list of entries."""
    return orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that after a crash it is the old one or the new one."""
    temporary: Any = path.with_name(f"{path.name}.tmp")
    with temporary.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
