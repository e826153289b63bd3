"""`/v1/sql` over the real store, catalog and worker processes."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import orjson
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.catalog.history import POINTERS
from lakehouse.catalog.manifest import Column, DataObject
from lakehouse.catalog.names import schema_fingerprint
from lakehouse.catalog.service import Catalog, Draft
from lakehouse.clock import utc_now
from tests.api import ApiProcess, api_process
from tests.servers import StoreServer, store_server
from tests.tokens import write_tokens_file

ENDLESS = "SELECT count(*) FROM range(100000000000000)"


@pytest.fixture(scope="module")
def store(store_process: StoreServer) -> Iterator[S3ObjectStore]:
    store = store_process.objects(bucket="sql-route")
    yield store
    store_process.drop_bucket("sql-route")


@pytest.fixture(scope="module")
def api(store: S3ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    folder = tmp_path_factory.mktemp("sql-route")
    tokens = write_tokens_file(folder / "tokens.json", reader=["read"], writer=["read", "write"])
    with api_process(
        store,
        folder,
        tokens_file=tokens,
        sql_workers=2,
        sql_max_rows=100,
        sql_json_max_rows=1000,
        sql_queue_timeout_s=60,
        sql_timeout_s=300,  # what an engine takes on a busy machine proves nothing
    ) as process:
        yield process


@pytest.fixture(scope="module")
def client(api: ApiProcess) -> Iterator[httpx.Client]:
    with api.client() as client:
        yield client


def ask(client: httpx.Client, sql: str, **more: object) -> httpx.Response:
    return client.post("/v1/sql", json={"sql": sql, **more})


def rows(client: httpx.Client, sql: str, **more: object) -> list[list[Any]]:
    response = ask(client, sql, **more)
    assert response.is_success, response.text
    answered: list[list[Any]] = response.json()["rows"]
    return answered


def ingest(client: httpx.Client, name: str, text: str, **options: str) -> dict[str, Any]:
    response = client.post("/v1/ingest", params={"name": name, **options}, files={"file": ("x.csv", text.encode())})
    assert response.is_success, response.text
    answer: dict[str, Any] = response.json()
    return answer


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def busy(client: httpx.Client) -> int:
    number: int = client.get("/health").json()["parts"]["sql"]["busy"]
    return number


def test_answer_has_columns_rows_and_counts(client: httpx.Client) -> None:
    answer = ask(client, "SELECT 1 AS a, 'x' AS b, NULL AS c, 9007199254740993 AS d").json()
    assert answer == {
        "columns": [
            {"name": "a", "type": "INTEGER", "json": "number"},
            {"name": "b", "type": "VARCHAR", "json": "string"},
            {"name": "c", "type": "INTEGER", "json": "number"},
            {"name": "d", "type": "BIGINT", "json": "string"},
        ],
        "rows": [[1, "x", None, "9007199254740993"]],
        "row_count": 1,
        "truncated": False,
    }


@pytest.mark.parametrize("sql", ["SELECT 1 AS a, DATE '2024-01-02' AS d", "SELECT nope", "CREATE TABLE t(a INT)"])
def test_charset_of_the_body_changes_no_answer(client: httpx.Client, sql: str) -> None:
    body = orjson.dumps({"sql": sql})
    plain, named = (
        client.post("/v1/sql", content=body, headers={"Content-Type": kind, "X-Request-Id": "same"})
        for kind in ("application/json", "application/json; charset=utf-8")
    )
    assert (plain.status_code, plain.json()) == (named.status_code, named.json())
    assert plain.headers["content-type"] == named.headers["content-type"]


def test_times_are_utc_whatever_the_zone_of_the_host(client: httpx.Client) -> None:
    sql = "SELECT TIMESTAMPTZ '2024-01-02 03:04:05+02:00', TIMESTAMP '2024-01-02 03:04:05', DATE '2024-01-02'"
    assert rows(client, sql) == [["2024-01-02T01:04:05Z", "2024-01-02T03:04:05", "2024-01-02"]]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("[1.1, 2.25]", ["1.10", "2.25"]),
        ("INTERVAL '1 month'", "1 month"),
        ("INTERVAL '-1 hour'", "-01:00:00"),
        ("DATE 'infinity'", "infinity"),
        ("DATE '9999-12-31'", "9999-12-31"),
        ("TIMESTAMP '-infinity'", "-infinity"),
        ("TIMESTAMPTZ 'infinity'", "infinity"),
        ("DATE '0045-03-15 (BC)'", "-0044-03-15"),
        ("TIMESTAMP_NS '2024-01-02 03:04:05.123456789'", "2024-01-02T03:04:05.123456789"),
        ("{'h': 1::HUGEINT, 'd': DATE '2024-01-02'}", {"h": "1", "d": "2024-01-02"}),
        ("MAP {true: 1}", {"true": 1}),
        ("MAP {[1]: 1}", {"[1]": 1}),
        ("1::VARIANT", "1"),
    ],
)
def test_value_that_python_would_bend_comes_as_it_is(client: httpx.Client, expression: str, expected: object) -> None:
    sql = f'SELECT x AS "the x", x FROM (SELECT {expression} AS x); -- as it is'
    answer = ask(client, sql)
    assert answer.status_code == 200, answer.text
    assert answer.json()["rows"] == [[expected, expected]]
    assert [c["name"] for c in answer.json()["columns"]] == ["the x", "x"]
    text = expected if isinstance(expected, str) else orjson.dumps(expected).decode()
    assert list(csv.reader(io.StringIO(ask(client, sql, format="csv").text)))[1] == [text, text]


def test_order_holds_through_the_cast_of_dates(client: httpx.Client) -> None:
    sql = "SELECT DATE '2024-01-01' + range::INTEGER AS d FROM range(50) ORDER BY range DESC"
    days = [row[0] for row in rows(client, sql)]
    assert days == sorted(days, reverse=True)
    assert days[0] == "2024-02-19"


def test_default_limit_truncates_and_says_so(client: httpx.Client) -> None:
    answer = ask(client, "SELECT * FROM range(101)").json()
    assert (answer["row_count"], answer["truncated"]) == (100, True)
    exact = ask(client, "SELECT * FROM range(100)").json()
    assert (exact["row_count"], exact["truncated"]) == (100, False)
    more = ask(client, "SELECT * FROM range(101)", max_rows=1000).json()
    assert (more["row_count"], more["truncated"]) == (101, False)


def test_json_past_its_most_rows_is_pointed_to_streams(client: httpx.Client) -> None:
    refused = ask(client, "SELECT 1", max_rows=1001)
    assert refused.status_code == 400
    assert '"format": "arrow"' in refused.json()["detail"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "sql: Field required"),
        ({"sql": 1}, "sql: Input should be a valid string"),
        ({"sql": "SELECT 1", "format": "xml"}, "format"),
        ({"sql": "SELECT 1", "max_rows": 0}, "max_rows"),
        ({"sql": "SELECT 1", "limit": 5}, "limit: Extra inputs are not permitted"),
        ({"sql": "SELECT 1", "as_of": "yesterday"}, "as_of"),
        ({"sql": "SELECT 1", "as_of": "0001-01-01T00:00:00+14:00"}, "before the year 1"),
        ({"sql": "SELECT 1", "as_of": "2024-01-02T03:04:05"}, "timezone"),
        ({"sql": "SELECT " + "1+" * 200_000 + "1"}, "256 KiB"),
    ],
)
def test_body_that_is_wrong_is_refused(client: httpx.Client, body: dict[str, Any], words: str) -> None:
    refused = client.post("/v1/sql", json=body)
    assert refused.status_code == 400
    assert words in refused.json()["detail"]


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT nothing FROM fresh_a", "no dataset 'fresh_a'"),
        ("SELECT nope", "nope"),
        ("SELECT 1 +", "syntax error"),
        ("SELECT CAST('x' AS INTEGER)", "Could not convert string 'x' to INT32"),
        ("SELECT 'a' + DATE '2024-01-01'", "Could not"),
    ],
)
def test_error_of_the_query_is_400_with_the_engines_message(client: httpx.Client, sql: str, words: str) -> None:
    for form in ("json", "arrow", "csv"):
        refused = ask(client, sql, format=form)
        assert refused.status_code == 400, refused.text
        assert words.lower() in refused.json()["detail"].lower()


@pytest.mark.parametrize("depth", [300, 450, 950, 5000])
@pytest.mark.parametrize(("head", "tail"), [("abs(", ")"), ("[", "]"), ("1+", ""), ("(SELECT ", ")")])
def test_nested_deep_is_400(client: httpx.Client, head: str, tail: str, depth: int) -> None:
    refused = ask(client, f"SELECT {head * depth}1{tail * depth}")
    assert refused.status_code == 400, refused.text


def test_own_writes_are_seen_by_the_next_query(client: httpx.Client) -> None:
    for number in range(5):
        ingest(client, "fresh_own", f"a\n{number}\n")
        assert rows(client, "SELECT a FROM fresh_own") == [[number]]
    assert client.delete("/v1/catalog/fresh_own").status_code == 204
    gone = ask(client, "SELECT a FROM fresh_own")
    assert gone.status_code == 400
    assert "no dataset 'fresh_own'" in gone.json()["detail"]
    assert "fresh_own" not in {row[0] for row in rows(client, "SHOW TABLES")}


def test_deleted_dataset_is_gone_where_a_with_has_its_name(client: httpx.Client) -> None:
    ingest(client, "shadow", "a\n1\n")
    assert rows(client, "SELECT a FROM shadow") == [[1]]
    client.delete("/v1/catalog/shadow")
    assert rows(client, "WITH shadow AS (SELECT 2 AS a) SELECT a FROM shadow") == [[2]]
    outside = ask(client, "SELECT (WITH shadow AS (SELECT 2 AS a) SELECT a FROM shadow), a FROM shadow")
    assert outside.status_code == 400


def test_name_that_a_with_has_taken_is_back_for_the_next_query(client: httpx.Client) -> None:
    plain, shadowed = "SELECT count(*) FROM builds", "WITH builds AS (SELECT 1 AS x) SELECT count(*) FROM builds"
    for _ in range(3):
        for _worker in range(2):
            assert rows(client, plain) == [[0]]
        assert rows(client, shadowed) == [[1]]


def test_deleted_dataset_of_a_time_is_back_after_a_with_of_its_name(client: httpx.Client) -> None:
    ingest(client, "shadow_then", "a\n1\n")
    then = utc_now().isoformat()
    client.delete("/v1/catalog/shadow_then")
    for _ in range(3):
        assert rows(client, "SELECT a FROM shadow_then", as_of=then) == [[1]]
        assert rows(client, "WITH shadow_then AS (SELECT 2 AS a) SELECT a FROM shadow_then") == [[2]]


def test_writes_of_another_process_are_seen(
    store: S3ObjectStore, api: ApiProcess, client: httpx.Client, tmp_path: Path
) -> None:
    ingest(client, "fresh_other", "a\n0\n")
    with api_process(store, tmp_path) as other, other.client() as writer:
        assert rows(writer, "SELECT a FROM fresh_other") == [[0]]
        ingest(writer, "fresh_other", "a\n1\n")
        # Within two seconds, for `catalog_poll_s` may be 1.5 at the most; how long a busy machine takes proves nothing.
        wait_for(lambda: rows(client, "SELECT a FROM fresh_other") == [[1]])


def test_evolved_columns_are_seen(client: httpx.Client) -> None:
    ingest(client, "evolved", "a\n1\n")
    assert rows(client, "SELECT * FROM evolved") == [[1]]
    ingest(client, "evolved", "a,b\n1,x\n", evolve="true")
    assert rows(client, "SELECT * FROM evolved") == [[1, "x"]]


def test_file_of_other_types_than_the_manifest_says_is_cast(store: S3ObjectStore, client: httpx.Client) -> None:
    # Registered files come from anywhere: what the catalog says of a column holds.
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"n": pa.array([1, 2], pa.int16()), "t": ["a", "b"], "p": ["x", "y"]}), sink)
    body = sink.getvalue().to_pybytes()
    columns = (Column("n", "BIGINT"), Column("t", "VARCHAR"), Column("p", "VARCHAR", pii=True))
    fingerprint = schema_fingerprint((c.name, c.type) for c in columns)
    key = f"datasets/other_types/{fingerprint}/{hashlib.sha256(body).hexdigest()}.parquet"
    store.put(key, body)
    data = DataObject(key, len(body), "", "", 2)
    Catalog(store).commit("other_types", lambda _: Draft(columns, (data,)))
    wait_for(lambda: ask(client, "SELECT 1 FROM other_types").status_code == 200)
    sql = "SELECT typeof(n), n, t, p FROM other_types ORDER BY n"
    assert rows(client, sql) == [["BIGINT", 1, "a", "x"], ["BIGINT", 2, "b", "y"]]
    assert ask(client, "SELECT * FROM other_types").json()["columns"][0]["type"] == "BIGINT"


def test_as_of_answers_from_the_version_of_the_time(client: httpx.Client) -> None:
    before = utc_now()
    ingest(client, "history", "a\n1\n")
    first = utc_now()
    ingest(client, "history", "a\n2\n")
    assert rows(client, "SELECT a FROM history", as_of=first.isoformat()) == [[1]]
    assert rows(client, "SELECT a FROM history") == [[2]]
    assert rows(client, "SELECT a FROM history", as_of=utc_now().isoformat()) == [[2]]
    assert ask(client, "SELECT a FROM history", as_of=before.isoformat()).status_code == 404
    long_ago = ask(client, "SELECT a FROM history", as_of="2020-01-01T00:00:00Z")
    assert long_ago.status_code in (404, 410)


def test_column_marked_personal_later_is_masked_in_old_versions_too(api: ApiProcess, client: httpx.Client) -> None:
    ingest(client, "marked", "who\nann\n")
    first = utc_now().isoformat()
    files = {"file": ("x.csv", b"who\nann@example.org\nbob@example.org\n")}
    answer = client.post("/v1/ingest", params={"name": "marked", "evolve": "true"}, files=files)
    assert answer.is_success
    columns = client.get("/v1/catalog/marked").json()["columns"]
    if not columns[0]["pii"]:
        pytest.fail(f"e-mail addresses are not found: {columns}")
    with api.client(token="reader") as reader:
        assert rows(reader, "SELECT who FROM marked") == [["[masked]"]] * 2
        assert rows(reader, "SELECT who FROM marked", as_of=first) == [["[masked]"]]
    assert rows(client, "SELECT who FROM marked", as_of=first) == [["ann"]]


def mark_later(client: httpx.Client, name: str, *after: tuple[str, dict[str, str]]) -> str:
    """A dataset with a column `contact` that nothing marks, then these versions; gives the first one's time."""
    ingest(client, name, "contact,n\nann lee,1\n")
    first = utc_now().isoformat()
    for text, options in after:
        ingest(client, name, text, evolve="true", **options)
    return first


MARK = {"types": '{"contact": {"pii": true}}'}
MARKED = ("contact,n\nbob ray,2\n", MARK)


@pytest.mark.parametrize(
    ("name", "after"),
    [
        ("marked_plain", [MARKED]),
        ("marked_case", [("Contact,n\nbob ray,2\n", {"types": '{"Contact": {"pii": true}}'})]),
        ("marked_gone", [MARKED, ("n\n2\n", {})]),
    ],
)
def test_mark_holds_for_the_times_before_it(
    api: ApiProcess, client: httpx.Client, name: str, after: list[tuple[str, dict[str, str]]]
) -> None:
    first = mark_later(client, name, *after)
    with api.client(token="reader") as reader:
        assert rows(reader, f"SELECT * FROM {name}", as_of=first) == [["[masked]", 1]]
    assert rows(client, f"SELECT * FROM {name}", as_of=first) == [["ann lee", 1]]


def test_delete_lifts_no_mask(api: ApiProcess, client: httpx.Client) -> None:
    first = mark_later(client, "marked_deleted", MARKED)
    client.delete("/v1/catalog/marked_deleted").raise_for_status()
    with api.client(token="reader") as reader:
        # Once the view of the time before is known to a worker as well as when it is new to it.
        for _ in range(3):
            assert rows(reader, "SELECT * FROM marked_deleted", as_of=first) == [["[masked]", 1]]
        ingest(client, "marked_deleted", "contact,n\nyes,3\n")
        assert rows(reader, "SELECT * FROM marked_deleted", as_of=first) == [["[masked]", 1]]
        assert rows(reader, "SELECT * FROM marked_deleted") == [["yes", 3]]
    assert rows(client, "SELECT * FROM marked_deleted", as_of=first) == [["ann lee", 1]]


def test_broken_manifest_fails_alone(store: S3ObjectStore, client: httpx.Client) -> None:
    ingest(client, "sound", "a\n1\n")
    ingest(client, "broken", "a\n1\n")
    key = f"{POINTERS}broken.json"
    whole = store.get(key).body
    store.put(key, b"{not json")
    wait_for(lambda: ask(client, "SELECT * FROM broken").status_code == 500)
    refused = ask(client, "SELECT * FROM broken")
    assert refused.json()["title"] == "Broken manifest"
    assert rows(client, "SELECT a FROM sound") == [[1]]
    assert ask(client, "SELECT * FROM sound, broken").status_code == 500
    store.put(key, whole)
    wait_for(lambda: ask(client, "SELECT * FROM broken").status_code == 200)


def test_arrow_streams_every_row_with_its_types(client: httpx.Client) -> None:
    response = ask(client, "SELECT range AS n, range::VARCHAR AS s FROM range(200000)", format="arrow")
    assert response.headers["content-type"] == "application/vnd.apache.arrow.stream"
    table = pa.ipc.open_stream(response.content).read_all()
    assert table.schema.names == ["n", "s"]
    assert table.num_rows == 200_000
    assert table.column("n")[199_999].as_py() == 199_999
    few = ask(client, "SELECT * FROM range(200000)", format="arrow", max_rows=70_000)
    assert pa.ipc.open_stream(few.content).read_all().num_rows == 70_000
    none = ask(client, "SELECT 1 AS a WHERE false", format="arrow")
    assert pa.ipc.open_stream(none.content).read_all().num_rows == 0


def test_csv_is_read_back_as_it_was(client: httpx.Client) -> None:
    sql = "SELECT range AS n, 'a \"b\", c' || chr(10) || 'd' AS t, NULL AS z, true AS f, [1, 2] AS l FROM range(5000)"
    response = ask(client, sql, format="csv")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    read = list(csv.reader(io.StringIO(response.text, newline="")))
    assert read[0] == ["n", "t", "z", "f", "l"]
    assert read[-1] == ["4999", 'a "b", c\nd', "", "true", "[1,2]"]
    assert len(read) == 5001
    assert ask(client, "SELECT 1 AS a WHERE false", format="csv").text == "a\r\n"
    assert len(ask(client, sql, format="csv", max_rows=3000).text.split("\r\n")) == 3002


@pytest.mark.parametrize("form", ["arrow", "csv"])
def test_stream_that_fails_in_the_middle_breaks_the_connection(client: httpx.Client, form: str) -> None:
    sql = "SELECT CASE WHEN range < 1000000 THEN range ELSE CAST('x' || range AS BIGINT) END AS n FROM range(1000001)"
    with client.stream("POST", "/v1/sql", json={"sql": sql, "format": form}) as response:
        assert response.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            list(response.iter_bytes())
    wait_for(lambda: busy(client) == 0)
    assert rows(client, "SELECT 1") == [[1]]


@pytest.mark.parametrize("form", ["json", "csv"])
def test_client_that_goes_away_stops_its_query(api: ApiProcess, client: httpx.Client, form: str) -> None:
    connection = api.connection()
    body = f'{{"sql": "{ENDLESS}", "format": "{form}"}}'
    connection.request(
        "POST", "/v1/sql", body, {"Authorization": "Bearer test-token", "Content-Type": "application/json"}
    )
    wait_for(lambda: busy(client) == 1)
    connection.close()
    wait_for(lambda: busy(client) == 0)
    assert rows(client, "SELECT 1") == [[1]]


def test_client_that_leaves_a_stream_gives_the_worker_back(api: ApiProcess, client: httpx.Client) -> None:
    body = {"sql": "SELECT range, md5(range::VARCHAR) FROM range(100000000)", "format": "csv"}
    for _ in range(3):
        with client.stream("POST", "/v1/sql", json=body) as response:
            assert next(response.iter_bytes())
        wait_for(lambda: busy(client) == 0)
    assert rows(client, "SELECT 1") == [[1]]


def test_what_a_reader_has_not_taken_yet_fills_no_memory(api: ApiProcess, client: httpx.Client) -> None:
    assert api.process is not None
    body = {"sql": "SELECT range, md5(range::VARCHAR) FROM range(3000000)", "format": "csv"}
    before = psutil.Process(api.process.pid).memory_info().rss
    lines = 0
    with client.stream("POST", "/v1/sql", json=body) as response:
        for number, chunk in enumerate(response.iter_raw()):
            lines += chunk.count(b"\n")
            if number == 3:
                # What is not read waits in the worker, not here.
                assert psutil.Process(api.process.pid).memory_info().rss - before < 80 << 20
    assert lines == 3_000_001


def test_busy_workers_answer_503_at_the_end_of_the_wait(store: S3ObjectStore, tmp_path: Path) -> None:
    with api_process(store, tmp_path, sql_workers=2, sql_queue_timeout_s=1) as api, api.client() as client:
        require_503_of_busy_workers(api, client)


def require_503_of_busy_workers(api: ApiProcess, client: httpx.Client) -> None:
    leaving = threading.Event()

    def occupy() -> None:
        with (
            api.client() as own,
            contextlib.suppress(httpx.HTTPError),
            own.stream(
                "POST", "/v1/sql", json={"sql": "SELECT range FROM range(1000000000)", "format": "csv"}
            ) as response,
        ):
            chunks = response.iter_raw()
            next(chunks)
            leaving.wait(60)
            chunks.close()

    threads = [threading.Thread(target=occupy) for _ in range(2)]
    for thread in threads:
        thread.start()
    wait_for(lambda: busy(client) == 2)
    refused = ask(client, "SELECT 1")
    leaving.set()
    for thread in threads:
        thread.join()
    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "5"
    wait_for(lambda: busy(client) == 0)
    assert ask(client, "SELECT 1").json()["rows"] == [[1]]


def test_killed_worker_is_replaced(api: ApiProcess, client: httpx.Client) -> None:
    assert api.process is not None
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, client, ENDLESS)
        with api.client() as other:
            wait_for(lambda: busy(other) == 1)
        for child in psutil.Process(api.process.pid).children():
            if "lakehouse.adapters.sql_worker" in child.cmdline():
                os.kill(child.pid, signal.SIGKILL)
        answer = asked.result()
    assert answer.status_code == 503
    assert "process ended" in answer.json()["detail"]
    for _ in range(3):
        assert rows(client, "SELECT 1") == [[1]]


def test_many_queries_at_once_all_answer(api: ApiProcess, client: httpx.Client) -> None:
    ingest(client, "crowd", "a\n" + "\n".join(str(n) for n in range(1000)) + "\n")

    def work(number: int) -> list[list[Any]]:
        return rows(client, f"SELECT sum(a) + {number} FROM crowd")

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(work, range(200)))
    # HUGEINT is text in JSON.
    assert answers == [[[str(499_500 + number)]] for number in range(200)]


def test_store_that_goes_away_is_503_and_comes_back(tmp_path: Path) -> None:
    with (
        store_server(tmp_path / "store") as server,
        api_process(server.objects(), tmp_path / "api") as process,
        process.client() as client,
    ):
        ingest(client, "people", "a\n" + "\n".join(str(n) for n in range(10_000)) + "\n")
        server.stop(how=signal.SIGKILL)
        answer = ask(client, "SELECT sum(a) FROM people")
        assert answer.status_code == 503, answer.text
        server.start()
        wait_for(lambda: ask(client, "SELECT sum(a) FROM people").status_code == 200)


def test_workers_hold_keys_that_cannot_write(store_process: StoreServer) -> None:
    from lakehouse.adapters.seaweedfs import load_or_make_credentials

    keys = load_or_make_credentials(store_process.embedded)
    import boto3
    from botocore.exceptions import ClientError

    reader = boto3.client(
        "s3",
        endpoint_url=store_process.embedded.endpoint,
        aws_access_key_id=keys["read_access_key_id"],
        aws_secret_access_key=keys["read_secret_access_key"],
        region_name="us-east-1",
    )
    bucket = store_process.embedded.bucket
    with pytest.raises(ClientError, match="AccessDenied"):
        reader.put_object(Bucket=bucket, Key="datasets/x", Body=b"x")
    with pytest.raises(ClientError, match="AccessDenied"):
        reader.delete_object(Bucket=bucket, Key="datasets/x")
