"""Statements that make the facts of runs (lakehouse/scoring/facts.py) of their records and of what others said.

Belongs here: what a run shows by itself, and putting facts together. Not here: what others said (see
scoring_testimony.py), what facts mean for a score (see lakehouse/scoring/rules.yaml).
"""

from __future__ import annotations

from lakehouse.adapters.scoring_records import MODELS, RUNS, SAID, TURNS
from lakehouse.query.quoting import quote_text
from lakehouse.scoring.rules import RuleSet
from lakehouse.scoring.signs import Signs

# Values of another form are null.
_MESSAGES = '[{"role":"VARCHAR","content":"VARCHAR","tool_calls":"JSON","tool_call_id":"VARCHAR"}]'
_SHORT_BYTES = 20
"""Only a shorter output is looked at for whether it says nothing."""
_ANSWER_BEGIN = 300
"""So much of an answer is searched for signs that it gives up: it says so first."""


def turns_statement(signs: Signs) -> str:
    """Make `TURNS`: what the messages of each trajectory show.

    The answer of a call is the next message of a tool that bears its id: some programs use an id twice.
    """
    error = f"regexp_matches(coalesce(content, ''), {_quoted(signs.tool_error)})"
    return f"""
CREATE TEMP TABLE {TURNS} AS
WITH opened AS (
  SELECT run_id, unnest(messages) AS message, generate_subscripts(messages, 1) AS place
  FROM (SELECT run_id, TRY(from_json(output_text, {quote_text(_MESSAGES)})) AS messages
    FROM {RUNS} WHERE stream = 'agent_trajectories')
), turns AS (
  SELECT run_id, place, message.role AS role, nullif(trim(message.content), '') AS content, message.tool_call_id AS id,
    CASE WHEN message.role = 'assistant' AND json_type(message.tool_calls) = 'ARRAY' THEN message.tool_calls
      END AS asked
  FROM opened
), calls AS (
  SELECT run_id, place, call ->> '$.id' AS id, coalesce(call ->> '$.function.name', '') AS name,
    coalesce(call ->> '$.function.arguments', '') AS arguments
  FROM (SELECT run_id, place, unnest(json_extract(asked, '$[*]')) AS call FROM turns WHERE asked IS NOT NULL)
), answers AS (
  SELECT run_id, place, id, {error} AS is_error, hash(coalesce(content, '')) AS answer FROM turns WHERE role = 'tool'
), answered AS (
  SELECT calls.run_id, calls.name, calls.arguments, answers.place AS place, is_error, answer
  FROM calls ASOF LEFT JOIN answers
    ON calls.run_id = answers.run_id AND calls.id = answers.id AND calls.place < answers.place
), tools AS (
  SELECT run_id, name, bool_or(is_error) AS has_error, arg_max(is_error, place) AS is_open,
    regexp_matches(name, {_quoted(signs.hands_over)}) AS hands_over
  FROM answered GROUP BY run_id, name
), tool_facts AS (
  SELECT run_id, count_if(has_error) AS tool_errors, count_if(is_open) AS tool_errors_open,
    bool_or(hands_over) AS hands_over
  FROM tools GROUP BY run_id
), repeats AS (
  SELECT run_id, max(times) AS repeated_calls
  FROM (SELECT run_id, count(*) AS times FROM answered GROUP BY run_id, name, arguments, answer) GROUP BY run_id
), speech AS (
  SELECT run_id, coalesce(bool_or(role = 'assistant'), false) AS has_agent,
    coalesce(bool_or(role = 'assistant' AND (content IS NOT NULL OR asked IS NOT NULL)), false) AS is_spoken,
    arg_max(content, place) FILTER (role = 'assistant' AND content IS NOT NULL) AS last_words,
    coalesce(max(place) FILTER (role = 'tool'), 0)
      > coalesce(max(place) FILTER (role = 'assistant' AND content IS NOT NULL), 0) AS ends_in_tool
  FROM turns GROUP BY run_id
)
SELECT run_id, has_agent, has_agent AND NOT is_spoken AS is_empty, ends_in_tool,
  coalesce(regexp_matches(left(last_words, {_ANSWER_BEGIN}), {_quoted(signs.gives_up)}), false) AS gives_up,
  coalesce(tool_errors, 0) AS tool_errors, coalesce(tool_errors_open, 0) AS tool_errors_open,
  coalesce(hands_over, false) AS hands_over, coalesce(repeated_calls, 0) AS repeated_calls
FROM speech LEFT JOIN tool_facts USING (run_id) LEFT JOIN repeats USING (run_id)"""


def runs_statement(rules: RuleSet, signs: Signs) -> str:
    """Every run with which rules hold (`mask`), in the order of days, ids and streams.

    Needs `RUNS`, `SAID`, `TURNS` and `MODELS`.

    Returns:
        SQL that yields `run_id, dt, stream, task_id, timestamp, model_name, model_provider, ground_truth, testimony,
        record_sha256, mask`.
    """
    return f"""
WITH facts AS (
  SELECT own.run_id, own.dt, own.stream, own.task_id, own.timestamp, own.model_name, own.model_provider,
    own.sha256 AS record_sha256, coalesce(own.score, said.outcome_mean) AS ground_truth,
    coalesce(said.testimony, 0) AS testimony,
    said.human, coalesce(said.people_disagree, false) AS people_disagree,
    CASE WHEN own.score >= 1 THEN 'success' WHEN own.score <= 0 THEN 'failure'
      WHEN own.score IS NOT NULL THEN 'partial' END AS reward,
    said.label, coalesce(said.outcomes, 0) AS outcomes, said.outcome_least, said.outcome_most,
    coalesce(said.outcomes_disputed, false) AS outcomes_disputed,
    coalesce(said.passed AND NOT said.failed, false) AS validator_passed,
    coalesce(own.passed, false) AS passed_own_validation,
    coalesce(NOT own.passed, false) OR coalesce(said.failed, false) AS validator_failed,
    coalesce(said.unread_labels, 0) AS unread_labels, coalesce(said.judges_accept, 0) AS judges_accept,
    coalesce(said.judges_partial, 0) AS judges_partial, coalesce(said.judges_reject, 0) AS judges_reject,
    coalesce(said.judges_redo, 0) AS judges_redo,
    CASE WHEN {MODELS}.lineage IS NULL THEN 0
      ELSE coalesce(len(list_filter(said.lineages, lambda l: l <> {MODELS}.lineage)), 0)
    END AS judges_of_another_lineage,
    own.has_failed, own.was_cancelled, own.was_cut, own.was_retried, own.has_injection,
    own.is_empty OR coalesce(turns.is_empty, false) AS is_empty,
    own.stream = 'agent_trajectories' AND NOT coalesce(turns.has_agent, false) AS is_silent,
    own.gives_up OR coalesce(turns.gives_up, false) AS gives_up,
    coalesce(turns.hands_over, false) AS hands_over, coalesce(turns.tool_errors, 0) AS tool_errors,
    coalesce(turns.tool_errors_open, 0) AS tool_errors_open, coalesce(turns.repeated_calls, 0) AS repeated_calls,
    coalesce(turns.ends_in_tool, false) AS ends_in_tool
  FROM ({_own(signs)}) AS own
  LEFT JOIN {SAID} AS said ON said.about = own.run_id
  LEFT JOIN {TURNS} AS turns ON turns.run_id = own.trajectory
  LEFT JOIN {MODELS} ON {MODELS}.model_name = own.model_name
)
SELECT run_id, dt, stream, task_id, timestamp, model_name, model_provider, ground_truth, testimony, record_sha256,
  {rules.mask_sql()} AS mask
FROM facts ORDER BY dt, run_id, stream"""


def _own(signs: Signs) -> str:
    """What a record says of its own run."""
    return f"""
  SELECT run_id, dt, stream, task_id, timestamp, model_name, model_provider, provenance.sha256 AS sha256,
    reward AS score, validation.passed AS passed,
    -- One key: a condition on the stream beside it would make the join compare each with each.
    CASE WHEN stream = 'agent_trajectories' THEN run_id END AS trajectory,
    {_marked("call.failed", "node.failed", "run.error")} AS has_failed, {_marked("call.cancelled")} AS was_cancelled,
    {_marked("finish.length")} AS was_cut, {_marked("node.retried")} AS was_retried,
    len(failure_markers) > 0 AND len(list_filter(failure_markers, lambda m: starts_with(m, 'input.injection'))) > 0
      AS has_injection,
    CASE WHEN stream IN ('workflow_nodes', 'agent_trajectories') THEN false WHEN output_text IS NULL THEN true
      WHEN strlen(output_text) < {_SHORT_BYTES} THEN trim(output_text, E' \\t\\r\\n') IN ('', '[]', '{{}}')
      ELSE false END AS is_empty,
    CASE WHEN stream IN ('chat_calls', 'replay_runs')
      THEN coalesce(regexp_matches(left(output_text, {_ANSWER_BEGIN}), {_quoted(signs.gives_up)}), false)
      ELSE false END AS gives_up
  FROM {RUNS}"""


def _marked(*names: str) -> str:
    listed = ", ".join(quote_text(name) for name in names)
    return f"coalesce(list_has_any(failure_markers, [{listed}]), false)"


def _quoted(expression: str) -> str:
    return quote_text(f"(?i){expression}")
