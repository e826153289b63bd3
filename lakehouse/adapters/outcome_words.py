"""Outcomes in statements over evidence: the latest word of each judge, and whether an answer names a record.

Belongs here: parts of statements that fold-back, replay and promotion share, so that the same word counts in all three.
Not here: the statements (see fold_back.py, replay_tasks.py, promotion_evidence.py).
"""

from __future__ import annotations

WORDS = """words AS (
  SELECT (metadata ->> '$.outcome_of') AS run_id, (metadata ->> '$.answer_id') AS answer_id, reward,
    (metadata ->> '$.config_version') AS config_version, timestamp
  FROM evidence WHERE stream = 'outcomes' AND (metadata ->> '$.outcome_of') IS NOT NULL
  QUALIFY row_number() OVER (
    PARTITION BY (metadata ->> '$.outcome_of'), (metadata ->> '$.answer_id'), (metadata ->> '$.actor')
    ORDER BY timestamp DESC, provenance.sha256 DESC) = 1
)"""
"""The relation `words`: of several words of one judge about one record of a run the latest (CONTRACTS.md section 7)."""


def names_record(text: str, record_id: str) -> str:
    """The condition that a text names a record by its id, which stands there as a word of its own.

    Args:
        text: SQL of the text.
        record_id: SQL of the id.
    """
    return f"regexp_matches({text}, '(^|[^[:alnum:]_-])' || regexp_escape({record_id}) || '($|[^[:alnum:]_-])')"
