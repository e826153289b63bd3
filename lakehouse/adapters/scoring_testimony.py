"""Statements that gather what others say of runs: people, judges, outcomes, validators, and labels of foreign records.

A word is `(about, kind, speaker, part)`; of those the latest counts, by time, then by the larger SHA-256 of its line.

| kind | from | about | speaker | part | says |
| --- | --- | --- | --- | --- | --- |
| human | `human_override` of reviews and runs | `review_of`; itself | `by` | | its verdict |
| judge | `observer` of reviews, events and runs | `review_of`, `subject`; itself | model or sender | | its verdict |
| outcome | `reward` of outcomes | `outcome_of` | `actor` | `answer_id` | a score |
| label | `outcome`, `label` in the metadata of runs | itself | | field | a label |
| validator | `validation` of validations | the call of the request | | `kind` | `passed` |

Belongs here: those statements. Not here: what a run shows by itself (see scoring_facts.py), the meaning of labels (see
lakehouse/scoring/labels.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from lakehouse.adapters.scoring_records import MODELS, RECORDS, RUNS, SAID, WANTED, WORDS, listed_days
from lakehouse.query.quoting import quote_text
from lakehouse.scoring.labels import NOTHING, UNREAD, Labels, fold_sql
from lakehouse.scoring.lineage import lineage_sql
from lakehouse.scoring.streams import RUN, SCORED, VALIDATION_REACH

_PLACE = "provenance.sha256 AS sha256, provenance.source_key AS source_key, provenance.line AS line, run_id, stream, dt"
_SURE = 0.5
_LABELS = ("outcome", "label")


def models_statement() -> str:
    """Make `MODELS`: every model with its lineage."""
    return (
        f"CREATE TEMP TABLE {MODELS} AS SELECT model_name, {lineage_sql('model_name')} AS lineage"
        f" FROM (SELECT DISTINCT model_name FROM {RECORDS} WHERE model_name IS NOT NULL)"
    )


def wanted_statement() -> str:
    """Make `WANTED`: the ids of runs that are asked for."""
    return f"CREATE TEMP TABLE {WANTED} AS SELECT DISTINCT run_id FROM {RUNS}"


def words_statement(labels: Labels, *, days: Sequence[date] | None = None, since: Sequence[date] | None = None) -> str:
    """Make `WORDS`: each word with what it says.

    Args:
        labels: What labels mean.
        days: Leave out what is neither about `WANTED` nor recorded on these days; None: nothing.
        since: Only what was recorded on these days; None: all.

    Returns:
        SQL that makes `about, kind, speaker, part, label, says, score, lineage, said_at, sha256, source_key, line,
        run_id, stream, dt, field`; `says` is null for outcomes, and `UNREAD` for a label that is not in the table.
    """
    listed = ", ".join(f"({quote_text(label)}, {quote_text(means)})" for label, means in labels.meaning.items())
    on_days = "" if since is None else f" AND dt IN ({listed_days(since)})"
    said = f"""{_verdicts(on_days)} UNION ALL {_outcomes(on_days)} UNION ALL {_labels(on_days)}
      UNION ALL {_validations(on_days, is_bounded=days is not None)}"""
    wanted = "" if days is None else f" AND (about IN (SELECT run_id FROM {WANTED}) OR dt IN ({listed_days(days)}))"
    return f"""
CREATE TEMP TABLE {WORDS} AS
WITH meanings(folded, means) AS (VALUES {listed}), said AS ({said})
SELECT said.* EXCLUDE (model, folded), CASE WHEN folded IS NULL THEN NULL ELSE coalesce(means, '{UNREAD}') END AS says,
  {MODELS}.lineage AS lineage
FROM (SELECT *, nullif({fold_sql("label")}, '') AS folded FROM said WHERE about IS NOT NULL{wanted}) AS said
LEFT JOIN meanings USING (folded) LEFT JOIN {MODELS} ON said.model = {MODELS}.model_name
WHERE (folded IS NOT NULL OR score IS NOT NULL) AND means IS DISTINCT FROM '{NOTHING}'"""


def said_statement() -> str:
    """Make `SAID` of `WORDS`: what counts, a row for each run that is spoken of."""
    read = f"kind = 'label' AND says <> '{UNREAD}'"
    sure = f"kind = 'judge' AND coalesce(score, 1) >= {_SURE} AND says ="
    return f"""
CREATE TEMP TABLE {SAID} AS
WITH counting AS (
  SELECT * FROM {WORDS}
  QUALIFY row_number() OVER (PARTITION BY about, kind, speaker, part ORDER BY said_at DESC, sha256 DESC, field) = 1
), parts AS (
  SELECT about, kind, count(*) AS words, count_if(says = '{UNREAD}') AS unread,
    arg_max(says, (said_at, sha256, speaker)) FILTER (kind = 'human') AS human,
    count(DISTINCT says) FILTER (kind = 'human') > 1 AS people_disagree,
    CASE WHEN count(DISTINCT says) FILTER ({read}) > 1 THEN 'redo' ELSE min(says) FILTER ({read}) END AS label,
    min(score) FILTER (kind = 'outcome') AS least, max(score) FILTER (kind = 'outcome') AS most,
    sum(CAST(score AS DECIMAL(18, 9))) FILTER (kind = 'outcome') AS total,
    count_if({sure} 'success') AS accept, count_if({sure} 'partial') AS partial, count_if({sure} 'failure') AS reject,
    count_if({sure} 'redo') AS redo, coalesce(list(DISTINCT lineage) FILTER ({sure} 'success'), []) AS lineages,
    bool_or(kind = 'validator' AND says = 'success') AS passed,
    bool_or(kind = 'validator' AND says = 'failure') AS failed
  FROM counting GROUP BY about, kind, CASE WHEN kind <> 'label' THEN part END
)
SELECT about, CAST(sum(words) AS BIGINT) AS testimony, CAST(sum(unread) AS BIGINT) AS unread_labels,
  min(human) AS human, bool_or(people_disagree) AS people_disagree, min(label) AS label,
  CAST(sum(words) FILTER (kind = 'outcome') AS BIGINT) AS outcomes,
  min(least) AS outcome_least, max(most) AS outcome_most,
  bool_or(kind = 'outcome' AND least < 0 AND most > 0) AS outcomes_disputed,
  CAST(sum(total) AS DOUBLE) / sum(words) FILTER (kind = 'outcome') AS outcome_mean,
  CAST(sum(accept) AS BIGINT) AS judges_accept, CAST(sum(partial) AS BIGINT) AS judges_partial,
  CAST(sum(reject) AS BIGINT) AS judges_reject, CAST(sum(redo) AS BIGINT) AS judges_redo,
  list_filter(flatten(list(lineages)), lambda l: l IS NOT NULL) AS lineages,
  bool_or(passed) AS passed, bool_or(failed) AS failed
FROM parts GROUP BY about"""


def _word(about: str, kind: str, **given: str) -> str:
    """The columns of a word, those that are not given being null."""
    columns = {
        "speaker": "VARCHAR", "part": "VARCHAR", "label": "VARCHAR", "score": "DOUBLE", "model": "VARCHAR",
        "said_at": "TIMESTAMP", "field": "VARCHAR",
    }  # fmt: skip
    made = ", ".join(f"CAST({given.get(name, 'NULL')} AS {type_}) AS {name}" for name, type_ in columns.items())
    return f"SELECT {about} AS about, '{kind}' AS kind, {made}, {_PLACE}"


def _field(name: str) -> str:
    return f"json_extract_string(metadata, '$.{name}')"


def _verdicts(on_days: str) -> str:
    about = (
        f"CASE stream WHEN 'reviews' THEN {_field('review_of')} WHEN 'observer_events' THEN input_text ELSE run_id END"
    )
    speaks = f"(stream IN ('reviews', 'observer_events') OR ({RUN})){on_days}"
    sender = f"coalesce(model_name, {_field('by')}, {_field('source')}, {_field('actor')})"
    human = _word(
        about, "human", speaker="human_override.by", label="human_override.verdict",
        said_at="coalesce(human_override.at, timestamp)", field="'human_override.verdict'",
    )  # fmt: skip
    judge = _word(
        about, "judge", speaker=f"CASE WHEN {RUN} THEN NULL ELSE {sender} END", label="observer.verdict",
        score="observer.confidence", model=f"CASE WHEN {RUN} THEN NULL ELSE model_name END", said_at="timestamp",
        field="'observer.verdict'",
    )  # fmt: skip
    return (
        f"{human} FROM {RECORDS} WHERE human_override.verdict IS NOT NULL AND {speaks}"
        f" UNION ALL {judge} FROM {RECORDS} WHERE observer.verdict IS NOT NULL AND {speaks}"
    )


def _outcomes(on_days: str) -> str:
    word = _word(
        _field("outcome_of"), "outcome", speaker=_field("actor"), part=_field("answer_id"), score="reward",
        said_at="timestamp", field="'reward'",
    )  # fmt: skip
    return f"{word} FROM {RECORDS} WHERE stream = 'outcomes' AND reward IS NOT NULL{on_days}"


def _labels(on_days: str) -> str:
    # Few records have one, and a search in the text costs less than parsing all of them.
    has_one = " OR ".join(f"contains(metadata, '\"{name}\"')" for name in _LABELS)
    named = ", ".join(f"{{'part': '{name}', 'label': {_field(name)}}}" for name in _LABELS)
    word = _word(
        "run_id", "label", part="named.part", label="named.label", said_at="timestamp",
        field="'metadata.' || named.part",
    )  # fmt: skip
    return f"{word} FROM (SELECT *, unnest([{named}]) AS named FROM {RECORDS} WHERE ({RUN}){on_days} AND ({has_one}))"


def _validations(on_days: str, *, is_bounded: bool) -> str:
    """Match each validation with the latest call of its request; of calls at one time the largest id counts."""
    word = _word(
        "called", "validator", part="artifact", label="CASE WHEN passed THEN 'passed' ELSE 'failed' END",
        said_at="timestamp", field="'validation.passed'",
    )  # fmt: skip
    # Validations farther from the wanted runs than a validation can reach are not read.
    calls = f"FROM {RUNS} WHERE stream = 'chat_calls'"
    within = (
        f" AND timestamp BETWEEN (SELECT min(timestamp) {calls})"
        f" AND (SELECT max(timestamp) {calls}) + {VALIDATION_REACH}"
        if is_bounded
        else ""
    )
    validated = f"""SELECT timestamp, provenance, run_id, stream, dt, validation.passed AS passed,
      {_field("kind")} AS artifact, {_field("trace_id")} AS trace
      FROM {RECORDS} WHERE stream = 'validations' AND validation.passed IS NOT NULL{on_days}{within}"""
    called = f"""SELECT trace, timestamp AS called_at, max(run_id) AS called
      FROM (SELECT {_field("trace_id")} AS trace, timestamp, run_id
        FROM {RECORDS} WHERE stream = 'chat_calls' AND {SCORED["chat_calls"].is_run}
          AND timestamp BETWEEN (SELECT min(timestamp) FROM validated) - {VALIDATION_REACH}
            AND (SELECT max(timestamp) FROM validated))
      WHERE trace IN (SELECT trace FROM validated) GROUP BY trace, timestamp"""
    return f"""SELECT * FROM (
      WITH validated AS ({validated}), called AS ({called})
      {word} FROM (SELECT * FROM validated ASOF JOIN called
        ON validated.trace = called.trace AND validated.timestamp >= called.called_at)
      WHERE timestamp - called_at <= {VALIDATION_REACH})"""
