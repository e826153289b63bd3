"""`/v1/answer` end to end: a real index, the real embedded model, validation, outcomes that are credited."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.chat.token_estimate import CHAT_OVERHEAD, estimate_tokens
from lakehouse.settings import Settings
from tests.api import RunningApi, api_settings, running_api
from tests.fakes.chat_endpoint import ChatEndpointServer, Reply, chat_endpoint, completion
from tests.fakes.services import FakeEventLog
from tests.servers import StoreServer
from tests.tokens import write_tokens_file

pytestmark = pytest.mark.anyio
ROLES = ("Electrician", "Forklift Operator", "Welder", "CNC Machinist")
NAMES = ("Maria Lopez", "James Carter", "Aisha Khan", "Peter Novak")
TASK = "Who is an electrician in Ohio?"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def store(store_process: StoreServer) -> Iterator[S3ObjectStore]:
    yield store_process.objects(bucket="answers")
    store_process.drop_bucket("answers")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ChatEndpointServer]:
    with chat_endpoint() as server:
        yield server


@pytest.fixture(scope="module")
def settings(store: S3ObjectStore, endpoint: ChatEndpointServer, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    narrow = write_tokens_file(
        tmp_path_factory.mktemp("tokens") / "tokens.json", reader=["read"], writer=["write"], both=["read", "write"]
    )
    return api_settings(
        store, tmp_path_factory.mktemp("answers"), tokens_file=narrow,
        chat_providers=json.dumps({"ollama": {"url": endpoint.url}}),
        default_embedder="static", playbook_embedder="static", pathway_embedder="static",
        chat_attempts=1, memory_poll_s=0.05,
    )  # fmt: skip


@pytest.fixture(scope="module")
async def api(settings: Settings) -> AsyncIterator[RunningApi]:
    async with running_api(settings) as running, running.client() as client:
        await client.post("/v1/vectors/index", json={"name": "crew", "dimension": 256, "distance": "cosine"})
        items = [
            {
                "id": str(100 + n),
                "text": f"{role} in Columbus, Ohio",
                "metadata": {"name": name, "role": role, "state": "OH"},
            }
            for n, (role, name) in enumerate(zip(ROLES, NAMES, strict=True))
        ]
        added = await client.post("/v1/vectors/index/crew/add", json={"items": items})
        assert added.status_code == 200, added.text
        yield running


@pytest.fixture(autouse=True)
def fresh(endpoint: ChatEndpointServer) -> None:
    endpoint.replies = [Reply(document=completion("Maria Lopez is an electrician [1]."))]
    endpoint.requests.clear()


async def ask(api: RunningApi, **body: Any) -> httpx.Response:
    async with api.client() as client:
        return await client.post("/v1/answer", json={"task": TASK, "corpora": ["crew"], "model": "m", **body})


def lines(api: RunningApi, stream: str) -> list[dict[str, Any]]:
    log: Any = api.services.events
    assert isinstance(log, FakeEventLog)
    return [line for name, line in log.lines if name == stream]


async def test_answer_cites_what_was_in_the_bundle(api: RunningApi, endpoint: ChatEndpointServer) -> None:
    answer = await ask(api)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["answer"] == "Maria Lopez is an electrician [1]."
    assert body["validation"] == {"passed": True, "kind": None, "error": None, "findings": []}
    prompt = endpoint.requests[-1]["messages"][1]["content"]
    assert body["citations"][0] == {"id": "100", "corpus": "crew", "used": True}
    for citation in body["citations"]:
        assert f"(id {citation['id']})" in prompt
    assert (body["model"], body["provider"]) == ("m", "ollama")
    assert body["config_version"] == "answer/0+search/0"
    assert set(body["timings_ms"]) == {"retrieve", "chat", "validate", "total"}
    line = lines(api, "chat_calls")[-1]
    assert line["retrieved_context"]["corpora"] == ["crew"]
    assert line["retrieved_context"]["kept"] == len(body["citations"])
    assert line["config_version"] == "answer/0+search/0"


async def test_real_model_answers_within_its_budget(api: RunningApi) -> None:
    body = (await ask(api, model="smollm2-135m-instruct", budget_tokens=300, max_tokens=24)).json()
    assert body["usage"]["prompt_tokens"] <= 300
    assert body["usage"]["completion_tokens"] <= 24
    assert body["provider"] == "embedded"
    assert (body["answer"] is None) == (not body["validation"]["passed"])


@pytest.mark.parametrize(
    "text", ["Maria Lopez, 42 (id 1017); OSHA-30 " * 20, "Überwachung der Maßnahmen 漢字 " * 20, "a1-B2!" * 60]
)
async def test_estimate_of_tokens_is_not_below_the_model_s_count(api: RunningApi, text: str) -> None:
    async with api.client() as client:
        chat = {"messages": [{"role": "system", "content": "x"}, {"role": "user", "content": text}], "max_tokens": 4}
        usage = (await client.post("/v1/chat", json=chat)).json()["usage"]
    assert usage["prompt_tokens"] <= estimate_tokens(text) + estimate_tokens("x") + CHAT_OVERHEAD


ODD = {
    "mails": "jxk.qvz@wzqx.com ",
    "upper": "CERTIFIED FORKLIFT OPERATOR ",
    "base64": "q83vEjRWeJq83vEjRWeJ",
    "digits": "1 2 3 4 ",
    "surnames": "Szczepankiewicz Przybyszewski ",
    "separators": "a\u2028b\u2029",
    "marks": "<|im_end|><|im_start|>",
    "kanji": "漢字",
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
async def test_budget_holds_by_the_model_s_own_count_whatever_the_records_hold(api: RunningApi, text: str) -> None:
    async with api.client() as client:
        await client.post("/v1/vectors/index", json={"name": "odd", "dimension": 256, "distance": "cosine"})
        items = [
            {"id": str(n), "text": "welder", "metadata": {"name": f"Ann {n}", "note": text * 60}} for n in range(3)
        ]
        await client.post("/v1/vectors/index/odd/add", json={"items": items})
        asked = {"task": "Who?", "corpora": ["odd"], "model": "smollm2-135m-instruct", "max_tokens": 2}
        answer = await client.post("/v1/answer", json={**asked, "budget_tokens": 200})
        too_small = await client.post("/v1/answer", json={**asked, "task": text * 40, "budget_tokens": 100})
        await client.delete("/v1/vectors/index/odd")
    assert answer.status_code == 200, answer.text
    assert answer.json()["usage"]["prompt_tokens"] <= 200
    assert too_small.status_code == 400
    assert "budget_tokens is 100" in too_small.json()["detail"]


async def test_invented_worker_is_refused_with_the_reason(api: RunningApi, endpoint: ChatEndpointServer) -> None:
    endpoint.replies = [Reply(document=completion("John Smith is your man."))]
    body = (await ask(api)).json()
    assert body["answer"] is None
    assert body["validation"]["passed"] is False
    assert "John Smith" in body["validation"]["error"]["Consistency"]["reason"]
    assert body["trace_id"]


async def test_without_retrieval_it_says_that_it_does_not_know(api: RunningApi, endpoint: ChatEndpointServer) -> None:
    body = (await ask(api, corpora=[])).json()
    assert body["answer"].startswith("I do not know")
    assert (body["citations"], body["model"], endpoint.requests) == ([], None, [])
    nothing = (await ask(api, filter={"state": "ZZ"})).json()
    assert nothing["answer"].startswith("I do not know")


async def test_answer_says_when_records_were_held_back_from_a_strong_model(
    api: RunningApi, endpoint: ChatEndpointServer
) -> None:
    ask_off_topic = {"task": "sonnets about volcanoes", "use_playbook": False}
    strong = (await ask(api, **ask_off_topic, model="ollama/gpt-4o")).json()
    assert (strong["downgraded"], strong["citations"], strong["model"]) == (True, [], None)
    small = (await ask(api, **ask_off_topic)).json()
    assert (small["downgraded"], small["citations"] == []) == (False, False)


async def test_without_retrieval_a_config_may_ask_all_the_same_and_invention_is_still_refused(
    api: RunningApi, endpoint: ChatEndpointServer
) -> None:
    async with api.client() as client:
        made = await client.put("/v1/config/answer", json={"config": {"without_context": "ask"}, "note": "try"})
        assert made.json()["config_version"] == "answer/1"
        await client.put("/v1/config/answer", json={"version": 0})
        configs = (await client.get("/v1/config")).json()["configs"]
    assert [config["config_version"] for config in configs] == ["search/0", "answer/0"]
    endpoint.replies = [Reply(document=completion("Robert Brown is free."))]
    body = (await ask(api, corpora=[], config="answer/1")).json()
    assert (body["answer"], body["config_version"]) == (None, "answer/1")
    assert "Robert Brown" in body["validation"]["error"]["Consistency"]["reason"]


async def test_mail_with_a_social_security_number_does_not_leave(api: RunningApi, endpoint: ChatEndpointServer) -> None:
    endpoint.replies = [Reply(document=completion("Dear Maria Lopez, your SSN 219-09-9999 is on file."))]
    context = {"to": "maria@example.com", "subject": "Shift", "candidate": "Maria Lopez"}
    body = (await ask(api, validate={"kind": "email", "context": context})).json()
    assert body["answer"] is None
    assert "Policy" in body["validation"]["error"]
    assert "219-09-9999" not in json.dumps(body)
    line = lines(api, "validations")[-1]
    assert (line["kind"], line["passed"]) == ("email", False)


async def test_good_mail_leaves(api: RunningApi, endpoint: ChatEndpointServer) -> None:
    endpoint.replies = [Reply(document=completion("Hi Maria, can you start on Monday at 7 am?"))]
    context = {"to": "maria@example.com", "subject": "Shift", "candidate": "Maria Lopez"}
    body = (await ask(api, validate={"kind": "email", "context": context})).json()
    assert body["validation"]["passed"], body
    assert body["answer"].startswith("Hi Maria")


async def test_fill_is_asked_for_as_json_and_no_json_is_refused(api: RunningApi, endpoint: ChatEndpointServer) -> None:
    body = (await ask(api, validate={"kind": "fill", "context": {"target_count": 1}})).json()
    assert endpoint.requests[-1]["response_format"]["type"] == "json_schema"
    assert body["validation"]["error"]["Schema"]["field"] == "answer"


async def test_outcome_of_an_answer_credits_the_playbooks_that_were_shown(api: RunningApi) -> None:
    async with api.client() as client:
        record = {"query": TASK, "answer_id": "100", "answer_corpus": "crew", "score": 1.0}
        recorded = (await client.post("/v1/matrix/playbooks/record", json=record)).json()
        answer = (await ask(api, use_playbook=True)).json()
        assert answer["arm"] == "playbook"
        outcome = {"trace_id": answer["trace_id"], "success": True, "answer_id": "100", "by": "test"}
        taken = await client.post("/v1/outcomes", json=outcome)
    assert taken.status_code == 201, taken.text
    assert taken.json()["credited"] == [recorded["playbook_id"]]
    assert lines(api, "outcomes")[-1]["outcome_of"] == lines(api, "chat_calls")[-1]["run_id"]


@pytest.mark.parametrize(
    ("body", "status", "part"),
    [
        ({"task": "  "}, 400, "task must not be blank"),
        ({"task": "x" * 70_000}, 400, "64 KiB"),
        ({"budget_tokens": 20}, 400, "budget_tokens is 20"),
        ({"budget_tokens": 0}, 400, "budget_tokens"),
        ({"corpora": ["nowhere"]}, 404, "nowhere"),
        ({"model": "gemini/pro"}, 404, "gemini"),
        ({"config": 99}, 404, "version 99"),
        ({"config": "search/1"}, 400, "not a version of the answer config"),
        ({"use_pathway": "sometimes"}, 400, "use_pathway"),
        ({"validate": {"kind": "letter"}}, 400, "validate"),
        ({"filter": {"nope": 1}}, 400, "nope"),
        ({"bogus": 1}, 400, "bogus"),
        ({"bogus": 1}, 400, "filter, exclude_ids, validate, config"),
        ({"model": "kimi/kimi-k2"}, 503, "MOONSHOT_API_KEY"),
    ],
)
async def test_wrong_requests_are_refused_by_name(api: RunningApi, body: Any, status: int, part: str) -> None:
    answer = await ask(api, **body)
    assert answer.status_code == status, answer.text
    assert part in answer.json()["detail"]


async def test_failing_model_is_502(api: RunningApi, endpoint: ChatEndpointServer) -> None:
    endpoint.replies = [Reply(status=500, document={})]
    answer = await ask(api)
    assert (answer.status_code, answer.json()["provider_status"]) == (502, 500)


async def test_traces_of_like_tasks_are_shown_and_cited(api: RunningApi, endpoint: ChatEndpointServer) -> None:
    async with api.client() as client:
        alike = {"task": "find an electrician in Ohio", "steps": ["ask the union hall in Dayton first"]}
        added = (await client.post("/v1/pathway/add", json={"content": alike})).json()
        other = await client.post("/v1/pathway/add", json={"content": "translate the handbook into Polish"})
        assert other.status_code == 200, other.text
    assert "union hall" not in (await ask(api)).text
    body = (await ask(api, use_pathway=True)).json()
    prompt = endpoint.requests[-1]["messages"][1]["content"]
    assert "ask the union hall in Dayton first" in prompt
    assert "Polish" not in prompt
    assert [c for c in body["citations"] if c["corpus"] == "pathways"] == [
        {"id": added["uid"], "corpus": "pathways", "used": False}
    ]
    assert lines(api, "chat_calls")[-1]["retrieved_context"]["pathway_ids"] == [added["uid"]]
    async with api.client() as client:
        outcome = {"trace_id": body["trace_id"], "answer_id": added["uid"], "success": True}
        assert (await client.post("/v1/outcomes", json=outcome)).status_code == 201
        again = (await client.post("/v1/pathway/add", json={"content": alike})).json()
        assert again["link"] == "recalled"  # what was shown is not learned again
    alone = (await ask(api, corpora=[], use_pathway=True)).json()
    assert [c["corpus"] for c in alone["citations"]] == ["pathways"]


async def test_trace_vouches_for_nobody(api: RunningApi, endpoint: ChatEndpointServer) -> None:
    planted = {"name": "Zebulon Pike (id w-99): electrician; state OH", "why": "electrician in Ohio, always on time"}
    async with api.client() as client:
        added = await client.post("/v1/pathway/add", json={"content": planted})
        assert added.status_code == 200, added.text
    endpoint.replies = [Reply(document=completion("Call Zebulon Pike (id w-99), an electrician in Ohio."))]
    body = (await ask(api, use_pathway=True)).json()
    prompt = endpoint.requests[-1]["messages"][1]["content"]
    notes, _, records = prompt.partition("Records:")
    assert "Zebulon" in notes
    assert "Zebulon" not in records
    assert body["answer"] is None
    assert "w-99" in body["validation"]["error"]["Consistency"]["reason"]


async def test_traces_are_shown_to_the_scope_pii_alone(api: RunningApi) -> None:
    async with api.client(token="both") as client:
        answer = await client.post("/v1/answer", json={"task": TASK, "corpora": ["crew"], "use_pathway": True})
    assert (answer.status_code, "pii" in answer.json()["detail"]) == (403, True)


async def test_answers_need_both_scopes(api: RunningApi) -> None:
    for token, status in (("reader", 403), ("writer", 403), ("both", 200)):
        async with api.client(token=token) as client:
            answer = await client.post("/v1/answer", json={"task": TASK, "corpora": ["crew"], "model": "m"})
        assert answer.status_code == status, token
