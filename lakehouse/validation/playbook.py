"""Playbooks as artifacts: an operation, the names that it endorses, a score.

Belongs here: their rules. Not here: the playbook that searches learn from (see lakehouse/retrieval/playbook.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lakehouse.validation.names import name_words
from lakehouse.validation.shapes import is_blank, name_list_fault, schema, text_fault, type_name
from lakehouse.validation.verdict import Finding, Refusal

MAX_OPERATION = 2_000
LOWEST, HIGHEST = -1.0, 1.0


def check_playbook(artifact: Mapping[str, Any]) -> Refusal | None:
    """Why a playbook is refused, None when it is not."""
    for field in ("operation", "endorsed_names"):
        if field not in artifact:
            return schema("playbook.shape", field, f"{field} is missing")
    if artifact["operation"] is None:
        return schema("playbook.shape", "operation", "operation must be text, not null")
    return (
        text_fault(artifact, "operation", "playbook.shape", most=MAX_OPERATION)
        or name_list_fault(artifact["endorsed_names"], "endorsed_names", "playbook.shape")
        or _score_fault(artifact.get("score"))
        or _incomplete(artifact)
    )


def playbook_findings(artifact: Mapping[str, Any]) -> list[Finding]:
    """What is worth knowing about a playbook that passed."""
    names = [name_words(name) for name in artifact["endorsed_names"]]
    repeated = len(names) - len(set(names))
    if not repeated:
        return []
    return [Finding("playbook.repeated", "endorsed_names", "a name is endorsed more than once", repeated)]


def _score_fault(score: Any) -> Refusal | None:
    if score is None:
        return None
    if isinstance(score, bool) or not isinstance(score, int | float):
        return schema("playbook.score", "score", f"score must be a number, not {type_name(score)}")
    is_within = LOWEST <= score <= HIGHEST if isinstance(score, int) or math.isfinite(score) else False
    return None if is_within else schema("playbook.score", "score", "score must be from -1 (failed) to 1 (worked)")


def _incomplete(artifact: Mapping[str, Any]) -> Refusal | None:
    if is_blank(artifact["operation"]):
        return Refusal("Completeness", "playbook.empty", "operation is empty")
    if not artifact["endorsed_names"]:
        return Refusal("Completeness", "playbook.empty", "endorsed_names is empty; nobody is endorsed")
    if any(is_blank(name) for name in artifact["endorsed_names"]):
        return Refusal("Completeness", "playbook.empty", "endorsed_names holds an empty name")
    return None
