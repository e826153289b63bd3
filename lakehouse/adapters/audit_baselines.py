"""Baselines of audits in the bucket: every version is kept, one of them is current.

Versions lie at `audits/baselines/versions/<n>.json` and are written once, before `audits/baselines/current.json` moves
by compare-and-swap: killed in between, the one before stays current. What is current is the whole document, too.

Belongs here: reading and setting. Not here: what a baseline is (see lakehouse/audit/baseline.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from lakehouse.audit.baseline import Baseline
from lakehouse.clock import utc_now
from lakehouse.errors import BadInput, NotFound, PreconditionFailed, Unavailable
from lakehouse.storage.objects import ObjectStore, list_all

CURRENT = "audits/baselines/current.json"
VERSIONS = "audits/baselines/versions/"
_TRIES = 20
_JSON = "application/json"


class AuditBaselines:
    """The baselines of one bucket; stateless.

    Args:
        store: The bucket.
        clock: The time now, aware, in UTC.
    """

    def __init__(self, store: ObjectStore, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._store = store
        self._clock = clock

    def current(self) -> Baseline | None:
        """The current one; None when none was ever set.

        Raises:
            BadInput: It is damaged.
            StoreUnavailable: The store does not answer.
        """
        return self._read(CURRENT)

    def version(self, number: int) -> Baseline | None:
        """One version, or None; raises as `current`."""
        return self._read(_key(number))

    def set(self, metrics: Mapping[str, float], *, audit_id: str, by: str) -> Baseline:
        """Make metrics the current baseline; of two at once both are kept, and the later version is current.

        Args:
            metrics: By `<phase>.<name>`.
            audit_id: The audit that they are of.
            by: Who asked for it.

        Raises:
            Unavailable: Others kept winning.
        """
        for _ in range(_TRIES):
            baseline = Baseline(self._newest() + 1, audit_id, self._clock(), by, dict(metrics))
            try:
                self._store.put(_key(baseline.version), baseline.to_json(), if_absent=True, content_type=_JSON)
            except PreconditionFailed:
                continue
            self._move(baseline)
            return baseline
        raise Unavailable("others kept setting baselines of audits; try again", retry_after_s=1)

    def _move(self, baseline: Baseline) -> None:
        for _ in range(_TRIES):
            try:
                stored = self._store.get(CURRENT)
            except NotFound:
                etag = None
            else:
                etag = stored.info.etag
                if _version_of(stored.body) > baseline.version:
                    return  # somebody set a later one meanwhile
            try:
                self._store.put(CURRENT, baseline.to_json(), if_match=etag, if_absent=etag is None, content_type=_JSON)
            except PreconditionFailed:
                continue
            return
        raise Unavailable("others kept setting baselines of audits; try again", retry_after_s=1)

    def _read(self, key: str) -> Baseline | None:
        try:
            body = self._store.get(key).body
        except NotFound:
            return None
        return Baseline.from_json(body, key=key)

    def _newest(self) -> int:
        stems = (info.key.removeprefix(VERSIONS).removesuffix(".json") for info in list_all(self._store, VERSIONS))
        return max((int(stem) for stem in stems if stem.isdecimal()), default=0)


def _key(version: int) -> str:
    return f"{VERSIONS}{version}.json"


def _version_of(body: bytes) -> int:
    """The version of a stored baseline; 0 of one that is damaged, which any other may replace."""
    try:
        return Baseline.from_json(body, key=CURRENT).version
    except BadInput:
        return 0
