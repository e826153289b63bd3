"""Tables of partitions, each partition a few immutable files: evidence by stream and day, scores by day.

What serves is said by one manifest for each table (`catalog/tables/<table>.json`), moved by compare-and-swap like a
dataset's; a version is kept under `catalog/tables/<table>/<version>.json` before the next one takes its place. A
partition's fingerprint says what it was made of: equal to that of what is there now, there is nothing to do.

Belongs here: the manifest, its JSON form, commits. Not here: how partitions are made (see
lakehouse/adapters/evidence_materializer.py), datasets (see manifest.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from lakehouse.catalog.manifest import BrokenManifest, format_utc, parse_utc
from lakehouse.clock import new_id, utc_now
from lakehouse.errors import NotFound, PreconditionFailed, Unavailable
from lakehouse.storage.format_version import require_not_newer
from lakehouse.storage.objects import ObjectStore, StoredObject

PREFIX = "catalog/tables/"
FORMAT_VERSION = 1
_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class PartitionFile:
    """An immutable file; `role` says what it is to its partition."""

    role: str
    key: str
    size: int
    sha256: str
    rows: int


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition.

    Attributes:
        fingerprint: Of all that it was made of.
        files: Its files.
        counts: Its accounts.
        receipt: Key of the receipt of its making, which names its inputs.
    """

    fingerprint: str
    files: tuple[PartitionFile, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    receipt: str = ""

    def file(self, role: str) -> PartitionFile | None:
        """The file of a role, or None."""
        return next((file for file in self.files if file.role == role), None)


@dataclass(frozen=True, slots=True)
class TableManifest:
    """One version of a table; version 0 is a table that nobody has written yet."""

    table: str
    version: int = 0
    commit_id: str = ""
    updated_at: datetime | None = None
    partitions: Mapping[str, Partition] = field(default_factory=dict)

    def to_json(self) -> bytes:
        """The stored bytes."""
        document = {
            "format_version": FORMAT_VERSION,
            "table": self.table,
            "version": self.version,
            "commit_id": self.commit_id,
            "updated_at": None if self.updated_at is None else format_utc(self.updated_at),
            "partitions": {name: _document(partition) for name, partition in self.partitions.items()},
        }
        return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)

    @classmethod
    def from_json(cls, body: bytes, *, key: str) -> TableManifest:
        """Read stored bytes.

        Raises:
            BrokenManifest: Naming the key and what is wrong.
        """
        try:
            document = orjson.loads(body)
            require_not_newer(document, FORMAT_VERSION)
            return cls(
                document["table"],
                int(document["version"]),
                document["commit_id"],
                parse_utc(document["updated_at"]),
                {name: _partition(said) for name, said in document["partitions"].items()},
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            reason = f"missing {error}" if isinstance(error, KeyError) else str(error)
            raise BrokenManifest(
                f"{key!r} is not the manifest of a table ({reason}): put the newest version that is kept in its place",
                key=key,
            ) from None


Changes = Mapping[str, Partition | None]
"""Partitions as they shall be; None: gone."""


class PartitionedTable:
    """One table over any `ObjectStore`; stateless but for the last manifest it has read.

    Args:
        store: The bucket.
        table: Its name, such as `evidence/chat_calls`.
        clock: Gives the time now, aware, in UTC.
        deadline_s: How long a writer goes on trying against other writers.
    """

    def __init__(
        self,
        store: ObjectStore,
        table: str,
        *,
        clock: Callable[[], datetime] = utc_now,
        deadline_s: float = 60.0,
    ) -> None:
        self.table = table
        self._store = store
        self._clock = clock
        self._deadline_s = deadline_s

    @property
    def key(self) -> str:
        """Key of the manifest that serves."""
        return f"{PREFIX}{self.table}.json"

    def version_key(self, version: int) -> str:
        """Key of one version's manifest."""
        return f"{PREFIX}{self.table}/{version}.json"

    def read(self) -> TableManifest:
        """The manifest that serves.

        Raises:
            BrokenManifest: Its bytes are damaged.
            StoreUnavailable: The store does not answer.
        """
        return self._read()[0]

    def read_version(self, version: int) -> TableManifest:
        """The manifest of a version: the one that serves, or one that it replaced and that is kept.

        Raises:
            NotFound: There is none of that number, or it is older than the history that is kept.
        """
        live = self.read()
        if version == live.version:
            return live
        key = self.version_key(version)
        return TableManifest.from_json(self._store.get(key).body, key=key)

    def commit(self, update: Callable[[TableManifest], Changes]) -> TableManifest:
        """Make a new version by compare-and-swap.

        Args:
            update: Called with the manifest that serves, gives the partitions that change; none: nothing is written.
                Called again after a lost race; may raise, and then nothing has changed.

        Raises:
            Unavailable: Other writers kept winning until the deadline.
            StoreUnavailable: The store does not answer; perhaps nothing, perhaps everything has been committed.
        """
        commit_id = new_id()
        deadline = time.monotonic() + self._deadline_s
        while time.monotonic() < deadline:
            live, stored = self._read()
            if live.commit_id == commit_id:
                return live
            changes = {
                name: partition for name, partition in update(live).items() if live.partitions.get(name) != partition
            }
            if not changes:
                return live
            merged = {**live.partitions, **changes}
            kept = {name: partition for name, partition in sorted(merged.items()) if partition is not None}
            moved = TableManifest(self.table, live.version + 1, commit_id, self._after(live), kept)
            if self._swap(stored, live, moved):
                return moved
        raise Unavailable(f"other writers of {self.table!r} kept winning; try again", retry_after_s=5)

    def _after(self, live: TableManifest) -> datetime:
        now = self._clock()
        return now if live.updated_at is None else max(now, live.updated_at)

    def _swap(self, stored: StoredObject | None, live: TableManifest, moved: TableManifest) -> bool:
        """Keep the version that is replaced, then move the pointer; False when another writer was first."""
        if stored is not None:
            self._store.put(self.version_key(live.version), stored.body, content_type=_JSON)
        try:
            self._store.put(
                self.key,
                moved.to_json(),
                if_match=None if stored is None else stored.info.etag,
                if_absent=stored is None,
                content_type=_JSON,
            )
        except (PreconditionFailed, NotFound):
            # A PUT that is sent again after its answer was lost meets itself.
            return self._read()[0].commit_id == moved.commit_id
        return True

    def _read(self) -> tuple[TableManifest, StoredObject | None]:
        try:
            stored = self._store.get(self.key)
        except NotFound:
            return TableManifest(self.table), None
        return TableManifest.from_json(stored.body, key=self.key), stored


def _document(partition: Partition) -> dict[str, Any]:
    # Written out, for `asdict` copies every text and takes ten times as long: a year has thousands of partitions.
    return {
        "fingerprint": partition.fingerprint,
        "files": [
            {"role": f.role, "key": f.key, "size": f.size, "sha256": f.sha256, "rows": f.rows} for f in partition.files
        ],
        "counts": dict(partition.counts),
        "receipt": partition.receipt,
    }


def _partition(said: Mapping[str, Any]) -> Partition:
    files = tuple(
        PartitionFile(f["role"], f["key"], int(f["size"]), f["sha256"], int(f["rows"])) for f in said["files"]
    )
    counts = {name: int(count) for name, count in said["counts"].items()}
    return Partition(said["fingerprint"], files, counts, said.get("receipt", ""))
