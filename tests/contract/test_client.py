"""Both Python clients against the real API: every call, every kind of error, and what they do with refusals."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.client import LakehouseApiError, LakehouseConnectionError, LakehouseInputError, RetryPolicy
from tests.api import TOKEN, ApiProcess, api_process
from tests.clients import KINDS, opened_client
from tests.fakes.scripted_http import Reply, scripted_http
from tests.retrieving import NOTES, STATIC
from tests.servers import StoreServer

PROBLEM = b'{"type":"about:blank","title":"Service unavailable","status":503,"detail":"later","request_id":"r1"}'
BUSY = Reply(503, PROBLEM, {"Retry-After": "0"})


@pytest.fixture(scope="module")
def store(store_process: StoreServer) -> Iterator[S3ObjectStore]:
    store = store_process.objects(bucket="client")
    yield store
    store_process.drop_bucket("client")


@pytest.fixture(scope="module")
def api(store: S3ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    with api_process(store, tmp_path_factory.mktemp("client"), **STATIC) as process:
        yield process


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def lake(kind: str, api: ApiProcess) -> Iterator[Any]:
    with opened_client(kind, api.url, TOKEN) as client:
        yield client


@pytest.fixture(scope="module")
def workers(lake: Any, kind: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("files") / 'wörk "ers".csv'
    file.write_text("worker_id,state,rate\n1,OH,20.5\n2,TX,31\n3,OH,18\n")
    name = f"workers_{kind}"
    assert lake.datasets.ingest(file, name=name)["row_count"] == 3
    return name


def test_health_says_how_the_parts_are_and_needs_no_token(kind: str, api: ApiProcess) -> None:
    with opened_client(kind, api.url) as client:
        assert client.health()["status"] in ("ok", "degraded")  # it may still be reading its memory


def test_dataset_is_loaded_read_listed_and_deleted(lake: Any, workers: str, kind: str, tmp_path: Path) -> None:
    first = lake.datasets.get(workers)
    more = tmp_path / "more.parquet"
    pq.write_table(pa.table({"worker_id": [4], "state": ["PA"], "rate": [40.0]}), more)
    assert lake.datasets.ingest(more, name=workers, mode="append")["row_count"] == 4
    assert lake.datasets.ingest(more, name=workers, mode="append")["existing"] is True
    assert [v["version"] for v in lake.datasets.versions(workers)] == [2, 1]
    assert lake.datasets.get(workers, version=1)["row_count"] == 3
    assert lake.datasets.get(workers, as_of=datetime.fromisoformat(first["updated_at"]))["version"] == 1
    assert workers in [d["name"] for d in lake.datasets.list()]
    other = f"other_{kind}"
    text = tmp_path / "text.csv"
    text.write_text("rate\n5\n")
    lake.datasets.ingest(text, name=other, types={"rate": "DOUBLE"})
    assert lake.datasets.get(other)["columns"] == [{"name": "rate", "type": "DOUBLE", "pii": False}]
    assert lake.datasets.delete(other) is None
    with pytest.raises(LakehouseApiError) as refused:
        lake.datasets.get(other)
    assert (refused.value.status, refused.value.title) == (404, "Not found")
    assert other in refused.value.detail
    assert refused.value.request_id


def test_bad_file_is_refused_with_its_line(lake: Any, tmp_path: Path) -> None:
    file = tmp_path / "ragged.csv"
    file.write_text("a,b\n1,2\n3\n")
    with pytest.raises(LakehouseApiError) as refused:
        lake.datasets.ingest(file, name="ragged")
    assert refused.value.status == 422
    assert refused.value.fields["line"] == 3


def test_file_that_is_not_there_is_an_os_error(lake: Any, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        lake.datasets.ingest(tmp_path / "none.csv", name="none")


def test_rows_of_a_query_are_dicts(lake: Any, workers: str) -> None:
    answer = lake.sql(f"SELECT state, count(*) AS n FROM {workers} WHERE rate < 35 GROUP BY state ORDER BY state")
    assert list(answer) == [{"state": "OH", "n": 2}, {"state": "TX", "n": 1}]
    assert (answer.columns, answer.types, len(answer)) == (("state", "n"), ("VARCHAR", "BIGINT"), 2)
    assert not answer.is_truncated
    assert lake.sql("SELECT * FROM range(5)", max_rows=2).is_truncated


def test_query_about_the_past_sees_the_past(lake: Any, workers: str) -> None:
    then = datetime.fromisoformat(lake.datasets.get(workers, version=1)["updated_at"])
    assert list(lake.sql(f"SELECT count(*) AS n FROM {workers}", as_of=then)) == [{"n": 3}]


def test_arrow_answer_is_a_table_of_any_length(lake: Any) -> None:
    table = lake.sql_arrow("SELECT range AS n FROM range(300000)")
    assert table.num_rows == 300_000
    assert table.column("n").to_pylist()[-1] == 299_999
    assert lake.sql_arrow("SELECT 1 AS n WHERE false").schema.names == ["n"]


def test_batches_come_while_the_query_runs_and_may_be_left(lake: Any) -> None:
    batches = lake.sql_batches("SELECT range AS n FROM range(100000000)")
    assert next(batches).num_rows > 0
    batches.close()
    assert sum(b.num_rows for b in lake.sql_batches("SELECT * FROM range(5000)")) == 5000


@pytest.mark.parametrize(("query", "status"), [("SELEC 1", 400), ("DROP TABLE x", 403)])
def test_refused_statement_is_a_typed_error(lake: Any, query: str, status: int) -> None:
    for ask in (lake.sql, lake.sql_arrow):
        with pytest.raises(LakehouseApiError) as refused:
            ask(query)
        assert refused.value.status == status


def test_index_is_made_filled_searched_and_dropped(lake: Any, kind: str) -> None:
    name = f"notes_{kind}"
    assert lake.vectors.create_index(name, embedder="static")["dimension"] == 256
    added = lake.vectors.upsert(name, NOTES)
    assert added["added"] == 3
    found = lake.vectors.search(name, text="forklift", k=1, min_revision=added["revision"])
    assert (found[0]["id"], found[0]["metadata"]["state"]) == ("c", "OH")
    assert {r["id"] for r in lake.vectors.search(name, text="forklift", filter={"state": "PA"})} == {"b"}
    assert lake.vectors.delete(name, ["a", "zz"])["deleted"] == 1
    assert lake.vectors.stats(name)["rows"] == 2
    assert name in [v["name"] for v in lake.vectors.list()]
    assert lake.vectors.drop(name) is None
    with pytest.raises(LakehouseApiError):
        lake.vectors.stats(name)


def test_vectors_go_as_arrow_and_as_numpy(lake: Any, kind: str) -> None:
    name = f"arrow_{kind}"
    lake.vectors.create_index(name, dimension=2)
    vectors = pa.array([[1.0, 0.0], [0.0, 1.0]], pa.list_(pa.float32()))
    table = pa.table({"id": ["x", "y"], "vector": vectors, "metadata": ['{"n": 1}', '{"n": 2}']})
    assert lake.vectors.upsert(name, table)["added"] == 2
    assert lake.vectors.search(name, vector=np.array([0, 1], np.float32), k=1)[0]["id"] == "y"


def test_number_that_is_not_finite_is_refused_by_name_before_it_is_sent(lake: Any) -> None:
    nan = float("nan")
    with pytest.raises(LakehouseInputError, match=r"^relevance\.threshold must be a finite number"):
        lake.search("x", ["notes"], relevance_threshold=nan)
    with pytest.raises(LakehouseInputError, match=r"^items\[1\]\.vector\[0\] must be"):
        lake.vectors.upsert("n", [{"id": "a", "vector": [1.0]}, {"id": "b", "vector": np.array([np.inf], np.float32)}])
    with pytest.raises(LakehouseInputError, match=r"^vector\[1\] must be"):
        lake.vectors.search("n", vector=(0.0, nan))
    with pytest.raises(LakehouseInputError, match=r"^score must be"):
        lake.playbook.record("q", "a", score=-float("inf"))


def test_one_name_is_a_list_of_one_and_items_may_be_generated(lake: Any, kind: str) -> None:
    name = f"generated_{kind}"
    lake.vectors.create_index(name, embedder="static")
    assert lake.vectors.upsert(name, (note for note in NOTES))["added"] == 3
    assert lake.search("forklift", name, exclude_ids="c", use_playbook=False)["corpora"].keys() == {name}
    assert lake.vectors.delete(name, "c")["deleted"] == 1
    for wrong in ({"id": "a", "text": "x"}, "text", 3, ["a", "b"]):
        with pytest.raises(TypeError, match="items must be dicts"):
            lake.vectors.upsert(name, wrong)
    lake.vectors.drop(name)


def test_search_learns_from_playbooks_and_outcomes(lake: Any, kind: str) -> None:
    name = f"learn_{kind}"
    lake.vectors.create_index(name, embedder="static")
    lake.vectors.upsert(name, NOTES)
    query = f"somebody for {kind} work"
    entry = lake.playbook.record(query, "b", answer_corpus=name, tags=["fill"])
    assert entry["merged"] is False
    answer = lake.search(query, [name], k=3, use_playbook=True, mode="vector", min_revision=entry["revision"])
    assert answer["results"][0]["id"] == "b"
    assert answer["results"][0]["playbook"]["playbook_ids"] == [entry["playbook_id"]]
    taken = lake.outcome(answer["trace_id"], success=True, answer_id="b")
    assert taken["credited"] == [entry["playbook_id"]]
    lake.playbook.feedback(entry["playbook_id"], -1)
    shown = [p for p in lake.playbook.list()["playbooks"] if p["playbook_id"] == entry["playbook_id"]]
    assert shown[0]["query"] == query
    assert shown[0]["evidence"] >= 2
    good, bad = lake.playbook.bulk([{"query": f"{query} at night", "answer_id": "a"}, {"query": ""}])
    assert (good["ok"], bad["ok"]) == (True, False)
    for playbook_id in (entry["playbook_id"], good["playbook_id"]):
        lake.playbook.delete(playbook_id)
    with pytest.raises(LakehouseApiError, match="404"):
        lake.playbook.delete(entry["playbook_id"])


def test_texts_are_embedded(lake: Any) -> None:
    vectors = lake.embed(["forklift", "welder"], model="static")
    assert (len(vectors), len(vectors[0])) == (2, 256)


def test_config_is_changed_and_changed_back(lake: Any) -> None:
    changed = lake.config.change(config={"k": 7}, note="fewer")
    assert lake.config.list()[0]["config"]["k"] == 7
    again = lake.config.change(config={"k": 10})
    assert lake.config.change(version=again["version"])["is_live"]
    assert changed["version"] in [v["version"] for v in lake.config.versions()]


def test_token_that_is_unknown_is_401(kind: str, api: ApiProcess) -> None:
    with opened_client(kind, api.url, "wrong") as client, pytest.raises(LakehouseApiError) as refused:
        client.sql("SELECT 1")
    assert refused.value.status == 401


def test_name_in_a_path_reaches_no_other_route(lake: Any) -> None:
    with pytest.raises(LakehouseApiError) as refused:
        lake.vectors.drop("../../catalog/workers")
    assert refused.value.status in (400, 404)


def test_call_that_may_be_repeated_is_tried_again_when_the_api_says_so(kind: str) -> None:
    rows = Reply(200, b'{"columns":[],"rows":[],"row_count":0,"truncated":false}')
    with scripted_http(BUSY, Reply(429, PROBLEM, {"Retry-After": "0"}), rows) as api, opened_client(kind, api.url) as c:
        assert len(c.sql("SELECT 1")) == 0
        assert len(api.asked) == 3


def test_stream_is_opened_again_when_it_was_refused(kind: str) -> None:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, pa.schema([("n", pa.int64())])):
        pass
    with scripted_http(BUSY, Reply(200, bytes(sink.getvalue()))) as api, opened_client(kind, api.url) as client:
        assert client.sql_arrow("SELECT 1").num_rows == 0
        assert len(api.asked) == 2


def test_upload_is_sent_whole_again(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("a\n1\n")
    with scripted_http(BUSY, Reply(200, b'{"row_count":1}')) as api, opened_client(kind, api.url) as client:
        assert client.datasets.ingest(file, name="a") == {"row_count": 1}
        assert [b"a\n1\n" in asked.start for asked in api.asked] == [True, True]


@pytest.mark.parametrize(
    "reply",
    [
        Reply(503, PROBLEM),  # nobody said when to come back
        Reply(503, PROBLEM, {"Retry-After": "3600"}),
        Reply(500, PROBLEM, {"Retry-After": "0"}),
    ],
)
def test_other_refusals_stand(kind: str, reply: Reply) -> None:
    with scripted_http(reply) as api, opened_client(kind, api.url) as client:
        with pytest.raises(LakehouseApiError) as refused:
            client.datasets.list()
        assert (refused.value.status, refused.value.request_id, len(api.asked)) == (reply.status, "r1", 1)


def test_write_that_would_count_twice_is_not_repeated(kind: str) -> None:
    with scripted_http(BUSY) as api, opened_client(kind, api.url) as client:
        for write in (lambda: client.playbook.record("q", "a"), lambda: client.outcome("t", success=True)):
            with pytest.raises(LakehouseApiError) as refused:
                write()
            assert refused.value.retry_after_s == 0
        assert len(api.asked) == 2


def test_patience_has_an_end(kind: str) -> None:
    with scripted_http(BUSY) as api, opened_client(kind, api.url, retry=RetryPolicy(attempts=2)) as client:
        with pytest.raises(LakehouseApiError):
            client.datasets.list()
        assert len(api.asked) == 2


def test_answer_of_something_else_than_the_api_is_an_error_with_its_status(kind: str) -> None:
    with scripted_http(Reply(502, b"<html>bad gateway</html>")) as api, opened_client(kind, api.url) as client:
        with pytest.raises(LakehouseApiError) as refused:
            client.datasets.list()
        assert (refused.value.status, refused.value.request_id) == (502, "")


def test_broken_stream_never_looks_whole(kind: str) -> None:
    sink = pa.BufferOutputStream()
    schema = pa.schema([("n", pa.int64())])
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write(pa.record_batch([pa.array([1, 2])], schema=schema))
    cut = Reply(200, bytes(sink.getvalue())[:-8], is_cut=True)
    broken = pytest.raises(LakehouseConnectionError, match="broke")
    with scripted_http(cut) as api, opened_client(kind, api.url) as client, broken:
        client.sql_arrow("SELECT 1")


def test_api_that_is_not_there_is_named(kind: str) -> None:
    with opened_client(kind, "http://127.0.0.1:9") as client, pytest.raises(LakehouseConnectionError, match=":9"):
        client.health()


def test_models_are_asked_and_metered(lake: Any) -> None:
    said = lake.chat("Say hello.", max_tokens=6, seed=1, role="reviewer")
    assert (said["provider"], said["cost_usd"]) == ("embedded", 0)
    assert said["content"].strip()
    assert lake.chat([{"role": "user", "content": "Say hello."}], max_tokens=6, seed=1)["content"] == said["content"]
    assert said["model"] in [one["id"] for one in lake.models()]
    assert lake.chat_usage()["by_role"]["reviewer"]["calls"] >= 1
    assert {one["name"]: one["reachable"] for one in lake.chat_providers()}["embedded"] is True
    with pytest.raises(LakehouseApiError, match="there is no model"):
        lake.chat("x", model="gemini/pro")


def test_answer_without_retrieval_says_that_it_does_not_know(lake: Any) -> None:
    reply = lake.answer("Who is a welder?")
    assert reply["answer"].startswith("I do not know")
    assert lake.outcome(reply["trace_id"], success=True)["run_id"]


def test_unavailable_health_is_an_answer(kind: str) -> None:
    reply = Reply(503, b'{"status":"unavailable"}', {"Retry-After": "0"})
    with scripted_http(reply) as api, opened_client(kind, api.url) as client:
        assert client.health() == {"status": "unavailable"}


def test_token_and_task_are_sent_with_every_call(kind: str) -> None:
    with scripted_http(Reply(200, b'{"datasets":[]}')) as api:
        with opened_client(kind, f"{api.url}/lake", "secret", task_id="t1") as client:
            client.datasets.list()
        headers = {name.lower(): value for name, value in api.asked[0].headers.items()}
        assert (headers["authorization"], headers["x-task-id"]) == ("Bearer secret", "t1")
        assert api.asked[0].path == "/lake/v1/catalog"


def test_upload_keeps_memory_flat(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "large.csv"
    with file.open("wb") as stream:
        stream.truncate(64 << 20)
    with scripted_http(Reply()) as api, opened_client(kind, api.url) as client:
        client.health()  # what is loaded once is loaded
        tracemalloc.start()
        try:
            client.datasets.ingest(file, name="large")
            peak_bytes = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert api.asked[-1].length > 64 << 20
        assert peak_bytes < 16 << 20


def test_installation_of_the_environment_is_found(api: ApiProcess, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    token = tmp_path / "data" / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    program = "from lakehouse.client import Client; print(len(Client().datasets.list()))"
    environ = {"LAKEHOUSE_API_PORT": str(api.port), "LAKEHOUSE_DATA_DIR": str(tmp_path / "data")}
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True, text=True, cwd=tmp_path, env=environ | {"PYTHONPATH": str(root)}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().isdigit()


def test_times_of_a_retry_after_are_read() -> None:
    from lakehouse.client.retry import parse_retry_after

    now = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
    assert parse_retry_after("7", now=now) == 7
    assert parse_retry_after("Mon, 04 May 2026 09:30:05 GMT", now=now) == 5
    assert parse_retry_after("Mon, 04 May 2026 09:29:00 GMT", now=now) == 0
    assert parse_retry_after("soon", now=now) is None
    assert RetryPolicy().wait_s(1, 503, 4.0, jitter=lambda: 0.5) == 5.0
