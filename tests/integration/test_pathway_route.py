"""`/v1/pathway` on the real store: every operation, what is linked instead of learned, search, and every refusal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import httpx
import orjson
import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.errors import StoreUnavailable
from tests.api import RunningApi
from tests.pathways import found, get, pathway_api, post
from tests.tokens import write_tokens_file

pytestmark = pytest.mark.anyio
FILL = {"task": "fill 3 welders in Toledo", "steps": ["search certified within 30 miles", "call by reliability"]}
NURSE = {"task": "find a dental nurse for weekends", "steps": ["ask the clinic", "offer the Saturday rate"]}
TRACE = {
    "uid", "content", "tags", "predecessor_uid", "retired", "retired_reason", "replay_count", "created_at",
    "updated_at", "links",
}  # fmt: skip


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def api(objects: S3ObjectStore, tmp_path: Path) -> AsyncIterator[RunningApi]:
    async with pathway_api(objects, tmp_path / "data") as running:
        yield running


@pytest.fixture
async def client(api: RunningApi) -> AsyncIterator[httpx.AsyncClient]:
    async with api.client() as opened:
        yield opened


async def test_added_trace_is_durable_and_found_at_once(client: httpx.AsyncClient, objects: S3ObjectStore) -> None:
    added = await post(client, "add", content=FILL, tags=["fill", "welder"])
    assert set(added) == TRACE | {"revision", "added", "link"}
    assert (added["content"], added["tags"], added["added"], added["link"]) == (FILL, ["fill", "welder"], True, None)
    assert len(objects.list("log/pathways/").objects) == 1
    await post(client, "add", content=NURSE)
    results = (await post(client, "search", text="welding jobs in Toledo", k=1))["results"]
    assert [r["uid"] for r in results] == [added["uid"]]
    assert set(results[0]) == TRACE | {"score"}
    assert 0 < results[0]["score"] <= 1
    assert await get(client, added["uid"]) == {key: added[key] for key in TRACE}


@pytest.mark.parametrize("content", ["call first", 42, True, ["a", 1], {"deep": {"er": ["x"]}}])
async def test_content_is_any_json_that_says_something(client: httpx.AsyncClient, content: Any) -> None:
    added = await post(client, "add", content=content)
    assert (await get(client, added["uid"]))["content"] == content


async def test_numbers_and_escapes_stay_as_they_were_written(client: httpx.AsyncClient) -> None:
    raw = b'{"content": {"n": 123456789012345678901234567890.10,\n "t": "\\u00e4\\ud83d\\ude00"}}'
    added = (await client.post("/v1/pathway/add", content=raw)).json()
    stored = (await client.get(f"/v1/pathway/{added['uid']}")).content
    assert b"123456789012345678901234567890.10" in stored
    assert orjson.loads(stored)["content"]["t"] == "ä😀"


async def test_same_content_is_linked_whatever_the_order_of_its_keys(client: httpx.AsyncClient) -> None:
    added = await post(client, "add", content=FILL, tags=["fill"])
    again = await post(client, "add", content=dict(reversed(FILL.items())), tags=["toledo"])
    assert (again["uid"], again["added"], again["link"]) == (added["uid"], False, "exact")
    assert (again["tags"], again["links"]) == (["fill", "toledo"], 1)
    assert await found(client, tags=["toledo"]) == [added["uid"]]
    assert (await get(client, "stats"))["links"] == {"exact": 1, "near": 0, "recalled": 0}


async def test_nearly_the_same_is_linked_and_another_number_is_not(client: httpx.AsyncClient) -> None:
    text = "Fill order 1017: call the welders in Toledo, then confirm the shift with the client before noon."
    added = await post(client, "add", content=text)
    near = await post(client, "add", content=text.lower().replace(":", " -").replace("then", "and please"))
    assert (near["uid"], near["link"]) == (added["uid"], "near")
    other = await post(client, "add", content=text.replace("1017", "1018"))
    assert other["added"]
    turned = await post(client, "add", content=text.replace("before", "after"))
    assert turned["added"]
    changes = (await get(client, f"{added['uid']}/history"))["changes"]
    assert [(c["event"], c["note"]) for c in changes] == [("add", None), ("link", "near")]
    assert "please" in changes[1]["content"]  # nothing is lost


async def test_twenty_at_once_are_one_trace(client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(post(client, "add", content=FILL) for _ in range(20)))
    assert len({answer["uid"] for answer in answers}) == 1
    assert sum(answer["added"] for answer in answers) == 1
    assert (await get(client, answers[0]["uid"]))["links"] == 19


async def test_what_a_search_gave_is_not_learned_again(client: httpx.AsyncClient) -> None:
    added = await post(client, "add", content=FILL)
    await post(client, "search", text="welders")
    again = await post(client, "add", content=FILL)
    assert (again["uid"], again["link"]) == (added["uid"], "recalled")
    told = await post(client, "add", content={"summary": "words that nobody has said yet"}, provenance="recalled")
    assert (told["uid"], told["content"], told["added"], told["link"]) == (None, None, False, "recalled")
    assert set(told) == set(again)
    stats = await get(client, "stats")
    assert (stats["traces"], stats["adds"], stats["links"]["recalled"]) == (1, 3, 2)
    assert stats["recall_of_self_rate"] == pytest.approx(2 / 3, abs=1e-6)


async def test_advice_that_was_withdrawn_is_not_learned_again_from_who_was_given_it(client: httpx.AsyncClient) -> None:
    first = await post(client, "add", content=FILL)
    await post(client, "search", text="welders")
    await post(client, "retire", uid=first["uid"], reason="unsafe: the client forbids it")
    again = await post(client, "add", content=FILL)
    assert (again["uid"], again["link"], again["retired_reason"]) == (
        first["uid"], "recalled", "unsafe: the client forbids it",
    )  # fmt: skip
    second = await post(client, "add", content=NURSE)
    await post(client, "search", text="nurse")
    await post(client, "update", uid=second["uid"], content="ask the agency")
    stale = await post(client, "add", content=NURSE)
    assert (stale["uid"], stale["content"], stale["link"]) == (second["uid"], "ask the agency", "recalled")


async def test_what_was_given_to_another_is_no_recall(objects: S3ObjectStore, tmp_path: Path) -> None:
    path = write_tokens_file(tmp_path / "tokens.json", other=["read", "write", "pii"])
    async with pathway_api(objects, tmp_path / "data", tokens_file=path) as api, api.client() as client:
        await post(client, "add", content=FILL)
        await post(client, "search", text="welders")
        async with api.client(token="other") as other:
            assert (await post(other, "add", content=FILL))["link"] == "exact"


async def test_middle_revision_that_is_retired_leaves_the_newest_alone(client: httpx.AsyncClient) -> None:
    uids = [(await post(client, "add", content="first way"))["uid"]]
    for content in ("second way", "third way"):
        uids.append((await post(client, "revise", predecessor_uid=uids[-1], content=content))["uid"])
    await post(client, "retire", uid=uids[1], reason="no good")
    assert await found(client, text="way") == [uids[2]]
    await post(client, "retire", uid=uids[2], reason="no good either")
    assert await found(client, text="way") == [uids[0]]


async def test_answers_are_bounded(client: httpx.AsyncClient) -> None:
    large = ["word " * 100_000 + str(n) for n in range(20)]
    uid = (await post(client, "add", content=large[0]))["uid"]
    for content in large[1:4]:
        await post(client, "update", uid=uid, content=content)
    history = await get(client, f"{uid}/history")
    assert (len(history["changes"]), history["changes_dropped"]) == (2, 2)
    await asyncio.gather(*(post(client, "add", content=content) for content in large[4:]))
    answer = await post(client, "search", text="word", k=100)
    assert (len(answer["results"]), answer["truncated"]) == (16, True)


async def test_tags_have_a_bound_and_an_update_replaces_them_all(client: httpx.AsyncClient) -> None:
    uid = (await post(client, "add", content=FILL, tags=["own"]))["uid"]
    for n in range(3):
        again = await post(client, "add", content=FILL, tags=[f"t{n}-{m}" for m in range(32)])
    assert (len(again["tags"]), again["tags"][0]) == (64, "own")
    assert (await post(client, "update", uid=uid, content=FILL, tags=["new"]))["tags"] == ["new"]


async def test_one_of_many_with_one_new_key_is_told_that_it_was_added(client: httpx.AsyncClient) -> None:
    for n in range(5):
        many = await asyncio.gather(*(post(client, "add_idempotent", key=f"k{n}", content=FILL) for _ in range(8)))
        assert sum(one["added"] for one in many) == 1


async def test_key_that_comes_again_is_a_replay(client: httpx.AsyncClient) -> None:
    first = await post(client, "add_idempotent", key="order-1017", content=FILL)
    assert (first["uid"], first["replay_count"], first["added"]) == (str(uuid5(NAMESPACE_OID, "order-1017")), 0, True)
    again = await post(client, "add_idempotent", key="order-1017", content=NURSE)
    assert (again["uid"], again["replay_count"], again["content"]) == (first["uid"], 1, FILL)
    many = [post(client, "add_idempotent", key="order-2", content=FILL) for _ in range(10)]
    await asyncio.gather(*many)
    assert (await get(client, str(uuid5(NAMESPACE_OID, "order-2"))))["replay_count"] == 9


async def test_update_replaces_what_is_found(client: httpx.AsyncClient) -> None:
    added = await post(client, "add", content=FILL, tags=["fill"])
    updated = await post(client, "update", uid=added["uid"], content=NURSE)
    assert (updated["uid"], updated["content"], updated["tags"]) == (added["uid"], NURSE, ["fill"])
    assert updated["created_at"] == added["created_at"]
    assert updated["updated_at"] > added["updated_at"]
    assert (await post(client, "add", content=FILL))["added"]  # what it said is not known any more
    assert (await post(client, "search", text="dental nurse", k=1))["results"][0]["content"] == NURSE
    changes = (await get(client, f"{added['uid']}/history"))["changes"]
    assert [(c["event"], c["content"]) for c in changes] == [("add", FILL), ("update", NURSE)]
    assert (await post(client, "update", uid=added["uid"], content=NURSE, tags=["care"]))["tags"] == ["care"]


async def test_revision_takes_its_predecessors_place_until_it_is_retired(client: httpx.AsyncClient) -> None:
    first = await post(client, "add", content=FILL, tags=["fill"])
    second = await post(client, "revise", predecessor_uid=first["uid"], content={**FILL, "hint": "call before 8 am"})
    assert (second["predecessor_uid"], second["tags"]) == (first["uid"], ["fill"])
    assert await found(client, text="welders", tags=["fill"]) == [second["uid"]]
    assert set(await found(client, tags=["fill"], include_revised=True)) == {first["uid"], second["uid"]}
    await post(client, "retire", uid=second["uid"], reason="nobody answers before 8 am")
    assert await found(client, text="welders") == [first["uid"]]
    assert set(await found(client, text="welders", include_retired=True)) == {first["uid"], second["uid"]}


async def test_history_walks_back_to_the_first(client: httpx.AsyncClient) -> None:
    uids = [(await post(client, "add", content={"step": "one"}))["uid"]]
    for n in range(5):
        content = {"step": f"version {n}"}
        uids.append((await post(client, "revise", predecessor_uid=uids[-1], content=content))["uid"])
    history = await get(client, f"{uids[-1]}/history")
    assert [trace["uid"] for trace in history["traces"]] == uids[::-1]
    assert (history["complete"], history["stopped_by"]) == (True, None)
    assert (await get(client, f"{uids[2]}/history"))["traces"][0]["uid"] == uids[2]


async def test_retired_trace_stays_readable_with_its_reason(client: httpx.AsyncClient) -> None:
    added = await post(client, "add", content=FILL)
    retired = await post(client, "retire", uid=added["uid"], reason="the client has moved")
    assert (retired["retired"], retired["retired_reason"]) == (True, "the client has moved")
    assert await found(client, text="welders") == []
    assert await found(client) == []
    assert (await get(client, added["uid"]))["retired_reason"] == "the client has moved"
    assert [t["uid"] for t in (await get(client, f"{added['uid']}/history"))["traces"]] == [added["uid"]]
    await post(client, "retire", uid=added["uid"], reason="another word")
    assert (await get(client, added["uid"]))["retired_reason"] == "the client has moved"  # the first counts
    assert (await post(client, "add", content=FILL))["added"]  # a retired one answers for nobody


async def test_search_holds_tags_and_time_together(client: httpx.AsyncClient) -> None:
    a = await post(client, "add", content={"n": "one thing"}, tags=["fill", "oh"])
    b = await post(client, "add", content={"n": "another thing"}, tags=["fill"])
    c = await post(client, "add", content={"n": "third thing"}, tags=["oh"])
    assert await found(client) == [c["uid"], b["uid"], a["uid"]]  # the newest first
    assert await found(client, tags=["fill", "oh"]) == [a["uid"]]
    assert await found(client, text="thing", tags=["fill"], since=b["updated_at"]) == [b["uid"]]
    assert await found(client, since=c["updated_at"]) == [c["uid"]]
    assert await found(client, since="2999-01-01T00:00:00") == []
    assert len(await found(client, since="0999-01-01T00:00:00Z")) == 3
    assert await found(client, tags=["nobody"]) == []
    assert len(await found(client, text="thing", k=2)) == 2


async def test_search_of_nothing_finds_nothing(client: httpx.AsyncClient) -> None:
    assert await found(client, text="anything") == []
    assert (await get(client, "stats"))["traces"] == 0


async def test_gate_lets_only_what_passes_be_remembered(client: httpx.AsyncClient) -> None:
    sms = {"to": "+14155550132", "body": "We have a shift on Monday at 7 am, reply YES to confirm."}
    assert (await post(client, "add", content=sms, validate={"kind": "sms"}))["added"]
    refused = await client.post(
        "/v1/pathway/add", json={"content": {**FILL}, "validate": {"kind": "sms", "artifact": {"body": "hello"}}}
    )
    assert refused.status_code == 422
    assert refused.json()["refusal"]["Schema"]["field"] == "to"
    assert (await get(client, "stats"))["traces"] == 1
    for wrong in ({"kind": "poem"}, {"kind": "sms", "context": 1}):
        assert (await client.post("/v1/pathway/add", json={"content": FILL, "validate": wrong})).status_code == 400
    text = await client.post("/v1/pathway/add", json={"content": "a text", "validate": {"kind": "sms"}})
    assert (text.status_code, "artifact" in text.json()["detail"]) == (400, True)


WRONG: list[tuple[str, bytes, int, str]] = [
    ("add", b'{"content": NaN}', 400, "JSON"),
    ("add", b'{"content": {"a": }}', 400, "JSON"),
    ("add", b"not json", 400, "JSON"),
    ("add", b"{}", 400, "content"),
    ("add", b'{"content": null}', 400, "nothing"),
    ("add", b'{"content": {"a": ["", {}]}}', 400, "nothing"),
    ("add", b'{"content": "\\ud800"}', 400, "JSON"),
    ("add", b'{"content": ' + b"[" * 5000 + b"1" + b"]" * 5000 + b"}", 400, "nested"),
    ("add", b'{"content": "x", "tags": "fill"}', 400, "tags"),
    ("add", b'{"content": "x", "tags": [""]}', 400, "tags"),
    ("add", b'{"content": "x", "colour": 1}', 400, "colour"),
    ("add", b'{"content": "x", "provenance": "dreamt"}', 400, "provenance"),
    ("add", b'{"content": "' + b"x" * (600 << 10) + b'"}', 413, "bytes"),
    ("add", b'{"content": "' + b"x" * (10 << 20) + b'"}', 413, "bytes"),
    ("add_idempotent", b'{"content": "x"}', 400, "key"),
    ("add_idempotent", b'{"content": "x", "key": " "}', 400, "key"),
    ("update", b'{"uid": "nobody", "content": "x"}', 404, "nobody"),
    ("revise", b'{"predecessor_uid": "nobody", "content": "x"}', 404, "nobody"),
    ("retire", b'{"uid": "nobody", "reason": "x"}', 404, "nobody"),
    ("retire", b'{"uid": "nobody"}', 400, "reason"),
    ("search", b'{"text": "  "}', 400, "blank"),
    ("search", b'{"k": 0}', 400, "k"),
    ("search", b'{"since": "yesterday"}', 400, "since"),
    ("search", b'{"since": "0001-01-01T00:00:00+14:00"}', 400, "years"),
    ("search", b'{"since": "9999-12-31T23:59:59-14:00"}', 400, "years"),
    ("add", b'{"content": ' + b"[" * 300 + b"1" + b"]" * 300 + b"}", 400, "nested"),
]


@pytest.mark.parametrize(("path", "body", "status", "word"), WRONG, ids=range(len(WRONG)))
async def test_wrong_request_is_refused_by_name(
    client: httpx.AsyncClient, path: str, body: bytes, status: int, word: str
) -> None:
    answer = await client.post(f"/v1/pathway/{path}", content=body)
    assert answer.status_code == status, answer.text
    assert word in answer.json()["detail"]
    assert (await get(client, "stats"))["traces"] == 0


@pytest.mark.parametrize("path", ["nobody", "nobody/history"])
async def test_unknown_uid_is_404(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(f"/v1/pathway/{path}")).status_code == 404


async def test_blank_reason_is_refused(client: httpx.AsyncClient) -> None:
    added = await post(client, "add", content=FILL)
    assert (await client.post("/v1/pathway/retire", json={"uid": added["uid"], "reason": " "})).status_code == 400
    assert not (await get(client, added["uid"]))["retired"]


async def test_traces_are_read_with_the_scope_pii_alone(objects: S3ObjectStore, tmp_path: Path) -> None:
    path = write_tokens_file(tmp_path / "tokens.json", writer=["read", "write"])
    async with pathway_api(objects, tmp_path / "data", tokens_file=path) as api, api.client(token="writer") as client:
        added = await post(client, "add", content=FILL)
        assert (added["content"], added["tags"]) == ("[masked]", [])
        retired = await post(client, "retire", uid=added["uid"], reason="Jane Doe is ill")
        assert retired["retired_reason"] == "[masked]"
        for refused in (
            await client.post("/v1/pathway/search", json={"text": "x"}),
            await client.get(f"/v1/pathway/{added['uid']}"),
            await client.get(f"/v1/pathway/{added['uid']}/history"),
            await client.post("/v1/sql", json={"sql": "SELECT * FROM pathways"}),
        ):
            assert (refused.status_code, "pii" in refused.json()["detail"]) == (403, True)


async def test_sql_and_raw_lines_tell_what_happened(api: RunningApi, client: httpx.AsyncClient) -> None:
    added = await post(client, "add", content=FILL, tags=["fill"])
    await post(client, "retire", uid=added["uid"], reason="over")
    rows = (await client.post("/v1/sql", json={"sql": "SELECT uid, content->>'task', retired FROM pathways"})).json()
    assert rows["rows"] == [[added["uid"], FILL["task"], True]]
    lines = [line for stream, line in api.services.events.lines if stream == "pathway_events"]  # type: ignore[attr-defined]
    assert [line["action"] for line in lines] == ["add", "retire"]
    assert (lines[0]["uid"], lines[1]["reason"]) == (added["uid"], "over")


async def test_state_is_rebuilt_from_log_and_table(objects: S3ObjectStore, tmp_path: Path) -> None:
    async with pathway_api(objects, tmp_path / "one") as api, api.client() as client:
        first = await post(client, "add", content=FILL, tags=["fill"])
        await post(client, "add_idempotent", key="k", content=NURSE)
        assert api.services.pathways.log.fold() == 2
        second = await post(client, "revise", predecessor_uid=first["uid"], content="call at noon")
        await post(client, "add_idempotent", key="k", content=NURSE)
        before = [await get(client, f"{uid}/history") for uid in (first["uid"], second["uid"])]
        stats, order = await get(client, "stats"), await found(client, text="call")
    async with pathway_api(objects, tmp_path / "two") as api, api.client() as client:
        after = [await get(client, f"{uid}/history") for uid in (first["uid"], second["uid"])]
        assert after == before
        assert (await get(client, "stats"), await found(client, text="call")) == (stats, order)
        again = await post(client, "add", content=FILL, tags=["new"])
        assert (again["uid"], again["link"]) == (first["uid"], "exact")  # revised, and known all the same


async def test_two_processes_lose_no_update_and_agree_on_the_last(objects: S3ObjectStore, tmp_path: Path) -> None:
    async with (
        pathway_api(objects, tmp_path / "one") as one,
        pathway_api(objects, tmp_path / "two") as two,
        one.client() as first,
        two.client() as second,
    ):
        added = await post(first, "add", content="version 0")
        uid = added["uid"]
        await get(second, uid, min_revision=added["revision"])
        writes = [
            post(client, "update", uid=uid, content=f"{name} {n}")
            for n in range(10)
            for name, client in (("one", first), ("two", second))
        ]
        answers = await asyncio.gather(*writes)
        last = max(answer["revision"] for answer in answers)
        newest = {a["revision"]: a for a in answers}[last]
        for client in (first, second):
            for answer in answers:
                await get(client, uid, min_revision=answer["revision"])
            trace = await get(client, uid)
            changes = (await get(client, f"{uid}/history"))["changes"]
            assert {c["revision"] for c in changes} == {added["revision"], *(a["revision"] for a in answers)}
            assert trace["content"] == changes[-1]["content"]
            assert changes[-1]["revision"] == newest["revision"]


async def test_store_away_is_503_and_searches_go_on(api: RunningApi, client: httpx.AsyncClient) -> None:
    added = await post(client, "add", content=FILL)

    def away(*_: Any, **__: Any) -> None:
        raise StoreUnavailable("the store is away")

    api.services.pathways.log._stream._objects.put = away  # type: ignore[method-assign, assignment]
    refused = await client.post("/v1/pathway/add", json={"content": NURSE})
    assert refused.status_code == 503
    assert await found(client, text="welders") == [added["uid"]]
    assert (await get(client, "stats"))["traces"] == 1


async def test_full_disk_is_507_before_anything_is_written(api: RunningApi, client: httpx.AsyncClient) -> None:
    api.services.disk.current = "full"  # type: ignore[attr-defined]
    for path, body in (("add", {"content": FILL}), ("retire", {"uid": "u", "reason": "r"})):
        assert (await client.post(f"/v1/pathway/{path}", json=body)).status_code == 507
    assert (await get(client, "stats"))["traces"] == 0
