"""Baselines of drift in the bucket: every version is kept, and `baseline.json` is a copy of the one that counts.

Belongs here: keys, rows as Parquet. Not here: the document (see lakehouse/drift/baseline.py), what a baseline is made
of (see lakehouse/drift/meter.py), how versions are numbered and written (see lakehouse/storage/versions.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

from lakehouse.clock import utc_now
from lakehouse.drift.baseline import Baseline, read_baseline
from lakehouse.drift.finding import Kind
from lakehouse.drift.meter import Taken
from lakehouse.drift.report import PREFIX
from lakehouse.errors import BadInput, NotFound
from lakehouse.storage.objects import ObjectStore
from lakehouse.storage.publish import PARQUET_TYPE, hash_file
from lakehouse.storage.versions import NumberedVersions


class DriftBaselines:
    """The baselines of one bucket; stateless.

    Args:
        store: The bucket.
        clock: The time now.
    """

    def __init__(self, store: ObjectStore, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._store = store
        self._clock = clock

    def live(self, kind: Kind) -> Baseline | None:
        """The baseline that counts; None: none was ever set.

        Raises:
            BadInput: It is damaged.
            StoreUnavailable: The store does not answer.
        """
        key = _versions(self._store, kind).pointer_key
        try:
            stored = self._store.get(key)
        except NotFound:
            return None
        return read_baseline(stored.body, key=key)

    def fetch(self, baseline: Baseline, folder: Path) -> Path | None:
        """Its rows as a local file; None: it has none.

        Raises:
            BadInput: The bytes are not those that were put there.
            NotFound: They are gone.
        """
        if baseline.file_key is None:
            return None
        path = folder / f"baseline-{baseline.version}.parquet"
        digest = hashlib.sha256()
        with self._store.open(baseline.file_key) as reader, path.open("wb") as stream:
            for chunk in reader.chunks():
                digest.update(chunk)
                stream.write(chunk)
        if digest.hexdigest() != baseline.file_sha256:
            raise BadInput(f"{baseline.file_key} is not what it was; set another baseline of {baseline.kind}")
        return path

    def set(self, kind: Kind, taken: Taken, *, first: date, last: date, by: str, why: str) -> Baseline:
        """Keep a new version and make it the one that counts; of two at once the higher version counts.

        Args:
            kind: Of what.
            taken: What the baseline is made of.
            first: First day of what it was made of.
            last: Last day.
            by: Who sets it.
            why: Why.

        Raises:
            Unavailable: Others kept winning.
            StoreUnavailable: The store does not answer; the earlier baseline goes on counting.
        """
        versions = _versions(self._store, kind)
        file_key, file_sha256 = None, ""
        if taken.file is not None:
            file_sha256 = hash_file(taken.file)
            file_key = f"{versions.folder}{file_sha256}.parquet"
            self._store.put(file_key, taken.file, content_type=PARQUET_TYPE)
        set_at = self._clock()

        def numbered(version: int) -> Baseline:
            return Baseline(kind, version, first, last, set_at, by, why, taken.data, file_key, file_sha256)

        made = numbered(versions.add(lambda version: numbered(version).to_json()))
        versions.move_pointer(made.to_json(), is_kept=lambda live: _version_of(live) > made.version)
        return made


def _versions(store: ObjectStore, kind: Kind) -> NumberedVersions:
    folder = f"{PREFIX}{kind}/baselines/"
    return NumberedVersions(store, folder, f"{PREFIX}{kind}/baseline.json", f"the baseline of {kind}")


def _version_of(body: bytes) -> int:
    """The version of a stored baseline; 0 when it is damaged, so that any other may replace it."""
    try:
        return read_baseline(body, key="").version
    except BadInput:
        return 0
