"""What a validation says: passed with findings, or refused with one error in either wire form.

Belongs here: the values and their JSON. Not here: the rules (see rules.py), HTTP (see
lakehouse_api/routes/validation.py).
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

ErrorKind = Literal["Schema", "Completeness", "Consistency", "Policy"]
Kind = Literal["email", "sms", "fill", "playbook"]


class Refusal(Struct, frozen=True):
    """Why an artifact is refused.

    Args:
        error: The kind of error, as the tagged form names it.
        rule: Id of the rule in `rules.py`.
        reason: What is wrong and what to do, in one sentence; never a Social Security number.
        field: The field of a `Schema` error, such as `to` or `fills[0].name`; "" for the other kinds.
    """

    error: ErrorKind
    rule: str
    reason: str
    field: str = ""

    def tagged(self) -> dict[str, dict[str, str]]:
        """The canonical form: `{"Schema": {"field": …, "reason": …}}`, `{"Policy": {"reason": …}}`."""
        if self.error == "Schema":
            return {"Schema": {"field": self.field, "reason": self.reason}}
        return {self.error: {"reason": self.reason}}

    def flat(self) -> dict[str, str]:
        """The flat form: `{"Kind": "schema", "Field": …, "Reason": …}`."""
        return {"Kind": self.error.lower(), "Field": self.field, "Reason": self.reason}


class Finding(Struct, frozen=True):
    """Something worth knowing that does not refuse: where it is and how often, never the text itself."""

    rule: str
    field: str
    reason: str
    count: int = 1

    def as_dict(self) -> dict[str, Any]:
        """Its JSON form."""
        return {"rule": self.rule, "field": self.field, "reason": self.reason, "count": self.count}


class Verdict(Struct, frozen=True):
    """The result of one validation; `refusal` is None when it passed."""

    kind: Kind
    refusal: Refusal | None
    findings: tuple[Finding, ...]
    elapsed_ms: float

    @property
    def passed(self) -> bool:
        """Whether nothing refused it."""
        return self.refusal is None

    def answer(self) -> dict[str, Any]:
        """The body of a 200."""
        return {"findings": [finding.as_dict() for finding in self.findings], "elapsed_ms": self.elapsed_ms}
