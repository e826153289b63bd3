"""What `/v1/outcomes` takes and answers (CONTRACTS.md section 7).

Belongs here: its shapes. Not here: crediting (see lakehouse/retrieval/playbook_desk.py).
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct


class Outcome(Struct, forbid_unknown_fields=True, frozen=True):
    """How an answer did; `trace_id` or `run_id`, `success` or `score`."""

    trace_id: Annotated[str, Meta(min_length=1, description="As a search or an answer gave it.")] | None = None
    run_id: Annotated[str, Meta(min_length=1, max_length=200, description="Of a run without a trace.")] | None = None
    success: Annotated[bool, Meta(description="Whether it helped; or send `score`.")] | None = None
    score: Annotated[float, Meta(ge=-1, le=1, description="-1 failed, 1 worked.")] | None = None
    answer_id: Annotated[str, Meta(min_length=1, max_length=1024, description="The result that was used.")] | None = (
        None
    )
    by: Annotated[str, Meta(max_length=200, description="Who says so; what counts is the token's name.")] | None = None
    note: Annotated[str, Meta(max_length=10_000, description="For whoever reads the log.")] | None = None


class OutcomeTaken(Struct):
    """The run id of the outcome's line, and the playbook entries that were credited or debited.

    `revision`: where that is visible; null where nothing was credited.
    """

    run_id: str
    credited: list[str]
    revision: str | None
