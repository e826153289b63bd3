"""`/v1/matrix` and `/v1/outcomes` on the real store: search, playbooks, credit, and every refusal."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import httpx
import pytest

from lakehouse.adapters.objects import S3ObjectStore
from tests.api import RunningApi, api_settings, running_api
from tests.retrieving import STATIC, add_notes, ids, retrieval_api, search

pytestmark = pytest.mark.anyio
PLAYBOOKS = "/v1/matrix/playbooks"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def api(objects: S3ObjectStore, tmp_path: Path) -> AsyncIterator[RunningApi]:
    async with retrieval_api(objects, tmp_path / "data") as running:
        yield running


@pytest.fixture
async def client(api: RunningApi) -> AsyncIterator[httpx.AsyncClient]:
    async with api.client() as opened:
        await add_notes(opened)
        yield opened


async def record(client: httpx.AsyncClient, query: str, answer_id: str, **more: object) -> dict[str, object]:
    answer = await client.post(f"{PLAYBOOKS}/record", json={"query": query, "answer_id": answer_id, **more})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.mark.parametrize("mode", ["vector", "text", "hybrid"])
async def test_search_finds_by_meaning_and_by_word(client: httpx.AsyncClient, mode: str) -> None:
    answer = await search(client, "forklift", mode=mode)
    assert ids(answer)[0] == "c"
    first = answer["results"][0]
    assert (first["corpus"], first["metadata"]["state"], first["playbook"]) == ("notes", "OH", None)
    assert answer["corpora"]["notes"]["kept"] == len(answer["results"])
    assert answer["config_version"] == "search/0"
    assert set(answer["timings_ms"]) == {"embed", "search", "merge", "total", "embed_cached", "answer_cached"}


async def test_filter_holds_before_retrieval(client: httpx.AsyncClient) -> None:
    assert ids(await search(client, "forklift", k=1, filter={"state": "PA"})) == ["b"]
    assert ids(await search(client, "forklift", filter={"rate": {"gt": 30}})) == ["a"]
    assert ids(await search(client, "forklift", filter={"tags": {"contains": "TIG"}})) == ["a"]
    assert set(ids(await search(client, "forklift", filter={"tags": {"exists": False}}, mode="vector"))) == {"b", "c"}


async def test_excluded_id_is_never_returned_not_even_by_a_playbook(client: httpx.AsyncClient) -> None:
    await record(client, "forklift", "b", answer_corpus="notes")
    answer = await search(client, "forklift", exclude_ids=["b", "c"])
    assert set(ids(answer)) <= {"a"}


async def test_several_corpora_are_searched_together(client: httpx.AsyncClient) -> None:
    await add_notes(client, "more", [{"id": "z", "text": "forklift mechanic", "metadata": {"shop": 1}}])
    answer = await client.post("/v1/matrix/search", json={"query": "forklift", "corpora": ["notes", "more"]})
    both = answer.json()
    assert {(r["corpus"], r["id"]) for r in both["results"][:2]} == {("notes", "c"), ("more", "z")}
    assert set(both["corpora"]) == {"notes", "more"}
    filtered = await client.post(
        "/v1/matrix/search", json={"query": "forklift", "corpora": ["notes", "more"], "filter": {"shop": 1}}
    )
    assert {r["corpus"] for r in filtered.json()["results"]} == {"more"}  # unknown to one of several: nothing there


WRONG_SEARCHES: list[tuple[dict[str, object], int, str]] = [
    ({"corpora": ["nowhere"]}, 404, "nowhere"),
    ({"corpora": []}, 400, "$.corpora"),
    ({"corpora": ["notes", "notes"]}, 400, "twice"),
    ({"query": "   "}, 400, "blank"),
    ({"query": "x" * 70_000}, 400, "KiB"),
    ({"k": 0}, 400, "$.k"),
    ({"k": -1}, 400, "$.k"),
    ({"k": 100_000}, 400, "$.k"),
    ({"per_corpus_k": 0}, 400, "$.per_corpus_k"),
    ({"mode": "magic"}, 400, "magic"),
    ({"use_playbook": "yes"}, 400, "yes"),
    ({"playbook": {"top_k": 0}}, 400, "playbook.top_k"),
    ({"playbook": {"bost": 1}}, 400, "bost"),
    ({"relevance": {"threshold": 2}}, 400, "threshold"),
    ({"filter": {"nothing": 1}}, 400, "nothing"),
    ({"filter": {"rate": "high"}}, 400, "rate"),
    ({"filter": {"or": []}}, 400, "filter.or"),
    ({"sql_filter": "rate > 1"}, 400, "notes"),
    ({"min_revision": "rubbish"}, 400, "revision"),
    ({"unknown": 1}, 400, "unknown"),
]


async def test_wrong_search_is_refused_by_name(client: httpx.AsyncClient) -> None:
    for change, status, named in WRONG_SEARCHES:
        answer = await client.post("/v1/matrix/search", json={"query": "forklift", "corpora": ["notes"], **change})
        assert (change, answer.status_code) == (change, status)
        assert named in answer.json()["detail"]


def nested(levels: int) -> str:
    return '{"not":' * levels + "1" + "}" * levels


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/matrix/search", '{"query": "forklift", "corpora": ["notes"], "filter": %s}'),
        ("/v1/vectors/index/notes/search", '{"text": "forklift", "filter": %s}'),
        ("/v1/vectors/index/notes/add", '{"items": [{"id": "z", "text": "z", "metadata": %s}]}'),
    ],
)
async def test_body_that_is_nested_too_deep_is_400(client: httpx.AsyncClient, path: str, body: str) -> None:
    for levels in (300, 990, 5_000):
        answer = await client.post(path, content=body % nested(levels))
        assert (levels, answer.status_code) == (levels, 400)
    assert "nested too deep" in answer.json()["detail"]


async def test_bulk_names_a_record_that_is_nested_too_deep(client: httpx.AsyncClient) -> None:
    body = '{"records": [{"query": "one", "answer_id": "a"}, {"query": "q", "answer_id": "a", "tags": %s}]}'
    answer = await client.post(f"{PLAYBOOKS}/bulk", content=body % nested(900))
    assert [r["ok"] for r in answer.json()["results"]] == [True, False]
    answer = await client.post(f"{PLAYBOOKS}/bulk", content=body % nested(5_000))
    assert (answer.status_code, "nested too deep" in answer.json()["detail"]) == (400, True)


async def test_query_of_a_megabyte_is_413(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/matrix/search", json={"query": "x" * (1 << 20), "corpora": ["notes"]})
    assert answer.status_code == 413


async def test_endorsed_answer_rises_and_rejected_one_sinks(client: httpx.AsyncClient) -> None:
    cold = await search(client, "who can drive a forklift at night", use_playbook=False)
    assert cold["arm"] == "off"
    await record(client, "who can drive a forklift at night", "b", answer_corpus="notes")
    await record(client, "who can drive a forklift at night", ids(cold)[0], answer_corpus="notes", score=-1)
    warm = await search(client, "who can drive a forklift at night?", use_playbook=True)
    assert (warm["arm"], ids(warm)[0]) == ("playbook", "b")
    assert ids(warm)[-1] == ids(cold)[0]
    boosts = {r["id"]: r["playbook"]["boost"] for r in warm["results"] if r["playbook"]}
    assert boosts["b"] > 0 > boosts[ids(cold)[0]]
    assert all(r["playbook"]["playbook_ids"] for r in warm["results"] if r["playbook"])


async def test_answer_that_retrieval_missed_is_injected_unless_a_filter_forbids(client: httpx.AsyncClient) -> None:
    await record(client, "forklift", "b", answer_corpus="notes")
    only = await search(client, "forklift", k=3, per_corpus_k=3, mode="text")
    assert "b" in ids(only)  # no word in common
    assert "b" not in ids(await search(client, "forklift", mode="text", filter={"state": "OH"}))


async def test_twin_record_joins_its_entry_and_listing_shows_evidence(client: httpx.AsyncClient) -> None:
    first = await record(client, "night welder", "a", answer_corpus="notes", tags=["fill"])
    again = await record(client, "Night  Welder", "a", answer_corpus="notes", score=0.5)
    assert (again["playbook_id"], again["merged"], first["merged"]) == (first["playbook_id"], True, False)
    [entry] = (await client.get(PLAYBOOKS)).json()["playbooks"]
    assert (entry["query"], entry["evidence"], entry["mean_score"]) == ("night welder", 2, 0.75)
    judged = await client.post(f"{PLAYBOOKS}/feedback", json={"playbook_id": first["playbook_id"], "score": -1})
    assert judged.status_code == 200
    assert (await client.delete(f"{PLAYBOOKS}/{first['playbook_id']}")).status_code == 200
    assert (await client.delete(f"{PLAYBOOKS}/{first['playbook_id']}")).status_code == 404
    assert (await client.get(PLAYBOOKS)).json()["playbooks"] == []


async def test_listing_goes_on_from_next(client: httpx.AsyncClient) -> None:
    for n in range(5):
        await record(client, f"query {n}", "a")
    page = (await client.get(PLAYBOOKS, params={"limit": 3})).json()
    rest = (await client.get(PLAYBOOKS, params={"limit": 3, "start_after": page["next"]})).json()
    assert [e["query"] for e in page["playbooks"] + rest["playbooks"]] == [f"query {n}" for n in range(5)]
    assert rest["next"] is None


async def test_bulk_keeps_the_good_records(client: httpx.AsyncClient) -> None:
    records = [
        {"query": "one", "answer_id": "a"},
        {"query": "", "answer_id": "a"},
        {"query": "two", "answer_id": "b", "score": 3},
        {"query": "three", "answer_id": "c", "score": -0.5},
    ]
    answer = await client.post(f"{PLAYBOOKS}/bulk", json={"records": records})
    assert [r["ok"] for r in answer.json()["results"]] == [True, False, False, True]
    assert "$.score" in answer.json()["results"][2]["error"]
    assert len((await client.get(PLAYBOOKS)).json()["playbooks"]) == 2


WRONG_RECORDS: list[tuple[dict[str, object], str]] = [
    ({"query": "q"}, "answer_id"),
    ({"query": " ", "answer_id": "a"}, "blank"),
    ({"query": "q", "answer_id": "a", "score": 1.5}, "$.score"),
    ({"query": "q", "answer_id": "a", "more": 1}, "more"),
]


async def test_wrong_record_is_refused_by_name(client: httpx.AsyncClient) -> None:
    for body, named in WRONG_RECORDS:
        answer = await client.post(f"{PLAYBOOKS}/record", json=body)
        assert (body, answer.status_code, named in answer.json()["detail"]) == (body, 400, True)


async def test_outcome_credits_what_was_shown(client: httpx.AsyncClient) -> None:
    made = await record(client, "forklift", "b", answer_corpus="notes")
    shown = await search(client, "forklift", use_playbook=True)
    good = await client.post(
        "/v1/outcomes", json={"trace_id": shown["trace_id"], "success": True, "answer_id": "b", "note": "hired"}
    )
    assert (good.status_code, good.json()["credited"]) == (201, [made["playbook_id"]])
    [entry] = (await client.get(PLAYBOOKS)).json()["playbooks"]
    assert entry["evidence"] == 2
    # The same judge's later word replaces the earlier.
    bad = await client.post("/v1/outcomes", json={"trace_id": shown["trace_id"], "score": -1, "answer_id": "b"})
    assert bad.status_code == 201
    [entry] = (await client.get(PLAYBOOKS)).json()["playbooks"]
    assert (entry["evidence"], entry["mean_score"]) == (2, 0.0)


WRONG_OUTCOMES: list[tuple[dict[str, object], int, str]] = [
    ({"trace_id": "forged.token"}, 404, "trace_id"),
    ({"trace_id": None}, 400, "trace_id or run_id"),
    ({"run_id": "r-1"}, 400, "not both"),
    ({"success": None}, 400, "success or score"),
    ({"score": 1}, 400, "success or score"),
    ({"score": 2, "success": None}, 400, "$.score"),
    ({"answer_id": "never-shown"}, 400, "never-shown"),
]


async def test_outcome_that_credits_nothing_has_no_revision(client: httpx.AsyncClient) -> None:
    taken = await client.post("/v1/outcomes", json={"run_id": "r-1", "success": True})
    assert (taken.status_code, taken.json()["credited"], taken.json()["revision"]) == (201, [], None)


async def test_wrong_outcome_is_refused(client: httpx.AsyncClient) -> None:
    trace_id = (await search(client, "forklift"))["trace_id"]
    for change, status, named in WRONG_OUTCOMES:
        body = {"trace_id": trace_id, "success": True, **change}
        answer = await client.post("/v1/outcomes", json={k: v for k, v in body.items() if v is not None})
        assert (change, answer.status_code, named in answer.json()["detail"]) == (change, status, True)


async def test_holdout_share_is_served_without_playbooks(objects: S3ObjectStore, tmp_path: Path) -> None:
    async with retrieval_api(objects, tmp_path / "data", holdout_share=1) as api, api.client() as client:
        await add_notes(client)
        await record(client, "forklift", "b", answer_corpus="notes")
        assert (await search(client, "forklift"))["arm"] == "holdout"
        assert (await search(client, "forklift", use_playbook=True))["arm"] == "playbook"
        assert [line["arm"] for stream, line in api.services.events.lines if stream == "searches"] == [  # type: ignore[attr-defined]
            "holdout",
            "playbook",
        ]


async def test_strong_model_gets_what_is_worth_it(client: httpx.AsyncClient) -> None:
    put = await client.put("/v1/config/search", json={"config": {"strong_min_score": 0.99}})
    assert put.status_code == 200
    small = await search(client, "completely different thing", model="smollm2", mode="vector")
    strong = await search(client, "completely different thing", model="openrouter/openai/gpt-4o", mode="vector")
    forced = await search(client, "completely different thing", model="gpt-4o", force_full=True, mode="vector")
    assert (small["downgraded"], len(small["results"])) == (False, 3)
    assert (strong["downgraded"], strong["results"], strong["corpora"]["notes"]["dropped"]) == (True, [], 3)
    assert (forced["downgraded"], len(forced["results"])) == (False, 3)
    assert strong["config_version"] == "search/1"


async def test_config_that_names_some_fields_leaves_the_others_alone(client: httpx.AsyncClient) -> None:
    await client.put("/v1/config/search", json={"config": {"k": 7, "playbook": {"boost": 2.5, "top_k": 3}}})
    changed = await client.put("/v1/config/search", json={"config": {"playbook": {"top_k": 7}}})
    config = changed.json()["config"]
    assert (config["k"], config["playbook"]["top_k"], config["playbook"]["boost"]) == (7, 7, 2.5)


async def test_every_config_version_that_an_answer_names_is_listed(client: httpx.AsyncClient) -> None:
    async def listed() -> list[tuple[str, bool]]:
        versions = (await client.get("/v1/config/search/versions")).json()["versions"]
        return [(version["config_version"], version["is_live"]) for version in versions]

    assert await listed() == [((await search(client, "forklift"))["config_version"], True)]
    await client.put("/v1/config/search", json={"config": {"k": 7}})
    assert await listed() == [("search/1", True), ("search/0", False)]


async def test_playbooks_survive_a_restart_and_reach_other_processes(objects: S3ObjectStore, tmp_path: Path) -> None:
    async with retrieval_api(objects, tmp_path / "one") as one, one.client() as writer:
        await add_notes(writer)
        async with retrieval_api(objects, tmp_path / "two") as two, two.client() as reader:
            made = await record(writer, "forklift", "b", answer_corpus="notes")
            seen = await search(reader, "forklift", use_playbook=True, min_revision=made["revision"])
            assert ids(seen)[0] == "b"
            outcome = {"trace_id": seen["trace_id"], "success": True, "answer_id": "b"}
            judged = (await reader.post("/v1/outcomes", json=outcome)).json()
            params = {"min_revision": judged["revision"]}
            [entry] = (await writer.get(PLAYBOOKS, params=params)).json()["playbooks"]
            assert (entry["evidence"], entry["mean_score"]) == (2, 1.0)
    async with retrieval_api(objects, tmp_path / "three") as again, again.client() as client:
        assert ids(await search(client, "forklift", use_playbook=True, min_revision=made["revision"]))[0] == "b"


async def test_store_away_means_stale_searches_and_refused_writes(tmp_path: Path) -> None:
    from tests.servers import store_server

    with store_server(tmp_path / "store") as server:
        objects = server.objects(max_attempts=1)  # once it is stopped, it refuses at once
        limits = {"s3_max_attempts": 1, "memory_poll_s": 0.1}
        async with retrieval_api(objects, tmp_path / "data", **limits) as api, api.client() as client:
            await add_notes(client)
            await record(client, "forklift", "b", answer_corpus="notes")
            server.stop()
            lost = {"query": "lost", "answer_id": "a"}
            refused = await client.post(f"{PLAYBOOKS}/record", json=lost)
            assert refused.status_code == 503
            many = await client.post(f"{PLAYBOOKS}/bulk", json={"records": [lost, {**lost, "answer_id": "b"}]})
            assert (many.status_code, int(many.headers["retry-after"]) > 0) == (503, True)
            mixed = await client.post(f"{PLAYBOOKS}/bulk", json={"records": [lost, {"query": "q"}]})
            assert (mixed.status_code, [r["ok"] for r in mixed.json()["results"]]) == (200, [False, False])
            added = await client.post("/v1/vectors/index/notes/add", json={"items": [{"id": "z", "text": "lost"}]})
            assert added.status_code == 503
            stale: list[str] = []
            while not stale:
                answer = await search(client, "forklift", use_playbook=True)
                stale = answer["stale"]
                await anyio.sleep(0.02)
            assert (stale, ids(answer)[0], "z" in ids(answer)) == (["notes"], "b", False)
            assert all(e["query"] != "lost" for e in (await client.get(PLAYBOOKS)).json()["playbooks"])
            server.start()
            while stale:
                stale = (await search(client, "forklift"))["stale"]
                await anyio.sleep(0.02)
            found = {"query": "found", "answer_id": "a"}
            with anyio.fail_after(60):  # a store that has just come back may be slower than these deadlines at first
                while (written := await client.post(f"{PLAYBOOKS}/record", json=found)).status_code == 503:
                    await anyio.sleep(0.1)
            assert (written.status_code, written.json()["merged"]) == (200, False)


async def test_playbooks_are_503_until_the_memory_has_been_read(tmp_path: Path) -> None:
    from tests.servers import store_server

    with store_server(tmp_path / "store") as server:
        objects = server.objects(max_attempts=1)
        async with retrieval_api(objects, tmp_path / "one") as api, api.client() as client:
            await add_notes(client)
            known = (await record(client, "forklift", "b", answer_corpus="notes"))["playbook_id"]
            trace_id = (await search(client, "forklift"))["trace_id"]
        server.stop()
        limits = {"s3_max_attempts": 1, "memory_poll_s": 0.1}
        settings = api_settings(objects, tmp_path / "one", **STATIC, **limits)
        async with running_api(settings, has_memory=False) as api, api.client() as client:
            for answer in (
                await client.get(PLAYBOOKS),
                await client.post(f"{PLAYBOOKS}/feedback", json={"playbook_id": known, "score": 1}),
                await client.delete(f"{PLAYBOOKS}/{known}"),
                await client.post("/v1/outcomes", json={"trace_id": trace_id, "success": True}),
            ):
                assert (answer.status_code, "retry-after" in answer.headers) == (503, True), answer.text
            memory = (await client.get("/health")).json()["parts"]["memory"]
            assert (memory["state"], memory["is_replayed"], "being read" in memory["detail"]) == (
                "degraded",
                False,
                True,
            )
            server.start()
            with anyio.fail_after(60):
                while (answer := await client.get(PLAYBOOKS)).status_code == 503:
                    await anyio.sleep(0.1)
            assert [entry["playbook_id"] for entry in answer.json()["playbooks"]] == [known]
            memory = (await client.get("/health")).json()["parts"]["memory"]
            assert (memory["state"], memory["is_replayed"]) == ("ok", True)


async def test_best_candidates_are_ranked_again_by_the_better_embedder_of_the_corpus(
    api: RunningApi, client: httpx.AsyncClient
) -> None:
    # The static embedder finds; MiniLM, which knows what a physician is, ranks.
    info = {"dimension": 256, "embedder": "static", "rerank_embedder": "minilm"}
    await api.services.retrieval.corpora.create("jobs", info)
    texts = ["a physician who treats children", "a child who sees", "doctor of the kids' toy shop"]
    items = [{"id": str(n), "text": text} for n, text in enumerate(texts)]
    added = await client.post("/v1/vectors/index/jobs/add", json={"items": items})
    assert added.status_code == 200, added.text
    before = await search(client, "pediatrician", corpora=["jobs"], mode="vector")
    changed = await client.put("/v1/config/search", json={"config": {"rerank_top": 10, "rerank_weight": 1.0}})
    assert changed.status_code == 200, changed.text
    after = await search(client, "pediatrician", corpora=["jobs"], mode="vector")
    assert after["config_version"] == "search/1"
    assert ids(after)[0] == "0"
    assert {r["id"]: r["score"] for r in after["results"]} != {r["id"]: r["score"] for r in before["results"]}


async def test_whole_answer_is_kept_until_anything_it_depends_on_changes(client: httpx.AsyncClient) -> None:
    async def is_kept(**request: object) -> bool:
        return bool((await search(client, "forklift", **request))["timings_ms"]["answer_cached"])

    first = await search(client, "forklift")
    again = await search(client, "forklift")
    assert (first["timings_ms"]["answer_cached"], again["timings_ms"]["answer_cached"]) == (False, True)
    assert again["results"] == first["results"]
    assert again["trace_id"] != first["trace_id"]
    assert not await is_kept(k=2)
    assert not await is_kept(filter={"state": "OH"})
    assert not await is_kept(use_playbook=False)

    await record(client, "forklift", "a", answer_corpus="notes")
    lifted = await search(client, "forklift")
    assert (ids(lifted)[0], lifted["timings_ms"]["answer_cached"]) == ("a", False)
    assert await is_kept()
    assert await is_kept(use_playbook=False)  # to which playbooks have nothing to say
    await client.post("/v1/vectors/index/notes/delete", json={"ids": ["a"]})
    assert "a" not in ids(await search(client, "forklift"))
    metrics = (await client.get("/metrics")).text
    assert 'lakehouse_searches_total{answer_cached="true",arm="playbook",embedding_cached="true"} 2.0' in metrics
    numbers = dict(line.rsplit(" ", 1) for line in metrics.splitlines() if not line.startswith("#"))
    assert float(numbers["lakehouse_answers_cached"]) > 0
    assert float(numbers["lakehouse_answers_cached_bytes"]) > 1000 * float(numbers["lakehouse_answers_cached"])
    assert float(numbers["lakehouse_embedding_cached_bytes"]) > 100 * float(numbers["lakehouse_embedding_cached"])
