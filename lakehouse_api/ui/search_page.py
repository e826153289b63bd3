"""Search: with playbooks and without side by side, filters with counts, judgements, why a result is there.

Belongs here: the page and its parts. Not here: the search (see ../routes/matrix.py), counts (see facets.py).
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlencode

import numpy as np
from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from lakehouse.errors import BadInput, NotFound
from lakehouse_api.dependencies import ReadDep, ServicesDep, run_blocking
from lakehouse_api.ui.answers import corpus_names, first_corpus
from lakehouse_api.ui.dependencies import FormDep, SiteDep, answer_of, field, is_part
from lakehouse_api.ui.facet_filters import chosen_of, filter_of
from lakehouse_api.ui.rendering import render_page

router = APIRouter(prefix="/ui/search", include_in_schema=False)
_MOST_SHOWN = 50
_SIDES = (("without", "Without playbooks", False), ("with", "With playbooks", True))


@router.get("")
async def ui_search(  # noqa: PLR0917 - FastAPI passes all by name
    request: Request,
    services: ServicesDep,
    principal: ReadDep,
    q: Annotated[str, Query(max_length=65_536)] = "",
    corpus: Annotated[list[str] | None, Query(max_length=64)] = None,
    k: Annotated[int, Query(ge=1, le=_MOST_SHOWN)] = 10,
    exclude: Annotated[list[str] | None, Query(max_length=1000)] = None,
) -> Response:
    """The form, and what was found."""
    names = await corpus_names(services)
    wanted_names = list(dict.fromkeys(corpus or [first_corpus(names)]))
    chosen = [name for name in wanted_names if name in names]
    fields = request.query_params.multi_items()
    context: dict[str, Any] = {
        "q": q, "names": names, "chosen": chosen, "k": k, "exclude": exclude or [], "sides": [],
        "gone": [name for name in wanted_names if name and name not in names], "filter": None,
        "query_string": str(request.query_params), "may_judge": "write" in principal.scopes,
        "with_all": [pair for pair in fields if pair[0] != "exclude"],
    }  # fmt: skip
    if q.strip() and chosen:
        wanted = filter_of(fields)
        context |= {
            "filter": wanted,
            "sides": await _both(request, services, q, chosen, k=k, wanted=wanted, exclude=exclude or []),
        }
    return render_page(request.scope, "_found.html" if is_part(request) else "search.html", **context)


@router.get("/facets")
async def ui_search_facets(
    request: Request,
    services: ServicesDep,
    site: SiteDep,
    principal: ReadDep,
    corpus: Annotated[list[str] | None, Query(max_length=64)] = None,
) -> Response:
    """The fields of the chosen corpora, with their values and counts under what is ticked in the other fields."""
    found, fields, wrong = [], request.query_params.multi_items(), ""
    chosen = chosen_of(fields)
    try:
        filter_of(fields)
    except BadInput as error:  # such as a half-typed bound: the boxes stay, with the message
        fields, wrong = [], error.detail
    names = await corpus_names(services)
    for name in dict.fromkeys(name for name in corpus or [] if name in names):  # the page tells of those that are gone
        reader = await services.retrieval.corpora.open(name)
        found.append(await site.facets.find(reader, has_pii=principal.has_pii, fields=fields))
    return render_page(request.scope, "_facets.html", found=found, chosen=chosen, wrong=wrong)


@router.get("/why")
async def ui_search_why(  # noqa: PLR0917 - FastAPI passes all by name
    request: Request,
    services: ServicesDep,
    principal: ReadDep,
    q: Annotated[str, Query(min_length=1, max_length=65_536)],
    corpus: Annotated[str, Query(max_length=63)],
    of: Annotated[str, Query(max_length=1024)],
    playbook: Annotated[list[str] | None, Query(max_length=64)] = None,
) -> Response:
    """What put a result where it is: nearness, words, and the playbooks behind its lift."""
    reader = await services.retrieval.corpora.open(corpus)
    row = reader.row_of(of)
    if row is None:
        raise NotFound(f"the corpus {corpus!r} has no row {of[:80]!r} any longer; search again")
    vector, _ = await services.embedding.embed_query(reader.embedder, q)
    rows = np.array([row], np.int64)
    distance = float((await run_blocking(services, reader.distances, vector, rows))[0])
    text_score = float((await run_blocking(services, reader.text_scores, q, rows))[0])
    weights = sorted(reader.term_weights(q).items(), key=lambda pair: -pair[1])[:12]
    book = services.retrieval.book
    entries = [entry for one in playbook or [] if (entry := book.get(one)) is not None]
    lifts = [(entry, book.evidence_of(entry)) for entry in entries]
    text = reader.texts_of(rows)[0] if principal.has_pii else None
    return render_page(
        request.scope, "_why.html",
        reader=reader, distance=distance, similarity=float(reader.similarity(np.array([distance], np.float32))[0]),
        text_score=text_score, weights=weights, lifts=lifts, text=text,
    )  # fmt: skip


@router.post("/judge")
async def ui_search_judge(request: Request, services: ServicesDep, form: FormDep) -> Response:
    """A thumb: the answer becomes a playbook entry that lifts (or sinks) it in later searches like this one."""
    written, is_good = await _judge(request, services, form)
    return render_page(request.scope, "_judged.html", is_good=is_good, playbook_id=written["playbook_id"])


@router.post("/exclude")
async def ui_search_exclude(request: Request, services: ServicesDep, form: FormDep) -> Response:
    """Not this one: the answer is sunk for later searches, and this search is made again without it."""
    await _judge(request, services, form)
    back = [(key, value) for key, value in parse_qsl(field(form, "back", ""), keep_blank_values=True)]
    target = urlencode([*back, ("exclude", field(form, "id"))])
    return RedirectResponse(f"{request.scope.get('root_path', '')}/ui/search?{target}", 303)


async def _judge(request: Request, services: ServicesDep, form: FormDep) -> tuple[dict[str, Any], bool]:
    query, answer, corpus = field(form, "q"), field(form, "id"), field(form, "corpus")
    is_good = field(form, "verdict") == "up"
    said = "\0".join((request.scope["state"]["principal"].name, query, corpus, answer))
    record = {
        "query": query, "answer_id": answer, "answer_corpus": corpus, "score": 1.0 if is_good else -1.0, "tags": ["ui"],
        "key": f"ui:{hashlib.sha256(said.encode('utf-8', 'replace')).hexdigest()}",  # of several clicks the last counts
    }  # fmt: skip
    return await answer_of(request, services, "/v1/matrix/playbooks/record", record), is_good


async def _both(
    request: Request,
    services: ServicesDep,
    q: str,
    corpora: list[str],
    *,
    k: int,
    wanted: dict[str, Any] | None,
    exclude: list[str],
) -> list[dict[str, Any]]:
    sides: list[dict[str, Any]] = []
    for key, title, use_playbook in _SIDES:
        body = {
            "query": q, "corpora": corpora, "k": k, "filter": wanted, "exclude_ids": exclude,
            "use_playbook": use_playbook,
        }  # fmt: skip
        answer = await answer_of(request, services, "/v1/matrix/search", body)
        sides.append({"key": key, "title": title, "answer": answer})
    before = {(r["corpus"], r["id"]): place for place, r in enumerate(sides[0]["answer"]["results"], 1)}
    for place, result in enumerate(sides[1]["answer"]["results"], 1):
        was = before.get((result["corpus"], result["id"]))
        result["moved"] = "new" if was is None else was - place
    return sides
