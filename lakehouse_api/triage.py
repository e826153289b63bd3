"""Triage in the API: decisions that are in the run log before they are answered, and what people need to see.

Belongs here: the order of a decision, where context is read. Not here: rules (see lakehouse/triage/decision.py), the
queue (see lakehouse/adapters/triage_queue.py), HTTP (see routes/triage.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson

from lakehouse.clock import utc_now
from lakehouse.errors import LakehouseError
from lakehouse.query.quoting import quote_text
from lakehouse.query.request import SqlRequest
from lakehouse.triage.decision import Asked, decide, line_of
from lakehouse.triage.item import Item
from lakehouse_api.answering_store import run_while_answering
from lakehouse_api.dependencies import fresh_snapshot

if TYPE_CHECKING:
    from lakehouse.adapters.review_store import ReviewStore
    from lakehouse.adapters.triage_queue import TriageQueue
    from lakehouse_api.services import Services

STREAM = "reviews"
MOST_TEXT, _MOST_WORDS = 200_000, 20
_RUN = (
    "run_id, stream, task_id, timestamp, model_name, model_provider,"
    f" left(input_text, {MOST_TEXT}) AS input_text, left(output_text, {MOST_TEXT}) AS output_text,"
    " validation, success_markers, failure_markers, reward"
)
_ABOUT = "coalesce(json_extract_string(metadata, '$.review_of'), json_extract_string(metadata, '$.outcome_of'))"


@dataclass(slots=True)
class Triage:
    """What the routes work with."""

    queue: TriageQueue
    reviews: ReviewStore

    async def decide(self, services: Services, item_id: str, asked: Asked) -> Item:
        """Decide on an item; the same decision again by the same person finds it done.

        Raises:
            NotFound: There is no such item.
            Conflict: Somebody else came first.
            BadInput: There is nothing to edit.
            Unavailable, InsufficientStorage: It could not be written down; sent again, it is.
        """
        services.require_writable()
        now = utc_now()
        item = await run_while_answering(services, self.queue.change, item_id, partial(decide, asked=asked, at=now))
        if item.decided is None or item.is_logged:
            return item
        # Every caller that finds the decision unlogged logs it, even when several do so at once: nobody may be told
        # that it is done before it is in the log, and a repeated line becomes the same record.
        await services.events.append(STREAM, line_of(item), durable=True)
        return await run_while_answering(services, self.queue.finish, item)

    async def context(self, services: Services, item: Item) -> dict[str, Any]:
        """What a person needs to see, from where it lies: the run and the words on it, or the review."""
        subject = item.subject
        try:
            if subject.about == "review":
                report = await run_while_answering(services, self.reviews.report, subject.detail["review_id"])
                return {"review": _of_bundle(report, subject.detail["bundle"])}
            if subject.about == "drift":
                return {"drift": dict(subject.detail)}
            runs = await self._rows(services, _run_statement(subject.of))
            words = await self._rows(services, _words_statement(subject.of))
        except LakehouseError as error:
            return {"problem": error.detail}
        of_stream = [run for run in runs if run["stream"] == subject.detail.get("stream")]
        return {"run": next(iter(of_stream or runs), None), "words": words}

    async def _rows(self, services: Services, sql: str) -> list[dict[str, Any]]:
        snapshot = await fresh_snapshot(services)
        answer = await services.sql.run(SqlRequest(sql, "json", _MOST_WORDS), snapshot=snapshot, has_pii=True)
        names = [column["name"] for column in answer.columns]
        return [dict(zip(names, row, strict=True)) for row in orjson.loads(answer.body)]


def _run_statement(run_id: str) -> str:
    return f"SELECT {_RUN} FROM evidence WHERE run_id = {quote_text(run_id)} LIMIT 3"


def _words_statement(run_id: str) -> str:
    """What reviewers and outcomes say of a run, the latest first."""
    return (
        "SELECT stream, timestamp, model_name, observer, human_override, reward FROM evidence"
        f" WHERE stream IN ('reviews', 'outcomes') AND {_ABOUT} = {quote_text(run_id)}"
        f" ORDER BY timestamp DESC LIMIT {_MOST_WORDS}"
    )


def _of_bundle(report: dict[str, Any], bundle: int) -> dict[str, Any]:
    """What a review says of one part of the diff."""
    answers = [
        {name: one[name] for name in ("reviewer", "verdict", "why_not")} | {"said": (one["said"] or {}).get("content")}
        for one in report["answers"]
        if one["bundle"] == bundle
    ]
    findings = [one for point in report["points"] for one in point["findings"] if one["bundle"] == bundle]
    return {"review_id": report["review_id"], "diff": report["diff"], "answers": answers, "findings": findings}
