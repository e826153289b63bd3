"""The meter of the playbook: searches and outcomes by arm, from evidence, and the age of entries, from their table.

Belongs here: counting. Not here: the comparison (see lakehouse/drift/playbook.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from lakehouse.adapters.drift_evidence import EvidenceSource, days_from, days_until
from lakehouse.adapters.lance_tables import LanceTables
from lakehouse.drift.baseline import Baseline
from lakehouse.drift.meter import Comparison, Taken
from lakehouse.drift.playbook import ARM, HOLD_OUT, PlaybookCounts, compare_counts
from lakehouse.drift.rule_file import DriftRules
from lakehouse.query.quoting import quote_text

TABLE = "playbooks"
_STREAMS = ("searches", "outcomes")
_ARM = "json_extract_string(metadata, '$.arm')"
# Of no rows `count_if` is NULL, `count` is 0.
_SEARCHES = f"""
SELECT count(*), count(*) FILTER (len(retrieved_context.playbook_ids) > 0) FROM evidence
WHERE stream = 'searches' AND {_ARM} = {quote_text(ARM)}"""
# For each answer the latest outcome of each speaker counts, and of these the mean. The first label is the very first
# outcome.
_OUTCOMES = f"""
WITH words AS (
  SELECT json_extract_string(metadata, '$.outcome_of') AS about, {_ARM} AS arm, reward,
    json_extract_string(metadata, '$.actor') AS speaker, json_extract_string(metadata, '$.answer_id') AS part,
    timestamp AS said_at, provenance.sha256 AS sha256
  FROM evidence WHERE stream = 'outcomes' AND reward IS NOT NULL
), latest AS (
  SELECT about, arm, avg(reward) AS score FROM (SELECT * FROM words
    QUALIFY row_number() OVER (PARTITION BY about, speaker, part ORDER BY said_at DESC, sha256 DESC) = 1)
  GROUP BY ALL
), first_said AS (SELECT about, arm, arg_min(reward, (said_at, sha256)) AS score FROM words GROUP BY ALL)
SELECT arm, count(*), count(*) FILTER (latest.score > 0), count(*) FILTER (first_said.score > 0)
FROM latest JOIN first_said USING (about, arm) WHERE about IS NOT NULL GROUP BY arm"""


@dataclass(frozen=True, slots=True)
class PlaybookMeter:
    """Measures the playbook.

    Args:
        source: The evidence.
        tables: The tables of the bucket.
        rules: Days, samples, from when on an entry is stale.
    """

    source: EvidenceSource
    tables: LanceTables
    rules: DriftRules

    def take(self, first: date, last: date, folder: Path) -> Taken:
        """The counts of some days."""
        counts = self._count(days_from(first, last))
        return Taken({"counts": counts.to_document()}, counts.searches + counts.entries)

    def compare(self, baseline: Baseline, file: Path | None, day: date) -> Comparison:
        """Compare the counts of the days that end with one with those of a baseline."""
        days = days_until(day, self.rules.kinds["playbook"].window_days)
        before, now = PlaybookCounts.from_document(baseline.data["counts"]), self._count(days)
        details = {"first_day": days[0].isoformat(), "counts": now.to_document(), "baseline": before.to_document()}
        return Comparison(tuple(compare_counts(before, now, self.rules)), details)

    def _count(self, days: Sequence[date]) -> PlaybookCounts:
        wanted = set(days)
        with self.source.opened(lambda stream, day: stream in _STREAMS and day in wanted) as engine:
            searches, moved = engine.execute(_SEARCHES).fetchone() or (0, 0)
            arms: dict[Any, tuple[int, int, int]] = {
                arm: (int(judged), int(good), int(first))
                for arm, judged, good, first in engine.execute(_OUTCOMES).fetchall()
            }
        judged, succeeded, first = arms.get(ARM, (0, 0, 0))
        held, held_succeeded, held_first = arms.get(HOLD_OUT, (0, 0, 0))
        entries, stale = self._entries(max(days))
        return PlaybookCounts(
            int(searches), int(moved), judged, succeeded, first, held, held_succeeded, held_first, entries, stale
        )

    def _entries(self, day: date) -> tuple[int, int]:
        """Live entries at the end of a day, and how many of them nobody has judged for long by then."""
        table = self.tables.open(TABLE)
        if table is None:
            return 0, 0
        end = datetime.combine(day + timedelta(days=1), time(), UTC)
        at = f"TIMESTAMP '{end:%Y-%m-%d %H:%M:%S}'"
        where = f"recorded_at < {at} AND (valid_to IS NULL OR valid_to >= {at})"
        latest: dict[str, np.datetime64] = {}
        for batch in table.scan(["subject_id", "recorded_at"], where=where):
            moments = batch.column("recorded_at").to_numpy(zero_copy_only=False)
            for subject, moment in zip(batch.column("subject_id").to_pylist(), moments, strict=True):
                latest[subject] = max(moment, latest.get(subject, moment))
        oldest = np.datetime64(end.replace(tzinfo=None)) - np.timedelta64(self.rules.stale_days, "D")
        return len(latest), sum(bool(moment < oldest) for moment in latest.values())
