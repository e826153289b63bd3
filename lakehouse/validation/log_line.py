"""The line that a validation leaves in the stream `validations`: the verdict, and what was validated.

Later steps judge and learn from artifacts, so they are kept as they were sent, but for Social Security numbers, which
nothing needs and which are masked wherever they stand. Findings name rules and counts, never what was found.

Belongs here: its fields. Not here: the log (see lakehouse/events), which validations are logged (all of them).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from lakehouse.validation.log_json import log_json
from lakehouse.validation.rules import RULES_VERSION
from lakehouse.validation.texts import loggable
from lakehouse.validation.verdict import Verdict

MAX_INPUT, MAX_CONTEXT = 131_072, 32_768


def validation_line(
    verdict: Verdict,
    artifact: Mapping[str, Any],
    context: Mapping[str, Any] | None,
    *,
    run_id: str,
    trace_id: str | None,
    task_id: str | None,
    actor: str,
) -> dict[str, Any]:
    """One line.

    Args:
        verdict: What came of it.
        artifact: As it was sent.
        context: As it was sent.
        run_id: Id of this validation.
        trace_id: The request's.
        task_id: The request's `X-Task-Id`.
        actor: Name of the token.
    """
    refusal = verdict.refusal
    sent, is_cut = _json(artifact, MAX_INPUT)
    within, is_context_cut = _json(context or {}, MAX_CONTEXT)
    markers = sorted({finding.rule for finding in verdict.findings}) if verdict.findings else []
    return {
        "run_id": run_id,
        "task_id": task_id,
        "trace_id": trace_id,
        "actor": actor,
        "kind": verdict.kind,
        "passed": verdict.passed,
        "error": None if refusal is None else {"kind": refusal.error, "field": refusal.field, "reason": refusal.reason},
        "rule": None if refusal is None else refusal.rule,
        "rules_version": RULES_VERSION,
        "findings": [{"rule": f.rule, "field": loggable(f.field), "count": f.count} for f in verdict.findings],
        "success_markers": ["validation.passed"] if refusal is None else [],
        "failure_markers": ([] if refusal is None else [refusal.rule]) + markers,
        "input_text": sent,
        "input_hash": hashlib.sha256(sent.encode()).hexdigest(),
        "context": within,
        "is_cut": is_cut or is_context_cut,
        "latency_ms": verdict.elapsed_ms,
    }


def _json(value: Mapping[str, Any], most: int) -> tuple[str, bool]:
    """A value as JSON text with sorted keys; cut when it is too long to keep."""
    text = log_json(value)
    return text[:most], len(text) > most
