"""An answer as it is asked, and as it comes back.

Belongs here: the shapes. Not here: HTTP (see lakehouse_api/schemas/answers.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from lakehouse.chat.request import Usage


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """What a caller asks; None stands for the config's value.

    Attributes:
        task: What is to be answered.
        corpora: Where to look; none switches retrieval off.
        use_pathway: Traces of how like tasks were solved are shown too.
        validate_kind: What the answer is validated as; None: only its grounding is checked.
        validate_context: The context of that validation.
        config: A version of the answer config other than the live one.
        seed: Asked of the model, which then keeps nothing of earlier prompts: the same input gives the same answer.
    """

    task: str
    corpora: Sequence[str]
    budget_tokens: int | None = None
    max_tokens: int | None = None
    model: str | None = None
    use_playbook: bool | Literal["auto"] = "auto"
    use_pathway: bool = False
    filter: Any = None
    exclude_ids: Sequence[str] = ()
    validate_kind: str | None = None
    validate_context: Mapping[str, Any] = field(default_factory=dict)
    config: int | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Citation:
    """A record that was really in the bundle; `is_used`: the answer speaks of it."""

    id: str
    corpus: str
    is_used: bool


@dataclass(frozen=True, slots=True)
class Retrieved:
    """A result of retrieval, whether or not there was room for it; a trace of pathway memory has no score."""

    id: str
    corpus: str
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """Whether the answer may leave, and why not: `error` is the tagged form of CONTRACTS.md section 6."""

    passed: bool
    error: Mapping[str, Any] | None = None
    findings: Sequence[Mapping[str, Any]] = ()
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of it. `answer` is None when it was refused; `model` is None when none was asked.

    Attributes:
        retrieved: What was found, best first; `citations` are those of it that were shown.
        playbook_ids: Entries that lifted, sank or injected what was shown.
        pathway_ids: Traces that were shown.
        is_downgraded: Whether the asking model is a strong one, from which the gate held back what is hardly relevant.
    """

    answer: str | None
    citations: Sequence[Citation]
    validation: Judged
    model: str | None
    provider: str | None
    usage: Usage
    cost_usd: float | None
    config_version: str
    trace_id: str
    arm: str
    bundle_tokens: int
    bundle_dropped: int
    stale: Sequence[str]
    unjudged: Mapping[str, str]
    timings_ms: Mapping[str, float]
    retrieved: Sequence[Retrieved] = ()
    playbook_ids: Sequence[str] = ()
    pathway_ids: Sequence[str] = ()
    is_downgraded: bool = False
