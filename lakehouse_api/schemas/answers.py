"""What `/v1/answer` takes and answers (CONTRACTS.md section 7).

Belongs here: its shapes. Not here: the loop (see lakehouse/answer).
"""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lakehouse.answer.request import Answer, AnswerRequest
from lakehouse.errors import BadInput
from lakehouse_api.schemas.chat import MODEL, ChatUsage
from lakehouse_api.schemas.matrix import FILTER
from lakehouse_api.schemas.request_body import RequestBody

_EXAMPLE: dict[str, Any] = {
    "answer": "Maria Lopez is an electrician in Columbus, Ohio.",
    "citations": [{"id": "1017", "corpus": "workers", "used": True}],
    "validation": {"passed": True, "kind": None, "error": None, "findings": []},
    "model": "smollm2-135m-instruct",
    "provider": "embedded",
    "usage": {"prompt_tokens": 412, "completion_tokens": 14},
    "cost_usd": 0.0,
    "config_version": "answer/0+search/0",
    "trace_id": "WzEsIjAxYTIwZTVkIl0.U5L-cFwtuBraM1lOPzM5FQ",
    "arm": "playbook",
    "downgraded": False,
    "bundle": {"tokens": 380, "dropped": 2},
    "stale": [],
    "unjudged": {},
    "timings_ms": {"retrieve": 1.9, "chat": 1320.5, "validate": 0.2, "total": 1322.7},
}
_VERSION = re.compile(r"(?:answer/)?(\d{1,9})")


class ValidateAs(RequestBody):
    """What the answer is validated as before it leaves; the context gives a message its `to` and `subject`."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["email", "sms", "fill", "playbook"]
    context: dict[str, Any] = Field(default_factory=dict)


class AnswerCall(RequestBody):
    """A task."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"task": "Who is an electrician in Ohio?", "corpora": ["workers"]}},
    )

    task: str = Field(min_length=1, description="What is to be answered.")
    corpora: list[str] = Field(max_length=64, description="Where to look; [] switches retrieval off.")
    budget_tokens: int | None = Field(None, ge=1, le=1_000_000, description="Of the whole prompt; unset: the config's.")
    max_tokens: int | None = Field(None, ge=1, le=100_000, description="Of the answer; unset: the config's.")
    model: str | None = Field(None, min_length=1, description=MODEL)
    use_playbook: bool | Literal["auto"] = "auto"
    use_pathway: bool = Field(
        False, description="Show traces of how like tasks were solved, too; needs the scope `pii`: they are free text."
    )
    filter: Any = Field(None, description=FILTER)
    exclude_ids: list[str] = Field(default_factory=list, max_length=100_000)
    validate_as: ValidateAs | None = Field(None, alias="validate")
    config: int | str | None = Field(None, description="A version other than the live one: 3, or answer/3.")

    def request(self) -> AnswerRequest:
        """As the service takes it.

        Raises:
            BadInput: `config` is no version.
        """
        return AnswerRequest(
            task=self.task,
            corpora=self.corpora,
            budget_tokens=self.budget_tokens,
            max_tokens=self.max_tokens,
            model=self.model,
            use_playbook=self.use_playbook,
            use_pathway=self.use_pathway,
            filter=self.filter,
            exclude_ids=self.exclude_ids,
            validate_kind=None if self.validate_as is None else self.validate_as.kind,
            validate_context={} if self.validate_as is None else self.validate_as.context,
            config=_version(self.config),
        )


class CitationView(BaseModel):
    """A record that was shown to the model; `used`: the answer names it."""

    id: str
    corpus: str
    used: bool


class ValidationView(BaseModel):
    """Whether the answer was grounded and valid. `error` is in the tagged form of `/v1/validate`."""

    passed: bool
    kind: str | None
    error: dict[str, Any] | None
    findings: list[dict[str, Any]]


class AnswerReply(BaseModel):
    """`answer` is null when it was refused: `validation.error` says why. `model` is null when none was asked."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    answer: str | None
    citations: list[CitationView]
    validation: ValidationView
    model: str | None
    provider: str | None
    usage: ChatUsage
    cost_usd: float | None
    config_version: str
    trace_id: str = Field(description="For `POST /v1/outcomes`; it holds what was shown.")
    arm: Literal["playbook", "holdout", "off"]
    downgraded: bool = Field(
        description="A strong model asks, and records whose relevance is not likely enough for it were held back."
    )
    bundle: dict[str, int] = Field(description="Tokens of the records that were shown, and records that had no room.")
    stale: list[str] = Field(description="Corpora whose store did not answer lately.")
    unjudged: dict[str, str] = Field(
        description="Corpora of which the config's relevance threshold dropped nothing, and why."
    )
    timings_ms: dict[str, float]

    @classmethod
    def of(cls, answer: Answer) -> AnswerReply:
        """The reply for an answer."""
        judged = answer.validation
        return cls(
            answer=answer.answer,
            citations=[CitationView(id=c.id, corpus=c.corpus, used=c.is_used) for c in answer.citations],
            validation=ValidationView(
                passed=judged.passed,
                kind=judged.kind,
                error=None if judged.error is None else dict(judged.error),
                findings=[dict(finding) for finding in judged.findings],
            ),
            model=answer.model,
            provider=answer.provider,
            usage=ChatUsage(prompt_tokens=answer.usage.prompt_tokens, completion_tokens=answer.usage.completion_tokens),
            cost_usd=answer.cost_usd,
            config_version=answer.config_version,
            trace_id=answer.trace_id,
            arm=answer.arm,
            downgraded=answer.is_downgraded,
            bundle={"tokens": answer.bundle_tokens, "dropped": answer.bundle_dropped},
            stale=list(answer.stale),
            unjudged=dict(answer.unjudged),
            timings_ms=dict(answer.timings_ms),
        )


def _version(config: int | str | None) -> int | None:
    if config is None:
        return None
    found = _VERSION.fullmatch(str(config))
    if found is None:
        raise BadInput(f"config {str(config)[:40]!r} is not a version of the answer config; send 3 or answer/3")
    return int(found.group(1))
