"""Baselines of audits in the bucket: every version is kept, one of them is current.

Versions lie at `audits/baselines/versions/<n>.json`; `audits/baselines/current.json` is a copy of the current one, not
only its number.

Belongs here: reading and setting. Not here: what a baseline is (see lakehouse/audit/baseline.py), how versions are
numbered and written (see lakehouse/storage/versions.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from lakehouse.audit.baseline import Baseline
from lakehouse.clock import utc_now
from lakehouse.errors import BadInput, NotFound
from lakehouse.storage.objects import ObjectStore
from lakehouse.storage.versions import NumberedVersions

CURRENT = "audits/baselines/current.json"
VERSIONS = "audits/baselines/versions/"


class AuditBaselines:
    """The baselines of one bucket; stateless.

    Args:
        store: The bucket.
        clock: The time now, aware, in UTC.
    """

    def __init__(self, store: ObjectStore, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._store = store
        self._versions = NumberedVersions(store, VERSIONS, CURRENT, "the baseline of audits")
        self._clock = clock

    def current(self) -> Baseline | None:
        """The current baseline; None when none was ever set.

        Raises:
            BadInput: It is damaged.
            StoreUnavailable: The store does not answer.
        """
        return self._read(CURRENT)

    def version(self, number: int) -> Baseline | None:
        """One version, or None; raises as `current`."""
        return self._read(self._versions.key(number))

    def set(self, metrics: Mapping[str, float], *, audit_id: str, by: str) -> Baseline:
        """Make metrics the current baseline; of two at once both are kept, and the later version is current.

        Args:
            metrics: By `<phase>.<name>`.
            audit_id: The audit that they are of.
            by: Who asked for it.

        Raises:
            Unavailable: Others kept winning.
        """
        set_at = self._clock()

        def numbered(version: int) -> Baseline:
            return Baseline(version, audit_id, set_at, by, dict(metrics))

        baseline = numbered(self._versions.add(lambda version: numbered(version).to_json()))
        self._versions.move_pointer(baseline.to_json(), is_kept=lambda current: _version_of(current) > baseline.version)
        return baseline

    def _read(self, key: str) -> Baseline | None:
        try:
            body = self._store.get(key).body
        except NotFound:
            return None
        return Baseline.from_json(body, key=key)


def _version_of(body: bytes) -> int:
    """The version of a stored baseline; 0 of one that is damaged, which any other may replace."""
    try:
        return Baseline.from_json(body, key=CURRENT).version
    except BadInput:
        return 0
