"""SQL that turns runs into the columns of lakehouse/drift/outcome.py: what each run did, and how it was labelled.

A run's label is what a person said of it, else the run's own reward, else the mean of its outcomes. Its first label is
what the first logged line of the run, or the first person or outcome, said. Where the two differ, the label was
corrected later.

Belongs here: SQL over the relations of evidence_lake.py and scoring_records.py. Not here: which days and files (see
drift_runs.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from lakehouse.adapters.scoring_records import RECORDS, RUNS, SAID, TURNS, WORDS
from lakehouse.query.quoting import quote_text
from lakehouse.scoring.signs import Signs

STREAMS = ("agent_trajectories", "chat_calls")
MOST_RUNS = 20_000
"""At most so many runs of a model version are looked at. The hash of their ids chooses them."""
_ROLES = "('executor', 'other')"
_OPENING_CHARACTERS = 300  # a refusal stands at the beginning of an answer


def first_lines_statement(files: Sequence[str]) -> str:
    """Make `drift_first`: the earliest line of each run that has several.

    Args:
        files: URLs of the files that hold lines which no longer serve; none: there are no such lines.

    Returns:
        SQL that makes `run_id, reward, dt`.
    """
    if not files:
        return "CREATE TEMP TABLE drift_first (run_id VARCHAR, reward DOUBLE, dt DATE)"
    listed = ", ".join(quote_text(url) for url in files)
    return f"""
CREATE TEMP TABLE drift_first AS
WITH corrected AS (SELECT source_key, line, run_id FROM evidence_index WHERE status = 'corrected')
SELECT e.run_id, arg_min(e.reward, (e.timestamp, e.provenance.sha256)) AS reward,
  min(TRY_CAST(regexp_extract(e.provenance.source_key, '/dt=(\\d{{4}}-\\d{{2}}-\\d{{2}})/', 1) AS DATE)) AS dt
FROM read_parquet([{listed}], hive_partitioning = false) e
JOIN corrected c ON e.provenance.source_key = c.source_key AND e.provenance.line = c.line
GROUP BY e.run_id"""


def labels_statement() -> str:
    """Make `drift_labels` for every record: its label today and the first one; null where nobody gave one."""
    return f"""
CREATE TEMP TABLE drift_labels AS
WITH said AS (
  SELECT about, CASE WHEN kind = 'outcome' THEN CASE WHEN score > 0 THEN 1.0 ELSE 0.0 END
      WHEN says = 'success' THEN 1.0 WHEN says IN ('failure', 'redo') THEN 0.0 END AS label, said_at, sha256
  FROM {WORDS} WHERE kind IN ('human', 'outcome')
), first_said AS (
  SELECT about, arg_min(label, (said_at, sha256)) FILTER (label IS NOT NULL) AS label FROM said GROUP BY about
)
SELECT r.run_id,
  CASE WHEN s.human = 'success' THEN 1.0 WHEN s.human IN ('failure', 'redo') THEN 0.0
    WHEN r.reward IS NOT NULL THEN CASE WHEN r.reward >= 0.5 THEN 1.0 ELSE 0.0 END
    WHEN s.outcome_mean IS NOT NULL THEN CASE WHEN s.outcome_mean > 0 THEN 1.0 ELSE 0.0 END END AS success,
  CASE WHEN coalesce(l.reward, r.reward) IS NOT NULL
      THEN CASE WHEN coalesce(l.reward, r.reward) >= 0.5 THEN 1.0 ELSE 0.0 END
    ELSE f.label END AS first_success
FROM (SELECT run_id, stream, reward FROM {RECORDS} e WHERE {_is_run("e")}) r
LEFT JOIN {SAID} s ON s.about = r.run_id LEFT JOIN drift_first l ON l.run_id = r.run_id
LEFT JOIN first_said f ON f.about = r.run_id
QUALIFY row_number() OVER (PARTITION BY r.run_id ORDER BY r.stream) = 1"""


def runs_statement(signs: Signs) -> str:
    """Select the runs of the days that are asked for, in the order of their ids.

    A run whose first line was recorded on an earlier day is no run of these days: it came back with a correction.

    Returns:
        SQL of `run_id, model`, the columns of `lakehouse.drift.outcome.COLUMNS`, `rules_version`.
    """
    gives_up = f"regexp_matches(left(r.output_text, {_OPENING_CHARACTERS}), {quote_text(f'(?i){signs.gives_up}')})"
    return f"""
SELECT r.run_id, coalesce(r.model_name, 'unknown') AS model, b.success, b.first_success,
  CASE WHEN c.score IN ('accepted', 'partially_accepted', 'rejected') THEN CAST(c.score = 'accepted' AS DOUBLE)
    END AS accepted,
  CAST(CASE WHEN r.stream = 'agent_trajectories' THEN coalesce(t.gives_up OR t.is_empty, false)
    ELSE coalesce(trim(r.output_text), '') = '' OR coalesce({gives_up}, false) END AS DOUBLE) AS refused,
  CAST(coalesce(list_has_any(r.failure_markers, ['call.failed', 'run.error']), false) AS DOUBLE) AS failed,
  {sizes("r")}, r.latency_ms, c.rules_version
FROM {RUNS} r JOIN drift_labels b USING (run_id) LEFT JOIN drift_first f USING (run_id)
LEFT JOIN {TURNS} t ON t.run_id = CASE WHEN r.stream = 'agent_trajectories' THEN r.run_id END
LEFT JOIN scored c ON c.run_id = r.run_id AND c.stream = r.stream
WHERE {_is_run("r")} AND (f.dt IS NULL OR f.dt >= r.dt)
QUALIFY row_number() OVER (PARTITION BY model ORDER BY md5(r.run_id), r.run_id) <= {MOST_RUNS}
ORDER BY r.run_id"""


def sizes(alias: str) -> str:
    """SQL of what an answer's size is: `length` in tokens, `characters`, `cost_usd`.

    Tokens that nobody told, and a cost that was reckoned from these, are null: estimates are no measurements, and those
    of a provider that stopped telling tokens would seem to be another behaviour.
    """
    is_told = _is_told(alias)
    return (
        f"CASE WHEN {is_told} THEN CAST({alias}.completion_tokens AS DOUBLE) END AS length,"
        f" CAST(length({alias}.output_text) AS DOUBLE) AS characters,"  # strlen would count bytes
        f" CASE WHEN {is_told} THEN {alias}.cost_usd END AS cost_usd"
    )


def returned_statement() -> str:
    """Count the runs of these days whose first line is of an earlier one: they came back with a correction."""
    is_run = _is_run("r")
    return f"SELECT count(*) FROM {RUNS} r JOIN drift_first f USING (run_id) WHERE {is_run} AND f.dt < r.dt"


def hours_statement() -> str:
    """Select the means of each hour by model, in the order of time."""
    return f"""
SELECT coalesce(model_name, 'unknown') AS model, date_trunc('hour', provenance.recorded_at) AS hour,
  avg(latency_ms) AS latency_ms, avg(cost_usd) FILTER ({_is_told("e")}) AS cost_usd,
  avg(CAST(coalesce(list_has_any(failure_markers, ['call.failed', 'run.error']), false) AS DOUBLE)) AS failed
FROM evidence e WHERE {_is_run("e")} GROUP BY ALL ORDER BY ALL"""


def _is_told(alias: str) -> str:
    """The condition that the tokens of the record under an alias, where it has any, are those that a provider told."""
    return f"coalesce(json_extract_string({alias}.metadata, '$.are_tokens_estimated'), 'false') <> 'true'"


def _is_run(alias: str) -> str:
    """The condition that the record under an alias is a run of a model that worked on a task."""
    listed = ", ".join(quote_text(stream) for stream in STREAMS)
    return f"{alias}.stream IN ({listed}) AND coalesce({alias}.model_role, 'other') IN {_ROLES}"
