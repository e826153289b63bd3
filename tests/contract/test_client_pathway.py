"""Both Python clients remember, search, correct and retire pathways on the real API; which calls are made again."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.client import LakehouseApiError, LakehouseInputError
from tests.api import TOKEN, ApiProcess, api_process
from tests.clients import KINDS, opened_client
from tests.fakes.scripted_http import Reply, scripted_http
from tests.retrieving import STATIC
from tests.servers import StoreServer

PROBLEM = b'{"type":"about:blank","title":"Service unavailable","status":503,"detail":"later","request_id":"r1"}'
BUSY = Reply(503, PROBLEM, {"Retry-After": "0"})


@pytest.fixture(scope="module")
def store(store_process: StoreServer) -> Iterator[S3ObjectStore]:
    store = store_process.objects(bucket="client-pathway")
    yield store
    store_process.drop_bucket("client-pathway")


@pytest.fixture(scope="module")
def api(store: S3ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    folder = tmp_path_factory.mktemp("client-pathway")
    with api_process(store, folder, **STATIC, pathway_embedder="static") as process:
        yield process


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def lake(kind: str, api: ApiProcess) -> Iterator[Any]:
    with opened_client(kind, api.url, TOKEN) as client:
        yield client


def fill(kind: str, task: str) -> dict[str, Any]:
    return {"task": f"{task} of {kind}", "steps": ["search within 30 miles", "call by reliability"]}


def test_trace_is_added_found_and_read(lake: Any, kind: str) -> None:
    content = fill(kind, "fill three welders in Toledo")
    added = lake.pathway.add(content, tags=["fill", kind])
    assert (added["content"], added["tags"], added["added"], added["link"]) == (content, ["fill", kind], True, None)
    found = lake.pathway.search("welders for Toledo", tags=kind, k=1, min_revision=added["revision"])
    assert [one["uid"] for one in found] == [added["uid"]]
    assert 0 < found[0]["score"] <= 1
    read = lake.pathway.get(added["uid"], min_revision=added["revision"])
    assert read == {name: value for name, value in added.items() if name in read}
    since = datetime.fromisoformat(added["updated_at"])
    assert added["uid"] in [one["uid"] for one in lake.pathway.search(since=since, k=1000)]
    later = since + timedelta(days=1)
    assert lake.pathway.search(tags=[kind], since=later) == []


@pytest.mark.parametrize("content", ["call first", 42, ["a", 1], [{"role": "user", "content": "I weld"}]])
def test_content_is_any_json(lake: Any, kind: str, content: Any) -> None:
    said = [kind, content]
    assert lake.pathway.get(lake.pathway.add(said)["uid"])["content"] == said


def test_same_content_is_linked_and_a_key_is_replayed(lake: Any, kind: str) -> None:
    content = fill(kind, "find a dental nurse")
    first = lake.pathway.add(content, tags="nurse")
    again = lake.pathway.add(content, tags="dental")
    assert (again["uid"], again["added"], again["link"]) == (first["uid"], False, "exact")
    assert again["tags"] == ["nurse", "dental"]
    keyed = lake.pathway.add("the first word", key=f"order-{kind}", tags=["keyed"])
    replayed = lake.pathway.add("another word", key=f"order-{kind}")
    assert (replayed["uid"], replayed["content"]) == (keyed["uid"], "the first word")
    assert (keyed["replay_count"], replayed["replay_count"], replayed["added"]) == (0, 1, False)


def test_what_was_recalled_is_not_learned_again(lake: Any, kind: str) -> None:
    kept = lake.pathway.add(f"{kind}: a search gave nothing like it", provenance="recalled")
    assert (kept["uid"], kept["added"], kept["link"]) == (None, False, "recalled")
    with pytest.raises(LakehouseInputError, match="exclude each other"):
        lake.pathway.add("x", key="k", provenance="recalled")


def test_update_keeps_the_history_and_revise_takes_the_place(lake: Any, kind: str) -> None:
    first = lake.pathway.add(fill(kind, "staff a night shift"), tags=["night"])
    updated = lake.pathway.update(first["uid"], fill(kind, "staff two night shifts"))
    assert (updated["uid"], updated["tags"]) == (first["uid"], ["night"])
    assert lake.pathway.update(first["uid"], fill(kind, "staff night shifts"), tags=[])["tags"] == []
    better = lake.pathway.revise(first["uid"], fill(kind, "staff a night shift from the pool"), tags=[f"pool-{kind}"])
    assert better["predecessor_uid"] == first["uid"]
    history = lake.pathway.history(better["uid"], min_revision=better["revision"])
    assert ([one["uid"] for one in history["traces"]], history["complete"]) == ([better["uid"], first["uid"]], True)
    events = [(one["uid"], one["event"]) for one in history["changes"]]
    assert events == [(first["uid"], "add")] + [(first["uid"], "update")] * 2 + [(better["uid"], "add")]
    assert history["changes"][0]["content"] == fill(kind, "staff a night shift")
    found = [one["uid"] for one in lake.pathway.search("staff night shifts", k=1000)]
    assert better["uid"] in found
    assert first["uid"] not in found
    assert first["uid"] in [one["uid"] for one in lake.pathway.search("staff", k=1000, include_revised=True)]


@pytest.mark.parametrize("method", ["delete", "retire"])
def test_deleted_trace_is_retired_with_its_reason_and_stays_readable(lake: Any, kind: str, method: str) -> None:
    added = lake.pathway.add(f"{kind} {method}: send a fax to the client", tags=[f"{method}-{kind}"])
    retired = getattr(lake.pathway, method)(added["uid"], "the client has no fax")
    assert (retired["retired"], retired["retired_reason"]) == (True, "the client has no fax")
    assert lake.pathway.search(tags=f"{method}-{kind}") == []
    shown = lake.pathway.search(tags=f"{method}-{kind}", include_retired=True)
    assert [one["uid"] for one in shown] == [added["uid"]]
    assert lake.pathway.get(added["uid"])["content"].endswith("send a fax to the client")
    with pytest.raises(LakehouseApiError) as refused:
        getattr(lake.pathway, method)(added["uid"], "")
    assert refused.value.status == 400
    with pytest.raises(TypeError, match="reason"):
        getattr(lake.pathway, method)(added["uid"])


def test_validation_is_a_gate(lake: Any, kind: str) -> None:
    sms = {"to": "+14155550132", "body": f"A shift on Monday? ({kind})"}
    assert lake.pathway.add(sms, validate={"kind": "sms"})["added"]
    paid = sms | {"body": f"{kind}: it pays $25/hr"}
    before = lake.pathway.stats()["traces"]
    for call in (
        lambda gate: lake.pathway.add(paid, validate=gate),
        lambda gate: lake.pathway.add(paid, key=f"sms-{kind}", validate=gate),
    ):
        with pytest.raises(LakehouseApiError) as refused:
            call({"kind": "sms", "context": {"allow_pay": False}})
        assert (refused.value.status, list(refused.value.fields["refusal"])) == (422, ["Policy"])
    assert lake.pathway.stats()["traces"] == before


def test_refusals_are_typed(lake: Any) -> None:
    unknown = "0198f0c2-7c1e-7f43-9a51-0f6a3a1d2b3c"
    for call in (
        lambda: lake.pathway.get(unknown),
        lambda: lake.pathway.history(unknown),
        lambda: lake.pathway.update(unknown, "x"),
        lambda: lake.pathway.revise(unknown, "x"),
        lambda: lake.pathway.delete(unknown, "x"),
    ):
        with pytest.raises(LakehouseApiError, match="there is no pathway") as refused:
            call()
        assert refused.value.status == 404
    for content in (None, "", {}, "x" * (600 << 10)):
        with pytest.raises(LakehouseApiError) as refused:
            lake.pathway.add(content)
        assert refused.value.status in (400, 413)
    with pytest.raises(LakehouseInputError, match=r"content\.rate must be a finite number"):
        lake.pathway.add({"rate": float("nan")})


def test_stats_count_what_was_known_already(lake: Any, kind: str) -> None:
    before = lake.pathway.stats()
    for _ in range(2):
        lake.pathway.add(f"{kind}: count me once")
    after = lake.pathway.stats()
    assert (after["traces"] - before["traces"], after["adds"] - before["adds"]) == (1, 2)
    assert after["links"]["exact"] - before["links"]["exact"] == 1
    assert 0 < after["duplicate_rate"] < 1


def test_write_that_can_make_no_second_trace_is_made_again_and_a_revision_is_not(kind: str) -> None:
    done = Reply(200, b'{"uid":"u"}')
    with scripted_http() as api, opened_client(kind, api.url) as client:
        for call in (
            lambda: client.pathway.add("x"),
            lambda: client.pathway.add("x", key="k"),
            lambda: client.pathway.update("u", "x"),
            lambda: client.pathway.delete("u", "why"),
        ):
            api.replies[:] = [BUSY, done]
            assert call() == {"uid": "u"}
        assert len(api.asked) == 8
        api.replies[:] = [BUSY, done]
        with pytest.raises(LakehouseApiError) as refused:
            client.pathway.revise("u", "x")
        assert (refused.value.retry_after_s, len(api.asked)) == (0, 9)


def test_arguments_stand_where_users_of_mem0_expect_them() -> None:
    from lakehouse.client import Client

    pathway = Client("http://127.0.0.1:9").pathway
    expected = {"add": "content", "search": "text", "get": "uid", "update": "uid", "delete": "uid", "history": "uid"}
    for name, first in expected.items():
        assert next(iter(inspect.signature(getattr(pathway, name)).parameters)) == first
