"""Baselines of drift in the bucket: versions that are written once, and `baseline.json`, which is the last of them.

Belongs here: keys, the order of writes, rows as Parquet. Not here: the document (see lakehouse/drift/baseline.py), what
is kept (see lakehouse/drift/meter.py).
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
from lakehouse.errors import BadInput, NotFound, PreconditionFailed, Unavailable
from lakehouse.storage.objects import ObjectStore, list_all

_TRIES = 20


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
        return self._live(kind)[0]

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

        Raises:
            Unavailable: Others kept winning.
            StoreUnavailable: The store does not answer; what counted goes on counting.
        """
        sha256 = "" if taken.file is None else hashlib.sha256(taken.file.read_bytes()).hexdigest()
        for _ in range(_TRIES):
            version = max(self._versions(kind), default=0) + 1
            key = f"{PREFIX}{kind}/baselines/{version}"
            made = Baseline(
                kind, version, first, last, self._clock(), by, why, taken.data,
                None if taken.file is None else f"{PREFIX}{kind}/baselines/{sha256}.parquet", sha256,
            )  # fmt: skip
            if taken.file is not None and made.file_key is not None:
                self._store.put(made.file_key, taken.file, content_type="application/vnd.apache.parquet")
            try:
                self._store.put(f"{key}.json", made.to_json(), if_absent=True, content_type="application/json")
            except PreconditionFailed:
                continue
            self._make_live(made)
            return made
        raise Unavailable(f"others kept setting the baseline of {kind}; try again", retry_after_s=1)

    def _make_live(self, made: Baseline) -> None:
        for _ in range(_TRIES):
            live, etag = self._live(made.kind)
            if live is not None and live.version >= made.version:
                return
            try:
                self._store.put(
                    _live_key(made.kind), made.to_json(), if_match=etag, if_absent=etag is None,
                    content_type="application/json",
                )  # fmt: skip
            except PreconditionFailed:
                continue
            return
        raise Unavailable(f"others kept setting the baseline of {made.kind}; try again", retry_after_s=1)

    def _live(self, kind: Kind) -> tuple[Baseline | None, str | None]:
        key = _live_key(kind)
        try:
            stored = self._store.get(key)
        except NotFound:
            return None, None
        return read_baseline(stored.body, key=key), stored.info.etag

    def _versions(self, kind: Kind) -> list[int]:
        stems = (info.key.rpartition("/")[2].removesuffix(".json") for info in list_all(
            self._store, f"{PREFIX}{kind}/baselines/"
        ))  # fmt: skip
        return [int(stem) for stem in stems if stem.isdecimal()]


def _live_key(kind: Kind) -> str:
    return f"{PREFIX}{kind}/baseline.json"
