"""Which streams hold runs that get a score, which hold testimony about runs, and which are silent about them.

A run of a scored stream gets exactly one row; nothing else gets one.

Belongs here: the three tables. Not here: how testimony is read (see lakehouse/adapters/scoring_testimony.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ScoredStream:
    """A stream of runs.

    Attributes:
        is_run: SQL over evidence: which of its records are runs.
        meaning: The same in words.
    """

    is_run: str
    meaning: str


SCORED: Mapping[str, ScoredStream] = {
    "agent_trajectories": ScoredStream("true", "every trajectory"),
    "chat_calls": ScoredStream(
        "coalesce(model_role, 'other') NOT IN ('reviewer', 'verifier', 'tiebreaker', 'embedder')",
        "calls that did work; not those whose role was to judge it (reviewer, verifier, tiebreaker) or to embed",
    ),
    "replay_runs": ScoredStream("true", "every replay"),
    "workflow_nodes": ScoredStream(
        "NOT list_contains(coalesce(failure_markers, []), 'node.skipped')", "every node that was run, and each run"
    ),
}

TESTIMONY: Mapping[str, str] = {
    "outcomes": "the run `outcome_of`: a score from -1 to 1; the latest per run, `answer_id` and `actor` counts",
    "reviews": "the run `review_of`: a person's verdict or a model's; the latest per run and reviewer counts",
    "observer_events": "the run `subject`, where there is a verdict: a judge's; the latest per run and model counts",
    "validations": (
        "the latest call of `chat_calls` with the same `trace_id` (the request's), at most an hour before; the latest"
        " per call and `kind` counts"
    ),
}

SILENT: Mapping[str, str] = {
    "audits": "who did what; not how good it was",
    "pathway_events": "what was remembered",
    "playbook_events": "what was remembered; a score in it is that of an entry",
    "searches": "what was found; what an answer was shown is in its own call, outcomes of searches credit playbooks",
}

_NAMES = ", ".join(f"'{name}'" for name in sorted(SCORED))
# The streams stand by themselves, so that files of others are not read.
RUN = " AND ".join(
    [f"stream IN ({_NAMES})", *(f"(stream <> '{name}' OR {one.is_run})" for name, one in sorted(SCORED.items()))]
)
"""SQL over evidence: whether a record is a run that gets a score."""
VALIDATION_REACH = "INTERVAL 1 HOUR"
"""So long after a call a validation of the same request may still mean it."""
