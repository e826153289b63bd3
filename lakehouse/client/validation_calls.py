"""The call about validation, and its answer: a refused artifact is a result, no error.

Belongs here: what is asked, what comes back, typed for users. Not here: sending (see transport.py), the rules (see
docs/reference/validation.md).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lakehouse.client.call import Call, encode
from lakehouse.client.problems import read_problem

_REFUSED = 422
_KINDS = ("Schema", "Completeness", "Consistency", "Policy")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an artifact is refused: `field` is that of a `Schema` error, "" for the other kinds."""

    kind: Literal["Schema", "Completeness", "Consistency", "Policy"]
    reason: str
    field: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something worth knowing that does not refuse."""

    rule: str
    field: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class Validation:
    """The verdict on an artifact; true when it passed."""

    error: Refusal | None
    findings: tuple[Finding, ...] = ()
    elapsed_ms: float | None = None

    @property
    def passed(self) -> bool:
        """Whether nothing refused the artifact."""
        return self.error is None

    def __bool__(self) -> bool:
        return self.passed

    @classmethod
    def of(cls, body: bytes) -> Validation:
        """Read the answer of `/v1/validate`.

        Raises:
            LakehouseApiError: It is none: something between here and the API answered.
        """
        try:
            answer = json.loads(body)
            if "findings" in answer:
                return cls(None, tuple(Finding(**finding) for finding in answer["findings"]), answer["elapsed_ms"])
            kind = next(kind for kind in _KINDS if kind in answer)
            return cls(Refusal(kind, answer[kind]["reason"], answer[kind].get("field", "")))  # type: ignore[arg-type]
        except (ValueError, TypeError, KeyError, StopIteration):
            raise read_problem(_REFUSED, "No answer of the API", body) from None


def validate(
    kind: Literal["email", "sms", "fill", "playbook"],
    artifact: Mapping[str, Any],
    context: Mapping[str, Any] | None = None,
) -> Call[Validation]:
    """Validate what a model wrote before it is sent or used; a refusal is the result, and raises nothing.

    Args:
        kind: What the artifact is.
        artifact: Such as `{"to": "+14155550132", "body": "…"}`.
        context: What it is checked against, such as `{"candidate_name": "Maria Lopez"}`.
    """
    body = encode(kind=kind, artifact=dict(artifact), context=None if context is None else dict(context))
    return Call("POST", "/v1/validate", Validation.of, body=body, accepted=frozenset({_REFUSED}))
