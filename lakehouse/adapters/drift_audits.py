"""The meter of audits: the full audits of a day against the baseline of audits, each phase by the last that made it.

An audit may run only some of its phases; for the other phases the last audit of the day that ran them counts.

Audits have baselines of their own, set with `lakehouse audit full --set-baseline`; drift keeps no other one.

Belongs here: reading both from the bucket. Not here: the comparison (see lakehouse/drift/audits.py), audits (see
audit_full.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import orjson

from lakehouse.adapters.audit_baselines import AuditBaselines
from lakehouse.catalog.manifest import parse_utc
from lakehouse.drift.audits import AuditMetrics, compare_audit
from lakehouse.drift.baseline import Baseline
from lakehouse.drift.meter import Comparison, Taken
from lakehouse.drift.rule_file import DriftRules
from lakehouse.errors import BadInput, NotFound
from lakehouse.storage.objects import ObjectStore

PREFIX = "audits/"
KIND = "audit.full"
_MOST_BACK = 200
"""So many audits are looked at, from the last one back."""


@dataclass(frozen=True, slots=True)
class AuditsMeter:
    """Measures audits.

    Args:
        store: The bucket.
        rules: Days, floors.
    """

    store: ObjectStore
    rules: DriftRules

    def take(self, first: date, last: date, folder: Path) -> Taken:
        """Refuse: audits have their own baselines.

        Raises:
            BadInput: Always; the message says how a baseline of audits is set.
        """
        raise BadInput("audits have their own baseline; set it with: lakehouse audit full --set-baseline")

    def baseline(self) -> Baseline | None:
        """The baseline of audits; None: none was set.

        Raises:
            BadInput: It is damaged.
        """
        one = AuditBaselines(self.store).current()
        if one is None:
            return None
        day, data = one.set_at.date(), {"metrics": dict(one.metrics), "audit_id": one.audit_id}
        return Baseline("audit", one.version, day, day, one.set_at, one.by, "", data)

    def compare(self, baseline: Baseline, file: Path | None, day: date) -> Comparison:
        """Compare the full audits that ended on a day with the baseline."""
        first = day - timedelta(days=self.rules.kinds["audit"].window_days - 1)
        audit = self._last(first, day)
        if audit is None:
            return Comparison((), reason=f"no full audit ended from {first} to {day}; run: lakehouse audit full")
        details = {"audit_id": audit.audit_id, "baseline_audit_id": baseline.data["audit_id"]}
        return Comparison(tuple(compare_audit(audit, baseline.data["metrics"])), details)

    def _last(self, first: date, last: date) -> AuditMetrics | None:
        """Every phase as the last audit of these days that made it found it; None: there is no audit of them."""
        found: AuditMetrics | None = None
        known: set[str] = set()
        for document, key in self._audits(first, last):
            found = _with_phases(found, document, key, known)
        return found

    def _audits(self, first: date, last: date) -> Iterator[tuple[dict[str, Any], str]]:
        """The reports of full audits that ended on these days, the last one first."""
        # Ids sort by time.
        names = sorted(self.store.folders(PREFIX), reverse=True)
        for name in names[:_MOST_BACK]:
            key = f"{PREFIX}{name}/report.json"
            try:
                document = _read(self.store, key)
            except NotFound:
                continue
            if document.get("kind") != KIND:
                continue
            try:
                ended = parse_utc(str(document["ended_at"])).date()
            except (KeyError, ValueError):
                raise _no_report(key) from None
            if ended < first:
                return
            if ended <= last:
                yield document, key


def _with_phases(later: AuditMetrics | None, document: dict[str, Any], key: str, known: set[str]) -> AuditMetrics:
    """What later audits found, and of this one the phases that none of them made; `known` are those that are told."""
    try:
        phases = [one for one in document["phases"] if one["verdict"] != "skip" and one["name"] not in known]
        known.update(one["name"] for one in phases)
        found = [(f"{phase['name']}.{one['name']}", one) for phase in phases for one in phase["metrics"]]
        mine = AuditMetrics(
            str(document["audit_id"]),
            {name: float(one["value"]) for name, one in found},
            {name: one["better"] for name, one in found},
            tuple(phase["name"] for phase in phases if phase["verdict"] == "fail"),
        )
    except (KeyError, TypeError, ValueError):
        raise _no_report(key) from None
    if later is None:
        return mine
    return AuditMetrics(
        later.audit_id, {**mine.metrics, **later.metrics}, {**mine.better, **later.better}, later.failed + mine.failed
    )


def _no_report(key: str) -> BadInput:
    return BadInput(f"{key} is not a report of a full audit; delete it and audit again")


def _read(store: ObjectStore, key: str) -> dict[str, Any]:
    try:
        document = orjson.loads(store.get(key).body)
    except orjson.JSONDecodeError as error:
        raise BadInput(f"{key} is not JSON ({error}); delete it") from None
    return document if isinstance(document, dict) else {}
