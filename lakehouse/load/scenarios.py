"""The scenarios: what each asks, one request after the other, and what must hold of every answer.

All chance is drawn before the first request, so that a seed gives the same scenarios in whatever order they are played.

Belongs here: one generator for each kind. Not here: their order (see plan.py), checks (see answers.py).
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from lakehouse.load.answers import (
    Found,
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


@dataclass(slots=True)
class CacheUse:
    """How many answers said whether caches served them, and how many answers and embeddings came from one."""

    told: int = 0
    answers: int = 0
    embeddings: int = 0


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
        asked_again: Of `queries` those that were asked.
        caches: By kind of search what its answers said of caches.
    """

    crew: Crew
    queries: Sequence[Query]
    corpus: str
    mark: str
    mode: str | None = None
    recorded: list[str] = field(default_factory=list)
    asked_again: set[str] = field(default_factory=set)
    caches: dict[RequestKind, CacheUse] = field(default_factory=lambda: defaultdict(CacheUse))


def search_email(stage: Stage, draw: random.Random, number: int) -> Steps:
    """Search what nobody asked before, validate an e-mail to a worker; some hold a Social Security number."""
    asking, worker, is_wrong = draw.choice(stage.crew.workers), draw.choice(stage.crew.workers), _is_wrong(draw)
    query, wanted = cold_query(asking, draw, mark=stage.mark, number=number), _like(asking)
    body = email_body(worker, draw)
    artifact = {
        "to": f"worker{number % 1000}@example.com",
        "subject": f"Shift as {worker.role}"[:78],
        "body": f"{body} Your SSN {SSN} is on file." if is_wrong else body,
    }

    def steps() -> Steps:
        reply = yield _search(RequestKind.SEARCH_COLD, stage, query, filter=wanted)
        _found(stage, RequestKind.SEARCH_COLD, reply, query=query, wanted=wanted)
        reply = yield _validate(RequestKind.VALIDATE_EMAIL, "email", artifact, {"candidate_name": worker.name})
        if is_wrong:
            require_refused(reply, "Policy", words="Social Security")
        else:
            require_passed(reply)

    return steps()


def fill_record(stage: Stage, draw: random.Random, number: int) -> Steps:
    """Search, validate a fill of the order, record a playbook of it; some fills name somebody who does not exist."""
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
    asked, query = draw.choice(stage.queries), operation(first, len(chosen), mark=stage.mark)

    def steps() -> Steps:
        reply = yield _search(RequestKind.SEARCH, stage, asked.text, filter=asked.wanted)
        _found(stage, RequestKind.SEARCH, reply, query=asked.text, wanted=asked.wanted)
        reply = yield _validate(RequestKind.VALIDATE_FILL, "fill", {"fills": fills}, context)
        if is_wrong:
            require_refused(reply, "Consistency")
        else:
            require_passed(reply)
        reply = yield _record(stage, query, first.worker_id)
        _note(stage, reply)

    return steps()


def search_excluding(stage: Stage, draw: random.Random, number: int) -> Steps:
    """Search, then search the same without what came."""
    del number
    query = draw.choice(stage.queries)

    def steps() -> Steps:
        reply = yield _search(RequestKind.SEARCH, stage, query.text)
        excluded = _found(stage, RequestKind.SEARCH, reply, query=query.text).ids
        reply = yield _search(RequestKind.SEARCH_EXCLUDING, stage, query.text, exclude_ids=excluded)
        _found(stage, RequestKind.SEARCH_EXCLUDING, reply, query=query.text, excluded=excluded)

    return steps()


def search_repeatedly(stage: Stage, draw: random.Random, number: int) -> Steps:
    """Search the same five times; without playbooks, so that all five answers must be one, whatever others record."""
    del number
    query = draw.choice(stage.queries)

    def steps() -> Steps:
        first: list[str] = []
        for _ in range(REPEATS):
            reply = yield _search(RequestKind.SEARCH_REPEATED, stage, query.text, use_playbook=False)
            ids = _found(stage, RequestKind.SEARCH_REPEATED, reply, query=query.text).ids
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
    """Search what nobody asked before, record one of those found, search again: the recorded one must rank first."""
    asking, place = draw.choice(stage.crew.workers), draw.randrange(K)
    query = cold_query(asking, draw, mark=stage.mark, number=number)

    def steps() -> Steps:
        reply = yield _search(RequestKind.SEARCH_COLD, stage, query)
        ids = _found(stage, RequestKind.SEARCH_COLD, reply, query=query).ids
        endorsed = ids[min(place, len(ids) - 1)]
        reply = yield _record(stage, query, endorsed)
        _note(stage, reply)
        # True, since "auto" serves a share of searches without playbooks.
        reply = yield _search(RequestKind.SEARCH_RECORDED, stage, query, use_playbook=True)
        require_recorded_answer(_found(stage, RequestKind.SEARCH_RECORDED, reply, query=query), endorsed)

    return steps()


def forget(playbook_id: str) -> Steps:
    """Delete an entry that a run made."""
    reply = yield Ask(RequestKind.FORGET, f"/v1/matrix/playbooks/{playbook_id}", method="DELETE")
    require_done(reply)


def _is_wrong(draw: random.Random) -> bool:
    return draw.randrange(ONE_WRONG_OF) == 0


def _like(worker: Worker) -> Mapping[str, str]:
    """A filter that this worker fits."""
    return {"role": worker.role, "state": worker.state}


def _found(
    stage: Stage,
    kind: RequestKind,
    reply: Reply,
    *,
    query: str,
    wanted: Mapping[str, str] | None = None,
    excluded: Sequence[str] = (),
) -> Found:
    """Read the answer to a search, and what it says of caches."""
    found = read_found(reply, query=query, k=K, wanted=wanted, excluded=excluded)
    if found.timings_ms is not None:
        use = stage.caches[kind]
        use.told += 1
        use.answers += found.timings_ms.answer_cached
        use.embeddings += found.timings_ms.embed_cached or found.timings_ms.answer_cached
    return found


def _search(kind: RequestKind, stage: Stage, query: str, **more: Any) -> Ask:
    if kind is RequestKind.SEARCH or kind is RequestKind.SEARCH_REPEATED:
        stage.asked_again.add(query)
    mode = {} if stage.mode is None else {"mode": stage.mode}
    return Ask(kind, SEARCH, orjson.dumps({"query": query, "corpora": [stage.corpus], "k": K, **mode, **more}))


def _validate(kind: RequestKind, artifact_kind: str, artifact: dict[str, Any], context: dict[str, Any]) -> Ask:
    return Ask(kind, VALIDATE, orjson.dumps({"kind": artifact_kind, "artifact": artifact, "context": context}))


def _record(stage: Stage, query: str, answer_id: str) -> Ask:
    body = {"query": query, "answer_id": answer_id, "answer_corpus": stage.corpus, "score": 1.0, "tags": [TAG]}
    return Ask(RequestKind.RECORD, RECORD, orjson.dumps(body))


def _note(stage: Stage, reply: Reply) -> None:
    """Keep the id of a new entry; one that was merged into is there already, among ours or somebody's own."""
    recorded = read_recorded(reply)
    if not recorded.merged:
        stage.recorded.append(recorded.playbook_id)
