"""What `/v1/validate` takes and answers (CONTRACTS.md section 6).

Belongs here: its shapes. Not here: the rules (see lakehouse/validation).
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from lakehouse.validation import KINDS

ARTIFACT = (
    "email `{to, subject, body}`; sms `{to, body}`; fill `{fills: [{candidate_id, name}]}`;"
    " playbook `{operation, endorsed_names, score}`."
)
CONTEXT = (
    "email and sms: `candidate_name`, `other_names`, `allow_pay`;"
    " fill: `target_count`, `role`, `city`, `state`, `client_id`."
)


class ValidationRequest(Struct, forbid_unknown_fields=True, frozen=True):
    """An artifact, what it is, and what it is checked against."""

    kind: Annotated[str, Meta(description="What the artifact is.", extra_json_schema={"enum": list(KINDS)})]
    artifact: Annotated[dict[str, Any], Meta(description=ARTIFACT)]
    context: Annotated[dict[str, Any], Meta(description=CONTEXT)] | None = None


class ValidationFinding(Struct):
    """Something worth knowing that does not refuse; never the text that was found."""

    rule: str
    field: str
    reason: str
    count: int


class ValidationPassed(Struct):
    """Nothing refused the artifact."""

    findings: list[ValidationFinding]
    elapsed_ms: float


class SchemaFault(Struct):
    """A field of the wrong shape."""

    field: str
    reason: str


class Fault(Struct):
    """What is wrong with the artifact as a whole."""

    reason: str


class TaggedRefusal(Struct, rename="pascal"):
    """Why the artifact is refused: exactly one member, named by the kind of error."""

    schema: SchemaFault | UnsetType = UNSET
    completeness: Fault | UnsetType = UNSET
    consistency: Fault | UnsetType = UNSET
    policy: Fault | UnsetType = UNSET


class FlatRefusal(Struct, rename="pascal"):
    """The same for `Accept: application/vnd.lakehouse.flat+json`; `Field` is "" where the kind has none."""

    kind: Annotated[str, Meta(extra_json_schema={"enum": ["schema", "completeness", "consistency", "policy"]})]
    field: str
    reason: str
