"""Reports of drift in the bucket: one for each kind and day, written once by whoever is first.

`report.json` is written by a conditional PUT: of two schedulers one loses and reads what the other wrote. A report
without a verdict is replaced by one that has one, by compare-and-swap. Markdown and charts are made from the report
alone, so whoever finds them missing makes exactly the same ones.

Belongs here: reading, publishing. Not here: the document (see lakehouse/drift/report.py), what a report stops (see
drift_gate.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any, NamedTuple

from lakehouse.adapters.charts import chart_png
from lakehouse.adapters.drift_gate import DriftGate
from lakehouse.drift.charts import charts_of
from lakehouse.drift.finding import Kind
from lakehouse.drift.freeze import marks_of
from lakehouse.drift.report import PREFIX, DriftReport, read_report, report_prefix
from lakehouse.errors import NotFound, PreconditionFailed, Unavailable
from lakehouse.storage.objects import ObjectStore

_TRIES = 10


class Published(NamedTuple):
    """The report that is there now, and whether this call wrote it."""

    report: DriftReport
    is_new: bool


class DriftReports:
    """The reports of one bucket; stateless.

    Args:
        store: The bucket.
        draw: Makes a PNG of a Vega-Lite document.
    """

    def __init__(self, store: ObjectStore, *, draw: Callable[[Mapping[str, Any]], bytes] = chart_png) -> None:
        self._store = store
        self._draw = draw
        self._gate = DriftGate(store)

    def read(self, kind: Kind, day: date) -> DriftReport | None:
        """The report of a day; None: there is none.

        Raises:
            BadInput: It is damaged.
            StoreUnavailable: The store does not answer.
        """
        return self._read(kind, day)[0]

    def days(self, kind: Kind) -> list[date]:
        """The days that have a report, the latest first."""
        folders = self._store.folders(f"{PREFIX}{kind}/")
        return sorted((day for name in folders if (day := _day(name)) is not None), reverse=True)

    def recent(self, kind: Kind, before: date, *, most_days: int) -> list[DriftReport]:
        """Reports of the days before one, so many days back at most, the latest first."""
        since = before - timedelta(days=most_days)
        found = [self.read(kind, day) for day in self.days(kind) if since <= day < before]
        return [one for one in found if one is not None]

    def latest(self, kind: Kind) -> DriftReport | None:
        """The report of the latest day there is."""
        for day in self.days(kind):
            report = self.read(kind, day)
            if report is not None:
                return report
        return None

    def publish(self, report: DriftReport, *, made: Callable[[], None] = lambda: None) -> Published:
        """Keep a report, unless there is one of that kind and day with a verdict already.

        Args:
            report: The report.
            made: Called between what stops builds and the report itself; for tests.

        Raises:
            StoreUnavailable: The store does not answer; publishing again goes on from here.
            Unavailable: Others kept replacing it.
        """
        for _ in range(_TRIES):
            there, etag = self._read(report.kind, report.day)
            if there is not None and (there.verdict is not None or report.verdict is None):
                self._accompany(there)
                return Published(there, False)
            # The mark that stops builds goes first: when this is killed in between, known drift still stops them.
            if marks_of(report):
                self._gate.mark(report)
            made()
            if etag is not None:  # the Markdown is of the report that is replaced
                self._store.delete(f"{report.prefix}report.md")
            try:
                self._store.put(
                    f"{report.prefix}report.json", report.to_json(), if_match=etag, if_absent=etag is None,
                    content_type="application/json",
                )  # fmt: skip
            except PreconditionFailed:
                continue
            self._accompany(report, is_anew=True)
            return Published(report, True)
        raise Unavailable(f"others kept replacing {report.prefix}report.json; try again", retry_after_s=5)

    def _accompany(self, report: DriftReport, *, is_anew: bool = False) -> None:
        """Write the charts and the Markdown beside a report; the Markdown last, as it says that all are there."""
        if not is_anew and self._store.head(f"{report.prefix}report.md") is not None:
            return
        if marks_of(report):
            self._gate.mark(report)
        for name, chart in charts_of(report).items():
            self._store.put(f"{report.prefix}{name}.png", self._draw(chart), content_type="image/png")
        body = report.to_markdown().encode()
        self._store.put(f"{report.prefix}report.md", body, content_type="text/markdown; charset=utf-8")

    def _read(self, kind: Kind, day: date) -> tuple[DriftReport | None, str | None]:
        key = f"{report_prefix(kind, day)}report.json"
        try:
            stored = self._store.get(key)
        except NotFound:
            return None, None
        return read_report(stored.body, key=key), stored.info.etag


def _day(name: str) -> date | None:
    try:
        return date.fromisoformat(name)
    except ValueError:
        return None
