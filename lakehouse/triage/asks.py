"""What asks for a person: rows of scores, disputed reviews, open drift and refused samples, as items.

| kind | asks |
| --- | --- |
| `validator_conflict` | a validator passed what a judge rejects, or refused what a judge accepts |
| `reviewer_disagreement` | judges, or people, contradict each other on a run; reviewers of two lineages on a diff |
| `needs_review` | the score is `needs_human_review` for any other reason |
| `drift` | drift is confirmed, and nobody has acknowledged it |
| `suspected_pii` | a gate of a corpus refused a sample for personal data that it could not cut out |

What a person's word or a measured reward decides asks for nobody, except where people contradict each other.

Belongs here: those rules. Not here: reading the rows (see lakehouse/adapters/triage_sources.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from lakehouse.drift.freeze import OpenDrift
from lakehouse.scoring.rule_file import default_rules
from lakehouse.triage.item import Item, Kind, Subject
from lakehouse.triage.priority import prioritize
from lakehouse.validation.personal_spans import personal_spans

NEEDS_REVIEW = "needs_human_review"
_SURE_GROUNDS = frozenset({"human", "ground_truth"})
_REFUSES = frozenset({"validator.refuses"})
_JUDGE_ACCEPTS = frozenset(
    {
        "judge.but_injection", "judge.accepts_in_part", "judge.of_another_lineage_accepts",
        "judge.accepts_though_cut", "judge.accepts",
    }
)  # fmt: skip
_CONTRADICTS = "validator.and_judge_contradict"
_JUDGES, _PEOPLE = "judges.contradict", "human.others_disagree"


@cache
def rules_by_reason() -> Mapping[str, str]:
    """The names of scoring's rules by their reasons, which is what a score holds."""
    return {rule.reason: rule.name for rule in default_rules().rules}


@cache
def reasons_that_ask() -> tuple[str, ...]:
    """Reasons that may make an item of a run whatever its score is."""
    names = {_CONTRADICTS, _JUDGES, _PEOPLE, *_REFUSES}
    return tuple(sorted(reason for reason, name in rules_by_reason().items() if name in names))


def ask_of_run(row: Mapping[str, Any]) -> Item | None:
    """The item of a row of `scored`; None where it asks for nobody.

    Args:
        row: `run_id, stream, dt, task_id, score, reasons, rule, kind_of_ground, testimony, record_sha256`.
    """
    held = {rules_by_reason().get(reason, "") for reason in row["reasons"]} | {row["rule"]}
    kind = _kind_of(row, held)
    if kind is None:
        return None
    reasons = tuple(row["reasons"])
    priority, why = prioritize(
        kind, reasons=reasons, testimony=row["testimony"] or 0, is_rejected=row["score"] == "rejected"
    )
    detail = {"stream": row["stream"], "dt": str(row["dt"]), "score": row["score"], "rule": row["rule"]}
    # Items are kept where no erasure looks: a task that names somebody stays in evidence.
    task_id = None if personal_spans(row["task_id"] or "") else row["task_id"]
    subject = Subject("run", row["run_id"], row["record_sha256"] or "", task_id, detail)
    return Item(subject, kind, reasons, priority, why)


def ask_of_review(document: Mapping[str, Any]) -> list[Item]:
    """The items of a review's report: one for each part of the diff that is disputed."""
    items = []
    for bundle in document["disputed_bundles"]:
        said = [
            f"{one['reviewer']}: {one['verdict']}"
            for one in document["answers"]
            if one["bundle"] == bundle and one["verdict"] is not None
        ]
        paths: list[str] = next((one["paths"] for one in document["bundles"] if one["number"] == bundle), [])
        priority, why = prioritize("reviewer_disagreement")
        detail = {"review_id": document["review_id"], "bundle": bundle, "paths": list(paths)[:20]}
        subject = Subject("review", f"diff:{document['diff']['sha256']}#{bundle}", detail=detail)
        items.append(Item(subject, "reviewer_disagreement", tuple(said), priority, why))
    return items


def ask_of_drift(found: OpenDrift) -> Item:
    """The item of drift that is confirmed and that nobody has acknowledged."""
    since = found.since.isoformat()
    reasons = (f"confirmed drift of {found}", f"builds of corpora wait for: lakehouse drift acknowledge {found.kind}")
    priority, why = prioritize("drift")
    detail = {"kind": found.kind, "since": since, "day": found.day.isoformat()}
    return Item(Subject("drift", f"drift/{found.kind}/{since}", detail=detail), "drift", reasons, priority, why)


def ask_of_sample(row: Mapping[str, Any], *, build: str) -> Item | None:
    """The item of a line of a build's quarantine; None where another gate refused it.

    Args:
        row: `sample_id, run_id, gate, reason`.
        build: `<kind>/<build_id>`.
    """
    if row.get("gate") != "personal":
        return None
    priority, why = prioritize("suspected_pii")
    detail = {"build": build, "sample_id": row["sample_id"]}
    return Item(Subject("pii", row["run_id"], detail=detail), "suspected_pii", (row["reason"],), priority, why)


def _kind_of(row: Mapping[str, Any], held: set[str]) -> Kind | None:
    needs = row["score"] == NEEDS_REVIEW
    if _PEOPLE in held:
        return "reviewer_disagreement"
    if row["kind_of_ground"] in _SURE_GROUNDS:
        return "needs_review" if needs else None
    if _CONTRADICTS in held or (held & _REFUSES and held & _JUDGE_ACCEPTS):
        return "validator_conflict"
    if _JUDGES in held:
        return "reviewer_disagreement"
    return "needs_review" if needs else None
