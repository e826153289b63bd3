"""What retrieval gave for a task, and what of it was shown to the model.

Belongs here: the result of that step, and what the chat's line says of it. Not here: searching and bundling (see
service.py, bundle.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lakehouse.answer.bundle import Bundle, Record
from lakehouse.answer.request import AnswerRequest, Retrieved
from lakehouse.retrieval.asked import asked_with
from lakehouse.retrieval.search_answer import SearchAnswer
from lakehouse.retrieval.trace import Arm, Shown

PATHWAYS = "pathways"
"""The corpus that traces are cited under."""


@dataclass(frozen=True, slots=True)
class Found:
    """What retrieval gave, and what of it was shown."""

    bundle: Bundle
    search: SearchAnswer | None
    records: Sequence[Record] = ()
    shape: str = ""

    @property
    def arm(self) -> Arm:
        """How playbooks were used."""
        return "off" if self.search is None else self.search.arm

    @property
    def shown(self) -> tuple[Shown, ...]:
        """What was shown, with the playbook entries behind it."""
        results = () if self.search is None else self.search.results
        lifts = {(c.corpus, c.id): c.lift.playbook_ids if c.lift else () for c in (r.candidate for r in results)}
        return tuple(Shown(r.corpus, r.id, lifts.get((r.corpus, r.id), ())) for r in self.bundle.records)

    @property
    def retrieved(self) -> list[Retrieved]:
        """All that was found, also what had no room."""
        found = () if self.search is None else (result.candidate for result in self.search.results)
        scores = {(candidate.corpus, candidate.id): candidate.score for candidate in found}
        return [Retrieved(r.id, r.corpus, scores.get((r.corpus, r.id))) for r in self.records]

    @property
    def playbook_ids(self) -> list[str]:
        """Playbook entries behind what was shown."""
        return sorted({playbook_id for shown in self.shown for playbook_id in shown.playbook_ids})

    @property
    def pathway_ids(self) -> list[str]:
        """Traces that were shown."""
        return [record.id for record in self.bundle.records if record.corpus == PATHWAYS]


def context_of(request: AnswerRequest, found: Found) -> dict[str, Any]:
    """What the chat's line says of the task, how it was asked, and what was shown (CONTRACTS.md section 8)."""
    counts = {} if found.search is None else found.search.counts
    context = {
        "corpora": list(request.corpora),
        "hits": sum(count.hits for count in counts.values()),
        "kept": len(found.bundle.records),
        "dropped": sum(count.dropped for count in counts.values()) + found.bundle.dropped,
        "playbook_ids": found.playbook_ids,
        "pathway_ids": found.pathway_ids,
        "shown": [{"corpus": record.corpus, "id": record.id} for record in found.bundle.records],
        "bundle_tokens": found.bundle.tokens,
        "arm": found.arm,
        "shape": found.shape,
    }
    kind = request.validate_kind
    asked = asked_with(
        filter=request.filter,
        exclude_ids=list(request.exclude_ids),
        validate=None if kind is None else {"kind": kind, "context": dict(request.validate_context)},
        budget_tokens=request.budget_tokens,
        max_tokens=request.max_tokens,
    )
    return {"task": request.task, "asked": asked, "retrieved_context": context}
