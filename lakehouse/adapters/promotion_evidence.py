"""Outcomes of answers by config, model and arm: for proposals, and for the watch over promotions.

Of several outcomes of one judge for one record the latest counts; a run's outcome is the mean over judges and records.
For proposals, a run without an outcome counts by its score: accepted, with the records that it names by their id, or
rejected. The watch goes by outcomes alone.

Belongs here: the statements. Not here: what follows from them (see lakehouse/promotion).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.adapters.evidence_lake import INDEX_TABLE, SCORED_TABLE, add_relations, open_lake
from lakehouse.adapters.outcome_words import WORDS, names_record
from lakehouse.answer.found import PATHWAYS
from lakehouse.catalog.partitioned import PartitionedTable
from lakehouse.promotion.proposals import Observed, Tally
from lakehouse.promotion.split import is_held_out, question_key

if TYPE_CHECKING:
    import duckdb

    from lakehouse.adapters.objects import S3Location
    from lakehouse.storage.objects import ObjectStore

_AT_ONCE = 1000
_UNDER = f"""WITH {WORDS}
SELECT avg(reward) FROM words
WHERE list_has_all(string_split(config_version, '+'), ?::VARCHAR[]) AND timestamp >= ?
GROUP BY run_id ORDER BY run_id"""
_SEEN = rf"""WITH {WORDS},
judged AS (
  SELECT run_id, avg(reward) AS score, list(DISTINCT answer_id) FILTER (answer_id IS NOT NULL AND reward > 0) AS named
  FROM words GROUP BY run_id
),
runs AS (
  SELECT e.run_id, (e.metadata ->> '$.task') AS task, e.model_provider || '/' || e.model_name AS model,
    try_cast(regexp_extract(coalesce(e.metadata ->> '$.config_version', ''), '^answer/(\d+)', 1) AS BIGINT) AS version,
    (e.metadata ->> '$.retrieved_context.arm') AS arm, e.output_text,
    coalesce((j.score + 1) / 2, CASE s.score WHEN 'accepted' THEN 1.0 WHEN 'rejected' THEN 0.0 END)::DOUBLE AS worked,
    list_transform(from_json(coalesce((e.metadata -> '$.retrieved_context.shown'), '[]'), '[{{"id":"VARCHAR"}}]'),
      lambda item: item.id) AS shown, j.named, (e.metadata ->> '$.retrieved_context.corpora[*]') AS corpora,
    list_sort(list_distinct(e.metadata ->> '$.retrieved_context.shown[*].corpus')) AS searched,
    j.run_id IS NULL AND s.score = 'accepted' AS is_told
  FROM evidence e LEFT JOIN judged j ON j.run_id = e.run_id
  LEFT JOIN scored s ON s.run_id = e.run_id AND s.stream = e.stream
  WHERE e.stream = 'chat_calls' AND (e.metadata ->> '$.task') IS NOT NULL
)
SELECT task, model, version, arm, worked, CASE WHEN is_told THEN list_filter(shown, lambda id:
    {names_record("output_text", "id")}) ELSE coalesce(named, []) END,
  shown, corpora, searched
FROM runs WHERE worked IS NOT NULL ORDER BY run_id"""


class JudgedRuns:
    """Judged runs of one bucket.

    Args:
        store: The bucket.
        location: The bucket's address with read-only keys, for query engines.
        work_dir: Local folder that query engines may spill to.
    """

    def __init__(self, store: ObjectStore, location: S3Location, *, work_dir: Path) -> None:
        self._store = store
        self._location = location
        self._work_dir = work_dir

    def outcomes(self, configs: Sequence[str], *, since: datetime | None = None) -> list[float]:
        """Outcomes of runs under all of these configs, one a run, -1 to 1.

        Args:
            configs: As answers name them: `answer/4`.
            since: Reported at or after it.

        Raises:
            StoreUnavailable: The store does not answer.
        """
        moment = datetime(1970, 1, 1) if since is None else since.astimezone(UTC).replace(tzinfo=None)  # noqa: DTZ001 - compared with times without a zone
        with self._lake() as engine:
            return [float(row[0]) for row in engine.execute(_UNDER, [list(configs), moment]).fetchall()]

    def observed(self) -> Observed:
        """What is seen of runs on the seen side of the split."""
        seen = Observed()
        with self._lake() as engine:
            found = engine.execute(_SEEN)
            while rows := found.fetchmany(_AT_ONCE):
                for question, model, version, arm, score, named, shown, corpora, searched in rows:
                    if is_held_out(question):
                        continue
                    seen.tasks.add(question_key(question))
                    seen.models.setdefault(str(model), Tally()).add(score)
                    if version is not None:
                        seen.versions.setdefault(int(version), Tally()).add(score)
                    if arm in {"playbook", "holdout"}:
                        seen.arms.setdefault(arm, Tally()).add(score)
                    _count_places(seen, list(named), list(shown or ()))
                    _count_corpus(seen, list(corpora or ()), set(searched or ()), score)
        return seen

    @contextmanager
    def _lake(self) -> Iterator[duckdb.DuckDBPyConnection]:
        self._work_dir.mkdir(parents=True, exist_ok=True)
        index, scored = (PartitionedTable(self._store, table).read() for table in (INDEX_TABLE, SCORED_TABLE))
        with (
            tempfile.TemporaryDirectory(prefix="promotion-", dir=self._work_dir) as folder,
            open_lake(self._location, Path(folder)) as engine,
        ):
            add_relations(engine, self._location.bucket, index, scored)
            yield engine


def _count_corpus(seen: Observed, asked: list[str], searched: set[str], score: float) -> None:
    """Count a run for its corpus, when it asked only one and all that was shown is of one; else it is unclear which."""
    found = searched - {PATHWAYS}
    if len(asked) == 1 and len(found) == 1:
        seen.corpora.setdefault((asked[0], found.pop()), Tally()).add(score)


def _count_places(seen: Observed, named: list[str], shown: list[str]) -> None:
    places = [shown.index(one) + 1 for one in named if one in shown]
    if not places:
        return
    rank = max(places)
    seen.ranks[rank] = seen.ranks.get(rank, 0) + 1
    seen.at_end += rank == len(shown)
    seen.shown += len(shown)
    seen.used += len(places)
