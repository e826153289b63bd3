"""Modes over the lake: `matrix.search`, `pathway.search`, `distillation.score`, `drift.scorer`, `validate`, `sql`.

Belongs here: from `with` to a request, from an answer to JSON. Not here: the services themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from lakehouse.counted import counted
from lakehouse.errors import BadInput, Forbidden
from lakehouse.pathway.search import PathwaySearch
from lakehouse.query.request import SqlRequest
from lakehouse.retrieval.search_request import SearchRequest
from lakehouse.workflow.fields import Field
from lakehouse.workflow.mode import Mode, ModeCall, Rejected

_MAX_K = 200
_MAX_ROWS = 1000
_MAX_RECORDS = 1000
GATE = Field("boolean", "whether a refusal fails the node; default true")


async def _search(given: Mapping[str, Any], call: ModeCall) -> dict[str, Any]:
    request = SearchRequest(
        query=given["query"],
        corpora=_texts(given, "corpora"),
        k=_most(given, "k", _MAX_K),
        filter=given.get("filter"),
        sql_filter=given.get("sql_filter"),
        exclude_ids=_texts(given, "exclude_ids"),
        use_playbook=False if given.get("use_playbook") is None else given["use_playbook"],
        mode=given.get("mode"),
        threshold=given.get("threshold"),
    )
    found = await call.services.search(request, call.who)
    results = [
        {
            "id": one.candidate.id,
            "corpus": one.candidate.corpus,
            "score": round(float(one.candidate.score), 6),
            "metadata": orjson.loads(one.metadata),
        }
        for one in found.results
    ]
    counts = {name: {"hits": c.hits, "kept": c.kept, "dropped": c.dropped} for name, c in found.counts.items()}
    return {"results": results, "corpora": counts, "config_version": found.config_version}


async def _recall(given: Mapping[str, Any], call: ModeCall) -> dict[str, Any]:
    if not call.who.has_pii:
        raise Forbidden("pathway.search needs the scope 'pii': traces are free text of people", scope="pii")
    asked = PathwaySearch(
        text=given.get("text"),
        tags=_texts(given, "tags"),
        since=_moment(given.get("since")),
        k=_most(given, "k", _MAX_K) or 10,
    )
    found = await call.services.recall(asked, call.who)
    results = [
        {
            "uid": one.trace.uid,
            "content": orjson.loads(one.trace.content),
            "tags": list(one.trace.tags),
            "score": round(float(one.score), 6),
        }
        for one in found
    ]
    return {"results": results}


async def _sql(given: Mapping[str, Any], call: ModeCall) -> dict[str, Any]:
    answer = await call.services.sql(
        SqlRequest(given["query"], "json", _most(given, "max_rows", _MAX_ROWS) or 100), call.who
    )
    names = [column["name"] for column in answer.columns]
    rows = [dict(zip(names, row, strict=True)) for row in orjson.loads(answer.body)]
    return {"columns": answer.columns, "rows": rows, "row_count": answer.row_count, "truncated": answer.truncated}


async def _validate(given: Mapping[str, Any], call: ModeCall) -> dict[str, Any]:
    verdict = await call.services.validate(given["kind"], given["artifact"], given.get("context") or {}, call.who)
    error = None if verdict.refusal is None else verdict.refusal.tagged()
    findings = [finding.as_dict() for finding in verdict.findings]
    output = {"passed": verdict.passed, "error": error, "findings": findings}
    if verdict.refusal is not None and given.get("gate") is not False:
        raise Rejected(f"the {given['kind']} is refused: {verdict.refusal.reason}", output)
    return output


async def _score(given: Mapping[str, Any], call: ModeCall) -> dict[str, Any]:
    records = given["records"]
    if not records or len(records) > _MAX_RECORDS or not all(isinstance(one, Mapping) for one in records):
        raise BadInput(f"distillation.score takes 1 to {_MAX_RECORDS} records of evidence, each an object")
    rows = await call.services.score(records)
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["score"]] = counts.get(row["score"], 0) + 1
    return {"scores": rows, "counts": counts}


async def _drift(given: Mapping[str, Any], call: ModeCall) -> dict[str, Any]:
    from lakehouse.drift.scorer import ScorerBaseline, scorer_drift
    from lakehouse.tables.scored import SCORES

    kept = given["baseline"]
    parts = {name: kept.get(name) for name in ("scores", "evidence")}
    if not all(isinstance(part, Mapping) for part in parts.values()):
        raise BadInput(
            "with.baseline is {rules_version, scores: {run: score}, evidence: {run: sha256}}", field="baseline"
        )
    baseline = ScorerBaseline(str(kept.get("rules_version", "")), parts["scores"], parts["evidence"])
    found = await asyncio.to_thread(scorer_drift, given["evidence"], given["scored"], baseline)
    output = {
        "verdict": found.verdict,
        "runs": found.runs,
        "moved": found.moved,
        "corrected": found.corrected,
        "scores": list(SCORES),
        "confusion": [list(row) for row in found.confusion],
        "corrections": [list(row) for row in found.corrections],
    }
    if found.verdict == "drift" and given.get("gate") is not False:
        raise Rejected(
            f"{found.moved} of {counted(found.runs, 'run', 'has')} another score by the rules of now", output
        )
    return output


def _texts(given: Mapping[str, Any], name: str) -> list[str]:
    value = given.get(name) or []
    if not all(isinstance(one, str) for one in value):
        raise BadInput(f"with.{name} must be a list of texts", field=name)
    return list(value)


def _most(given: Mapping[str, Any], name: str, most: int) -> int | None:
    value = given.get(name)
    if value is not None and not 1 <= value <= most:
        raise BadInput(f"with.{name} must be from 1 to {most}", field=name)
    return value


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput(f"with.since must be an ISO 8601 time, not {text[:40]!r}", field="since") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


DATA_MODES = (
    Mode(
        "matrix.search",
        "Searches corpora together, as `POST /v1/matrix/search` does.",
        {
            "query": Field("text", "what is looked for", is_required=True),
            "corpora": Field("list", "names of corpora", is_required=True),
            "k": Field("integer", f"most results, up to {_MAX_K}; default: the config's"),
            "filter": Field("object", "a filter of metadata"),
            "sql_filter": Field("text", "a boolean SQL expression"),
            "exclude_ids": Field("list", "ids that never come back"),
            "use_playbook": Field("boolean", "whether playbooks lift results; default false: the same each time"),
            "mode": Field("text", "vector, text or hybrid"),
            "threshold": Field("number", "least probability of relevance"),
        },
        _search,
    ),
    Mode(
        "pathway.search",
        "Searches traces of how tasks were solved; needs the scope `pii`.",
        {
            "text": Field("text", "words and meaning; without it the newest come first"),
            "tags": Field("list", "all of them are on a trace that is found"),
            "since": Field("text", "updated at or after this time"),
            "k": Field("integer", f"most results, up to {_MAX_K}; default 10"),
        },
        _recall,
    ),
    Mode(
        "distillation.score",
        "Scores records of evidence by the written rules.",
        {"records": Field("list", "records, each with columns of `evidence`", is_required=True)},
        _score,
    ),
    Mode(
        "drift.scorer",
        "Compares the scores of runs with those that a baseline kept of them; drift fails the node.",
        {
            "evidence": Field("list", "rows of now: `run_id`, `record_sha256`", is_required=True),
            "scored": Field("list", "their scores: `run_id`, `score`", is_required=True),
            "baseline": Field("object", "`rules_version`, `scores` and `evidence`, both by run", is_required=True),
            "gate": GATE,
        },
        _drift,
    ),
    Mode(
        "validate",
        "Validates an artifact by rules, as `POST /v1/validate` does; a refusal fails the node.",
        {
            "kind": Field("text", "email, sms, fill or playbook", is_required=True),
            "artifact": Field("object", "what is validated", is_required=True),
            "context": Field("object", "what it is checked against"),
            "gate": GATE,
        },
        _validate,
    ),
    Mode(
        "sql",
        "Answers one statement that reads; values go into it by the filter `sql`.",
        {
            "query": Field("text", "the statement", is_required=True),
            "max_rows": Field("integer", f"most rows, up to {_MAX_ROWS}; default 100"),
        },
        _sql,
    ),
)
