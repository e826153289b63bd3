"""One validation: an artifact of a kind against its context.

The order of checks is the same for every kind: the shape of fields, what is missing, whether it fits the context and
the data, what it must not tell. The first that fails is the answer.

Belongs here: the dispatch and the findings of texts. Not here: the rules of a kind (see messages.py, fill.py,
playbook.py), the log line (see log_line.py).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, cast, get_args

from lakehouse.errors import BadInput
from lakehouse.validation.fill import check_fill
from lakehouse.validation.injection import injection_signs
from lakehouse.validation.messages import check_email, check_sms, message_findings
from lakehouse.validation.personal import personal_data
from lakehouse.validation.playbook import check_playbook, playbook_findings
from lakehouse.validation.roster import RosterSource
from lakehouse.validation.rules import BY_ID
from lakehouse.validation.shapes import type_name
from lakehouse.validation.social_security import mask_ssns
from lakehouse.validation.texts import quoted, texts_of
from lakehouse.validation.verdict import Finding, Kind, Refusal, Verdict

# No honest artifact has so many fields with findings.
MAX_FINDINGS = 100
KINDS: tuple[str, ...] = get_args(Kind)


def validate(kind: str, artifact: object, context: object = None, *, roster: RosterSource | None = None) -> Verdict:
    """Validate an artifact.

    Args:
        kind: One of `KINDS`.
        artifact: A JSON object; whatever is in it is checked.
        context: A JSON object, or None for none.
        roster: The workers that fills are checked against.

    Returns:
        The verdict. A refused artifact has findings too: what its texts hold matters to whoever reads the log.

    Raises:
        BadInput: The kind is unknown, or the artifact or the context is no object.
        Unavailable: A fill, and no workers to check it against.
    """
    begun = time.perf_counter()
    if kind not in KINDS:
        raise BadInput(f"kind {quoted(kind)} is unknown; kinds are {', '.join(KINDS)}", field="kind")
    if not isinstance(artifact, Mapping):
        raise BadInput(f"artifact must be a JSON object, not {type_name(artifact)}", field="artifact")
    if context is not None and not isinstance(context, Mapping):
        raise BadInput(f"context must be a JSON object, not {type_name(context)}", field="context")
    refusal, findings = _check(kind, artifact, context or {}, roster)
    findings += _text_findings(artifact)
    elapsed_ms = round((time.perf_counter() - begun) * 1000, 3)
    return Verdict(cast("Kind", kind), refusal, tuple(findings), elapsed_ms)


def _check(
    kind: str, artifact: Mapping[str, Any], context: Mapping[str, Any], roster: RosterSource | None
) -> tuple[Refusal | None, list[Finding]]:
    if kind == "fill":
        return check_fill(artifact, context, roster)
    if kind == "playbook":
        refusal = check_playbook(artifact)
        return refusal, [] if refusal is not None else playbook_findings(artifact)
    refusal = (check_email if kind == "email" else check_sms)(artifact, context)
    return refusal, [] if refusal is not None else message_findings(kind, artifact, context)


def _text_findings(artifact: Mapping[str, Any]) -> list[Finding]:
    found: list[Finding] = []
    for field, text in texts_of(artifact).items():
        signs = injection_signs(text) | personal_data(text)
        if not signs:
            continue
        where = mask_ssns(field[:100])
        found += [Finding(rule, where, BY_ID[rule].what, count) for rule, count in signs.items()]
        if len(found) >= MAX_FINDINGS:
            break
    return found
