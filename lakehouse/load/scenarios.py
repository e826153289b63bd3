"""The scenarios: what each asks, one request after the other, and what must hold of every answer.

All chance is drawn before the first request, so that a seed gives the same scenarios in whatever order they are played.

Belongs here: one generator for each kind. Not here: their order (see plan.py), checks (see answers.py).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from lakehouse.load.answers import (
    read_found,
    read_recorded,
    require_done,
    require_passed,
    require_recorded_answer,
    require_refused,
)
from lakehouse.load.crew import Crew, Worker
from lakehouse.load.mix import REPEATS, RequestKind
from lakehouse.load.steps import Ask, Reply, Steps, Wrong
from lakehouse.load.texts import SSN, Query, cold_query, email_body, operation, sms_body

SEARCH = "/v1/matrix/search"
VALIDATE = "/v1/validate"
RECORD = "/v1/matrix/playbooks/record"
TAG = "load"
K = 10
# Of so many messages and fills one is wrong and must be refused.
ONE_WRONG_OF = 8


@dataclass(frozen=True, slots=True)
class Stage:
    """What scenarios are played with.

    Args:
        crew: Of whom they speak.
        queries: What is asked again and again.
        corpus: What is searched; its ids are the workers'.
        mark: Of this run alone: in what must not have been asked before, and in what is recorded.
        mode: Of searches: `vector`, `text` or `hybrid`; None for the service's own.
        recorded: Ids of the playbook entries that the run made.
    """

    crew: Crew
    queries: Sequence[Query]
    corpus: str
    mark: str
    mode: str | None = None
    recorded: list[str] = field(default_factory=list)


def search_email(stage: Stage, draw: random.Random, number: int) -> Steps:
    """Search with a filter, then validate an e-mail to a worker; some hold a Social Security number."""
    query, worker, is_wrong = draw.choice(stage.queries), draw.choice(stage.crew.workers), _is_wrong(draw)
    body = email_body(worker, draw)
    artifact = {
        "to": f"worker{number % 1000}@example.com",
        "subject": f"Shift as {worker.role}"[:78],
        "body": f"{body} Your SSN {SSN} is on file." if is_wrong else body,
    }

    def steps() -> Steps:
        reply = yield _search(RequestKind.SEARCH, stage, query.text, filter=query.wanted)
        read_found(reply, query=query.text, k=K, wanted=query.wanted)
        reply = yield _validate(RequestKind.VALIDATE_EMAIL, "email", artifact, {"candidate_name": worker.name})
        if is_wrong:
            require_refused(reply, "Policy", words="Social Security")
        else:
            require_passed(reply)

    return steps()


def fill_record(stage: Stage, draw: random.Random, number: int) -> Steps:
    """Validate a fill, then record a playbook of it; some name somebody who does not exist, and must be refused."""
    group, is_wrong = draw.choice(stage.crew.groups), _is_wrong(draw)
    chosen = list(group[: draw.randint(1, len(group))])
    first = chosen[0]
    fills = [{"candidate_id": worker.worker_id, "name": worker.name} for worker in chosen]
    if is_wrong:
        fills[-1] = {"candidate_id": f"phantom-{stage.mark}-{number}", "name": "Nobody Known"}
    context = {
        "target_count": len(chosen),
        "role": first.role,
        "city": first.city,
        "state": first.state,
        "client_id": stage.crew.client_for(chosen, draw.randrange(1000)),
    }
    query = operation(first, len(chosen), mark=stage.mark)

    def steps() -> Steps:
        reply = yield _validate(RequestKind.VALIDATE_FILL, "fill", {"fills": fills}, context)
        if is_wrong:
            require_refused(reply, "Consistency")
        else:
            require_passed(reply)
        reply = yield _record(stage, query, first)
        _note(stage, reply)

    return steps()


def search_excluding(stage: Stage, draw: random.Random, number: int) -> Steps:
    """Search, then search the same without what came."""
    del number
    query = draw.choice(stage.queries)

    def steps() -> Steps:
        reply = yield _search(RequestKind.SEARCH, stage, query.text)
        excluded = read_found(reply, query=query.text, k=K).ids
        reply = yield _search(RequestKind.SEARCH_EXCLUDING, stage, query.text, exclude_ids=excluded)
        read_found(reply, query=query.text, k=K, excluded=excluded)

    return steps()


def search_repeatedly(stage: Stage, draw: random.Random, number: int) -> Steps:
    """Search the same five times; without playbooks, so that all five answers must be one, whatever others record."""
    del number
    query = draw.choice(stage.queries)

    def steps() -> Steps:
        first: list[str] = []
        for _ in range(REPEATS):
            reply = yield _search(RequestKind.SEARCH_REPEATED, stage, query.text, use_playbook=False)
            ids = read_found(reply, query=query.text, k=K).ids
            if (first := first or ids) != ids:
                raise Wrong("the same search has another answer", f"{query.text}: {first}, then {ids}")

    return steps()


def validate_sms(stage: Stage, draw: random.Random, number: int) -> Steps:
    """Validate a text message; some are too long and must be refused."""
    worker, is_wrong = draw.choice(stage.crew.workers), _is_wrong(draw)
    artifact = {
        "to": f"+141555501{number % 100:02d}",
        "body": "x" * 161 if is_wrong else sms_body(worker, draw),
    }

    def steps() -> Steps:
        reply = yield _validate(RequestKind.VALIDATE_SMS, "sms", artifact, {})
        if is_wrong:
            require_refused(reply, "Schema", field="body")
        else:
            require_passed(reply)

    return steps()


def record_and_search_again(stage: Stage, draw: random.Random, number: int) -> Steps:
    """Search what nobody asked before, record somebody for it, search again: the one who was recorded must be there."""
    asking, endorsed = draw.choice(stage.crew.workers), draw.choice(stage.crew.workers)
    query = cold_query(asking, draw, mark=stage.mark, number=number)

    def steps() -> Steps:
        reply = yield _search(RequestKind.SEARCH_COLD, stage, query)
        read_found(reply, query=query, k=K)
        reply = yield _record(stage, query, endorsed)
        _note(stage, reply)
        # True, since "auto" serves a share of searches without playbooks.
        reply = yield _search(RequestKind.SEARCH_RECORDED, stage, query, use_playbook=True)
        require_recorded_answer(read_found(reply, query=query, k=K), endorsed.worker_id)

    return steps()


def forget(playbook_id: str) -> Steps:
    """Delete an entry that a run made."""
    reply = yield Ask(RequestKind.FORGET, f"/v1/matrix/playbooks/{playbook_id}", method="DELETE")
    require_done(reply)


def _is_wrong(draw: random.Random) -> bool:
    return draw.randrange(ONE_WRONG_OF) == 0


def _search(kind: RequestKind, stage: Stage, query: str, **more: Any) -> Ask:
    mode = {} if stage.mode is None else {"mode": stage.mode}
    return Ask(kind, SEARCH, orjson.dumps({"query": query, "corpora": [stage.corpus], "k": K, **mode, **more}))


def _validate(kind: RequestKind, artifact_kind: str, artifact: dict[str, Any], context: dict[str, Any]) -> Ask:
    return Ask(kind, VALIDATE, orjson.dumps({"kind": artifact_kind, "artifact": artifact, "context": context}))


def _record(stage: Stage, query: str, worker: Worker) -> Ask:
    body = {"query": query, "answer_id": worker.worker_id, "answer_corpus": stage.corpus, "score": 1.0, "tags": [TAG]}
    return Ask(RequestKind.RECORD, RECORD, orjson.dumps(body))


def _note(stage: Stage, reply: Reply) -> None:
    """Keep the id of a new entry; one that was merged into is there already, among ours or somebody's own."""
    recorded = read_recorded(reply)
    if not recorded.merged:
        stage.recorded.append(recorded.playbook_id)
