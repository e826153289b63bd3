"""The gate in front of builds of corpora: confirmed drift that nobody has acknowledged keeps it shut.

A report that confirms something new leaves a mark below `drift/<kind>/open/`; acknowledgements lie below
`drift/<kind>/acknowledged/` and stay. Whether the gate is shut is read from the marked reports, not from the marks.

Belongs here: marks, acknowledgements, the refusal. Not here: what is open (see lakehouse/drift/freeze.py), who asks
(see corpus_exports.py, corpus_builder.py, lakehouse_assets/drift.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime

import orjson

from lakehouse.catalog.manifest import format_utc
from lakehouse.clock import new_id, utc_now
from lakehouse.drift.finding import KINDS, Kind
from lakehouse.drift.freeze import (
    FORMAT_VERSION,
    Acknowledgement,
    OpenDrift,
    acknowledge,
    marks_of,
    open_drift,
    read_acknowledgement,
)
from lakehouse.drift.report import PREFIX, DriftReport, read_report, report_prefix
from lakehouse.errors import BadInput, Conflict, NotFound
from lakehouse.storage.objects import ObjectStore, list_all


class DriftGate:
    """The gate of one bucket; stateless.

    Args:
        store: The bucket.
        clock: The time now, for acknowledgements.
    """

    def __init__(self, store: ObjectStore, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._store = store
        self._clock = clock

    def open_drift(self, kind: Kind) -> OpenDrift | None:
        """What of a kind keeps the gate shut.

        Raises:
            StoreUnavailable: The store does not answer.
            BadInput: A report or an acknowledgement is damaged; what it says is not known, so nothing may be built.
        """
        marked = [info.key for info in list_all(self._store, f"{PREFIX}{kind}/open/")]
        if not marked:
            return None
        reports = [report for key in marked if (report := self._marked(kind, key)) is not None]
        return open_drift(reports, self.acknowledgements(kind))

    def all_open(self) -> list[OpenDrift]:
        """What keeps the gate shut, of every kind."""
        return [one for kind in KINDS if (one := self.open_drift(kind)) is not None]

    def require_open(self) -> None:
        """Let a build of a corpus of evidence pass, or refuse it.

        Raises:
            Conflict: Drift is confirmed and not acknowledged; the message says of what, and what to do.
            StoreUnavailable: The store does not answer.
        """
        _require_none(self.all_open(), "corpora are not built")

    def open_drift_of(self, corpus: str) -> OpenDrift | None:
        """What keeps a corpus that is searched from being built: drift of its own vectors, and nothing else."""
        found = self.open_drift("embedding")
        return None if found is None else found.of_group(corpus)

    def require_open_for(self, corpus: str) -> None:
        """Let a build of a searched corpus pass, or refuse it: new vectors would stand beside those that drifted.

        Raises:
            Conflict, StoreUnavailable: As `require_open`.
        """
        shut = self.open_drift_of(corpus)
        _require_none([] if shut is None else [shut], f"the corpus {corpus!r} is not built")

    def mark(self, report: DriftReport) -> None:
        """Leave the mark of a report that confirms something which is not acknowledged."""
        known = {mark for one in self.acknowledgements(report.kind) for mark in one.findings}
        if marks_of(report) <= known:
            return
        key = f"{PREFIX}{report.kind}/open/{report.day.isoformat()}.json"
        self._store.put(
            key,
            orjson.dumps({"format_version": FORMAT_VERSION, "day": report.day.isoformat()}),
            content_type="application/json",
        )

    def acknowledgements(self, kind: Kind) -> list[Acknowledgement]:
        """Every acknowledgement of a kind, in the order of time."""
        keys = sorted(info.key for info in list_all(self._store, f"{PREFIX}{kind}/acknowledged/"))
        return [read_acknowledgement(self._store.get(key).body, key=key) for key in keys]

    def acknowledge(self, kind: Kind, *, by: str, why: str) -> Acknowledgement:
        """Acknowledge what of a kind keeps the gate shut.

        Raises:
            BadInput: Nobody, or no reason, is given.
            Conflict: Nothing of that kind is open.
        """
        found = self.open_drift(kind)
        if found is None:
            raise Conflict(f"no drift of {kind} is confirmed and open; there is nothing to acknowledge", kind=kind)
        made = acknowledge(found, by=by, why=why, at=format_utc(self._clock()))
        # Ids sort by time, and no two are the same: of two people at once both are kept.
        key = f"{PREFIX}{kind}/acknowledged/{new_id()}.json"
        self._store.put(key, made.to_json(), if_absent=True, content_type="application/json")
        self._tidy(kind)
        return made

    def _tidy(self, kind: Kind) -> None:
        """Take away the marks of reports of which all is acknowledged; the reports stay."""
        known = {mark for one in self.acknowledgements(kind) for mark in one.findings}
        for info in list(list_all(self._store, f"{PREFIX}{kind}/open/")):
            report = self._marked(kind, info.key)
            if report is not None and marks_of(report) <= known:
                self._store.delete(info.key)

    def _marked(self, kind: Kind, key: str) -> DriftReport | None:
        """The report of a mark; None when its writer was killed before it wrote the report."""
        try:
            day = date.fromisoformat(key.rpartition("/")[2].removesuffix(".json"))
        except ValueError:
            raise BadInput(f"{key} is not a mark of a report; delete it") from None
        at = f"{report_prefix(kind, day)}report.json"
        try:
            return read_report(self._store.get(at).body, key=at)
        except NotFound:
            return None


def _require_none(shut: Sequence[OpenDrift], what: str) -> None:
    if not shut:
        return
    told = "; ".join(str(one) for one in shut)
    commands = ", ".join(f"lakehouse drift acknowledge {one.kind} --by WHO --why REASON" for one in shut)
    raise Conflict(
        f"{what}: drift is confirmed and nobody has acknowledged it: {told}. Read it with"
        f" `lakehouse drift report`, then: {commands}",
        kinds=[one.kind for one in shut],
    )
