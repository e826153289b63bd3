"""Fill: a need, candidates, a proposal, outreach, the outcome; each step is checked before the next one opens.

Belongs here: the flow and its parts. Not here: searching, validating, chat, outcomes, memory (see ../routes), whose
coroutines are called; how artifacts are made of a form (see fill_steps.py).
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from lakehouse.errors import BadInput
from lakehouse_api.dependencies import ReadDep, ServicesDep, WriteDep
from lakehouse_api.routes.chat import chat
from lakehouse_api.schemas.chat import ChatReply
from lakehouse_api.services import Services
from lakehouse_api.ui.answers import corpus_names, first_corpus
from lakehouse_api.ui.dependencies import FormDep, SiteDep, answer_of, ask_route, field, is_part
from lakehouse_api.ui.fill_steps import (
    Need,
    candidate_of,
    draft_call,
    message_of,
    need_of,
    pathway_of,
    playbooks_of,
    read_verdict,
)
from lakehouse_api.ui.rendering import render_page
from lakehouse_api.ui.site import Site

router = APIRouter(prefix="/ui/fill", include_in_schema=False)
_PLACES = ("role", "city", "state")
_SPARE = 10
Text = Annotated[str, Query(max_length=2000)]


@router.get("")
async def ui_fill(  # noqa: PLR0917 - FastAPI passes all by name
    request: Request,
    services: ServicesDep,
    site: SiteDep,
    principal: ReadDep,
    need: Text = "",
    role: Text = "",
    city: Text = "",
    state: Text = "",
    count: Text = "1",
    client: Text = "",
    corpus: Text = "",
) -> Response:
    """The need; with one, the candidates for it."""
    names = await corpus_names(services)
    chosen = corpus or first_corpus(names)
    given = Need(need, role, city, state, count, client, chosen)
    context: dict[str, Any] = {"names": names, "given": given, "answer": None, "may_write": "write" in principal.scopes}
    if need.strip() and chosen:
        wanted = need_of(
            {
                "need": need, "role": role, "city": city, "state": state, "count": count, "client": client,
                "corpus": chosen,
            }
        )  # fmt: skip
        body = {
            "query": wanted.text, "corpora": [chosen], "k": wanted.target + _SPARE, "filter": wanted.filter(),
            "use_playbook": "auto",
        }  # fmt: skip
        context |= {"answer": await answer_of(request, services, "/v1/matrix/search", body), "given": wanted}
    if is_part(request):
        return render_page(request.scope, "_fill_candidates.html", **context)
    return render_page(
        request.scope, "fill.html", places=await _places(services, site, chosen, has_pii=principal.has_pii), **context
    )


@router.post("/propose")
async def ui_fill_propose(request: Request, services: ServicesDep, principal: ReadDep, form: FormDep) -> Response:
    """Hold the chosen ones against the workers there are."""
    need, chosen = need_of(form), [str(one) for one in form.getlist("candidate")]
    reader = await services.retrieval.corpora.open(need.corpus)
    people = [candidate_of(reader, one, has_pii=principal.has_pii) for one in chosen]
    artifact = {"fills": [{"candidate_id": one.id, "name": one.name} for one in people]}
    verdict = await _validate(request, services, "fill", artifact, need.context())
    return render_page(
        request.scope, "_fill_proposal.html", need=need, people=people, verdict=verdict,
        trace_id=field(form, "trace_id"), may_write="write" in principal.scopes,
    )  # fmt: skip


@router.post("/draft")
async def ui_fill_draft(request: Request, services: ServicesDep, principal: WriteDep, form: FormDep) -> Response:
    """Let the model write to one of them; what it wrote is checked at once."""
    need, channel = need_of(form), field(form, "channel")
    reader = await services.retrieval.corpora.open(need.corpus)
    person = candidate_of(reader, field(form, "candidate"), has_pii=principal.has_pii)
    reply = await chat(request, services, principal, draft_call(need, person, channel))
    if not isinstance(reply, ChatReply):
        return reply
    written = str(reply.content or "")
    return await _checked(
        request, services, need, candidate=person.id, channel=channel, body=written, model=reply.model
    )


@router.post("/check")
async def ui_fill_check(request: Request, services: ServicesDep, _: ReadDep, form: FormDep) -> Response:
    """Check a text as it was edited."""
    need = need_of(form)
    return await _checked(
        request, services, need, candidate=field(form, "candidate"), channel=field(form, "channel"),
        body=field(form, "body"), model=None,
    )  # fmt: skip


@router.post("/outcome")
async def ui_fill_outcome(request: Request, services: ServicesDep, principal: WriteDep, form: FormDep) -> Response:
    """Record how it went: what was shown is credited, who worked out is lifted later, and how it was done is kept."""
    need, is_filled = need_of(form), field(form, "outcome") == "filled"
    chosen = [str(one) for one in form.getlist("candidate")]
    if not chosen:
        raise BadInput("nobody is proposed, so there is no outcome to record", field="candidate")
    note = field(form, "note", "")
    outcome = {"trace_id": field(form, "trace_id"), "success": is_filled, "by": "person", "note": note or None}
    done = await answer_of(request, services, "/v1/outcomes", outcome)
    for record in playbooks_of(need, chosen, is_filled=is_filled, actor=principal.name):
        await answer_of(request, services, "/v1/matrix/playbooks/record", record)
    uid = None
    if is_filled:
        uid = (await answer_of(request, services, "/v1/pathway/add", pathway_of(need, chosen, note=note)))["uid"]
    return render_page(
        request.scope, "_fill_outcome.html", is_filled=is_filled, done=done, uid=uid, chosen=chosen, need=need
    )


async def _checked(
    request: Request, services: Services, need: Need, *, candidate: str, channel: str, body: str, model: str | None
) -> Response:
    reader = await services.retrieval.corpora.open(need.corpus)
    has_pii = request.scope["state"]["principal"].has_pii
    person = candidate_of(reader, candidate, has_pii=has_pii)
    artifact, context = message_of(need, person, channel, body)
    verdict = await _validate(request, services, channel, artifact, context)
    return render_page(
        request.scope, "_fill_draft.html", need=need, person=person, channel=channel, body=body, verdict=verdict,
        model=model,
    )  # fmt: skip


async def _validate(
    request: Request, services: Services, kind: str, artifact: dict[str, Any], context: dict[str, Any]
) -> dict[str, Any]:
    body = {"kind": kind, "artifact": artifact, "context": context}
    return read_verdict(await ask_route(request, services, "/v1/validate", body))


async def _places(services: Services, site: Site, corpus: str, *, has_pii: bool) -> dict[str, list[str]]:
    """What may be typed into the fields of a place, by the corpus."""
    if not corpus:
        return {}
    reader = await services.retrieval.corpora.open(corpus)
    facets = await site.facets.find(reader, has_pii=has_pii)
    return {one.name: [str(found.value) for found in one.values] for one in facets.facets if one.name in _PLACES}
