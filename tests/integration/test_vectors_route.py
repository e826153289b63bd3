"""`/v1/vectors/index` on the real store: shapes, adding, replacing, deleting, searching, every refusal."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import numpy as np
import pyarrow as pa
import pytest

from lakehouse.adapters.objects import S3ObjectStore
from tests.api import RunningApi
from tests.retrieving import NOTES, add_notes, retrieval_api

pytestmark = pytest.mark.anyio
INDEX = "/v1/vectors/index"


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
        yield opened


async def make(client: httpx.AsyncClient, **shape: object) -> httpx.Response:
    return await client.post(INDEX, json={"name": "small", "dimension": 3, "embedder": "static", **shape})


def nested(levels: int) -> dict[str, object]:
    document: dict[str, object] = {"leaf": 1}
    for _ in range(levels - 1):
        document = {"in": document}
    return document


async def add_arrow(client: httpx.AsyncClient, **columns: object) -> httpx.Response:
    table = pa.table(columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    headers = {"Content-Type": "application/vnd.apache.arrow.stream"}
    return await client.post(f"{INDEX}/small/add", content=sink.getvalue().to_pybytes(), headers=headers)


async def add(client: httpx.AsyncClient, *items: object, name: str = "small") -> httpx.Response:
    return await client.post(f"{INDEX}/{name}/add", json={"items": list(items)})


async def search(client: httpx.AsyncClient, name: str = "small", **request: object) -> httpx.Response:
    return await client.post(f"{INDEX}/{name}/search", json=request)


async def found(client: httpx.AsyncClient, **request: object) -> list[str]:
    answer = await search(client, **request)
    assert answer.status_code == 200, answer.text
    return [result["id"] for result in answer.json()["results"]]


async def test_index_is_made_listed_read_and_dropped(client: httpx.AsyncClient) -> None:
    assert (await make(client)).status_code == 201
    assert (await make(client)).status_code == 200
    other = await make(client, distance="l2")
    assert other.status_code == 409
    assert other.json()["detail"] == (
        "index 'small' exists with another shape (distance cosine, not l2);"
        " take another name, or drop it first (DELETE /v1/vectors/index/small)"
    )
    [listed] = (await client.get(INDEX)).json()["indexes"]
    assert (listed["name"], listed["dimension"], listed["distance"], listed["rows"]) == ("small", 3, "cosine", 0)
    assert (await client.get(f"{INDEX}/small")).json() == listed
    assert (await client.delete(f"{INDEX}/small")).status_code == 204
    assert (await client.get(f"{INDEX}/small")).status_code == 404
    assert (await client.delete(f"{INDEX}/small")).status_code == 404


async def test_name_that_no_index_may_have_is_refused(client: httpx.AsyncClient) -> None:
    for name in ("Bad", "", "1a", "a" * 64, "playbooks", "evidence", "a/b"):
        assert (name, (await make(client, name=name)).status_code) == (name, 400)


async def test_unknown_embedder_is_named(client: httpx.AsyncClient) -> None:
    answer = await make(client, name="other", embedder="magic", dimension=None)
    assert (answer.status_code, "magic" in answer.json()["detail"]) == (400, True)


@pytest.mark.parametrize(
    ("distance", "query", "order", "distances"),
    [
        ("cosine", [1, 0, 0], ["x", "xy", "y"], [0.0, 1 - 1 / math.sqrt(2), 1.0]),
        ("l2", [1, 0, 0], ["x", "xy", "y"], [1.0, 4.0, 5.0]),
        ("dot", [1, 1, 0], ["xy", "x", "y"], [-6.0, -2.0, -2.0]),
    ],
)
async def test_distances_are_those_of_the_contract(
    client: httpx.AsyncClient, distance: str, query: list[float], order: list[str], distances: list[float]
) -> None:
    await make(client, distance=distance)
    vectors = {"x": [2, 0, 0], "y": [0, 2, 0], "xy": [3, 3, 0] if distance != "l2" else [1, 2, 0]}
    await add(client, *({"id": i, "vector": v} for i, v in vectors.items()))
    results = (await search(client, vector=query, k=3)).json()["results"]
    assert [r["distance"] for r in results] == pytest.approx(distances, abs=1e-5)
    assert sorted(r["id"] for r in results) == sorted(order)
    assert results[0]["id"] == order[0]
    assert [r["score"] for r in results] == sorted((r["score"] for r in results), reverse=True)


async def test_same_id_again_replaces_and_deleted_is_never_found(client: httpx.AsyncClient) -> None:
    await make(client)
    await add(client, {"id": "x", "vector": [1, 0, 0], "metadata": {"n": 1}}, {"id": "y", "vector": [0, 1, 0]})
    await add(client, {"id": "x", "vector": [0, 0, 1], "metadata": {"n": 2}})
    results = (await search(client, vector=[0, 0, 1])).json()["results"]
    assert [(r["id"], r["metadata"]) for r in results] == [("x", {"n": 2}), ("y", {})]
    deleted = await client.post(f"{INDEX}/small/delete", json={"ids": ["x", "nobody"]})
    assert (deleted.status_code, deleted.json()["deleted"]) == (200, 1)
    assert await found(client, vector=[0, 0, 1]) == ["y"]


async def test_texts_are_embedded_by_the_index(client: httpx.AsyncClient) -> None:
    await add_notes(client)
    assert (await found(client, name="notes", text="welding at night"))[0] == "a"
    assert await found(client, name="notes", text="welding at night", filter={"state": "PA"}) == ["b"]


async def test_item_that_comes_twice_in_one_request_counts_once(client: httpx.AsyncClient) -> None:
    await make(client)
    twice = await add(client, {"id": "x", "vector": [1, 0, 0], "metadata": {"n": 1}},
                      {"id": "x", "vector": [0, 1, 0], "metadata": {"n": 2}})  # fmt: skip
    assert twice.json()["added"] == 1
    assert [r["metadata"] for r in (await search(client, vector=[0, 1, 0])).json()["results"]] == [{"n": 2}]


async def test_index_of_foreign_vectors_says_why_it_takes_no_text(client: httpx.AsyncClient) -> None:
    await make(client)
    for answer in (await add(client, {"id": "t", "text": "welder"}), await search(client, text="welder")):
        assert answer.status_code == 400
        assert "3 dimensions, its embedder 'static' gives 256: send vectors" in answer.json()["detail"]
    assert (await add(client, {"id": "v", "vector": [1, 0, 0]})).status_code == 200


async def test_dimension_is_a_whole_number(client: httpx.AsyncClient) -> None:
    for dimension in (True, "3", 3.5, 0, 8193):
        answer = await make(client, dimension=dimension)
        assert (dimension, answer.status_code, "dimension" in answer.json()["detail"]) == (dimension, 400, True)


async def test_arrow_is_taken_as_well(client: httpx.AsyncClient) -> None:
    await make(client)
    vectors = np.eye(3, dtype=np.float32)
    table = pa.table(
        {
            "id": ["x", "y", "z"],
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), 3),
            "metadata": ['{"n": 1}', "{}", "{}"],
        }
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    headers = {"Content-Type": "application/vnd.apache.arrow.stream"}
    body = sink.getvalue().to_pybytes()
    added = await client.post(f"{INDEX}/small/add", content=body, headers=headers)
    assert (added.status_code, added.json()["added"]) == (200, 3)
    assert (await found(client, vector=[0, 1, 0]))[0] == "y"
    file = pa.BufferOutputStream()
    with pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table.slice(2))
    whole = file.getvalue().to_pybytes()
    as_file = {"Content-Type": "application/vnd.apache.arrow.file"}
    assert (await client.post(f"{INDEX}/small/add", content=whole, headers=as_file)).json()["added"] == 1
    cut = await client.post(f"{INDEX}/small/add", content=whole[:-9], headers=as_file)
    assert (cut.status_code, "Arrow" in cut.json()["detail"]) == (400, True)
    broken = await client.post(f"{INDEX}/small/add", content=body[:40], headers=headers)
    assert (broken.status_code, "Arrow" in broken.json()["detail"]) == (400, True)


WRONG_ITEMS: list[tuple[object, str]] = [
    ({"id": "w", "vector": [1, 2]}, r"items[0] ('w') has 2 dimensions, the index has 3"),
    ({"id": "w", "vector": [0, 0, 0]}, "zero vector"),
    ({"id": "w", "vector": [1e39, 0, 0]}, "not finite"),
    ({"id": "w", "vector": [1, None, 0]}, "float"),
    ({"id": "", "vector": [1, 0, 0]}, "length >= 1"),
    ({"id": "w"}, "a vector or a text"),
    ({"id": "w", "text": "  "}, "blank text"),
    ({"id": "w", "vector": [1, 0, 0], "text": "both"}, "not both"),
    ({"id": "w", "vector": [1, 0, 0], "metadata": 3}, "object"),
    ({"id": "w", "vector": [1, 0, 0], "more": 1}, "more"),
    ({"id": "w", "vector": [1, 0, 0], "metadata": {"big": 10**29}}, "items[0] ('w') has metadata that is not JSON"),
    ({"id": "w", "vector": [1, 0, 0], "metadata": nested(101)}, "items[0] ('w') has metadata nested deeper than 100"),
    ({"id": "w", "vector": [1, 0, 0], "metadata": nested(300)}, "items[0] ('w') has metadata nested deeper than 100"),
    ({"id": "w", "vector": [1, 0, 0], "metadata": nested(900)}, "items[0] ('w') has metadata nested deeper than 100"),
]


async def test_wrong_item_is_refused_and_nothing_is_added(client: httpx.AsyncClient) -> None:
    await make(client)
    for item, named in WRONG_ITEMS:
        answer = await add(client, item, {"id": "good", "vector": [1, 0, 0]})
        assert (item, answer.status_code) == (item, 400)
        assert named in answer.json()["detail"]
    assert await found(client, vector=[1, 0, 0]) == []


async def test_metadata_may_be_nested_as_deep_one_way_as_the_other(client: httpx.AsyncClient) -> None:
    await make(client)
    assert (await add(client, {"id": "j", "vector": [1, 0, 0], "metadata": nested(100)})).status_code == 200
    for levels, status in ((100, 200), (101, 400), (1000, 400), (5000, 400)):
        text = '{"in":' * (levels - 1) + '{"leaf":1}' + "}" * (levels - 1)
        added = await add_arrow(client, id=["a"], vector=[[1.0, 0, 0]], metadata=[text])
        assert (levels, added.status_code) == (levels, status)
        assert status == 200 or "items[0] ('a') has metadata nested deeper than 100 levels" in added.json()["detail"]
    wide = json.dumps({"all": [{"n": n} for n in range(500)], "text": "{" * 500})
    assert (await add_arrow(client, id=["a"], vector=[[1.0, 0, 0]], metadata=[wide])).status_code == 200
    answer = await search(client, vector=[1, 0, 0])
    assert {r["id"] for r in json.loads(answer.text)["results"]} == {"a", "j"}


async def test_arrow_row_without_vector_or_text_is_refused(client: httpx.AsyncClient) -> None:
    await make(client, dimension=None)
    vectors = pa.array([[1.0] * 256, None], pa.list_(pa.float32()))
    fixed = pa.array([[1.0] * 256, None], pa.list_(pa.float32(), 256))
    wrong = ({"vector": vectors}, {"vector": fixed}, {"text": pa.array(["x", None], pa.string())},
             {"vector": vectors, "text": pa.array([None, None], pa.string())})  # fmt: skip
    for columns in wrong:
        answer = await add_arrow(client, id=["x", "y"], **columns)
        assert answer.status_code == 400
        assert "items[1] ('y') must have a vector or a text" in answer.json()["detail"]
    blank = await add_arrow(client, id=["x", "y"], text=["x", " "])
    assert (blank.status_code, "items[1] ('y') has a blank text" in blank.json()["detail"]) == (400, True)
    mixed = await add_arrow(client, id=["x", "y"], vector=vectors, text=pa.array([None, "welder"], pa.string()))
    assert (mixed.status_code, mixed.json()["added"]) == (200, 2)


async def test_nan_in_arrow_is_refused_by_item(client: httpx.AsyncClient) -> None:
    await make(client)
    table = pa.table({"id": ["x", "y"], "vector": pa.array([[1.0, 0, 0], [math.nan, 0, 0]], pa.list_(pa.float32()))})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    answer = await client.post(
        f"{INDEX}/small/add",
        content=sink.getvalue().to_pybytes(),
        headers={"Content-Type": "application/vnd.apache.arrow.stream"},
    )
    assert (answer.status_code, "items[1] ('y')" in answer.json()["detail"]) == (400, True)


WRONG_SEARCHES: list[tuple[dict[str, object], str]] = [
    ({"vector": [1, 0]}, "dimensions"),
    ({"vector": [0, 0, 0]}, "is zero"),
    ({}, "vector or text"),
    ({"vector": [1, 0, 0], "text": "x"}, "vector or text"),
    ({"vector": [1, 0, 0], "k": 0}, "$.k"),
    ({"vector": [1, 0, 0], "k": -1}, "$.k"),
    ({"vector": [1, 0, 0], "k": 100_000}, "$.k"),
    ({"vector": [1, 0, 0], "filter": {"nothing": 1}}, "nothing"),
    ({"vector": [1, 0, 0], "filter": {"n": "one"}}, "n"),
    ({"vector": [1, 0, 0], "filter": {"n": {"near": 1}}}, "near"),
    ({"vector": [1, 0, 0], "filter": 3}, "filter must be an object"),
]


async def test_wrong_search_is_refused_by_name(client: httpx.AsyncClient) -> None:
    await make(client)
    await add(client, {"id": "x", "vector": [1, 0, 0], "metadata": {"n": 1}})
    for body, named in WRONG_SEARCHES:
        answer = await client.post(f"{INDEX}/small/search", json=body)
        assert (body, answer.status_code) == (body, 400)
        assert named in answer.json()["detail"]


async def test_unknown_index_is_404_by_name(client: httpx.AsyncClient) -> None:
    for path, body in (("search", {"vector": [1]}), ("add", {"items": NOTES}), ("delete", {"ids": ["a"]})):
        answer = await client.post(f"{INDEX}/nowhere/{path}", json=body)
        assert (answer.status_code, "'nowhere'" in answer.json()["detail"]) == (404, True)


async def test_ten_thousand_excluded_ids_are_never_returned(client: httpx.AsyncClient) -> None:
    await make(client)
    await add(client, {"id": "x", "vector": [1, 0, 0]}, {"id": "y", "vector": [0, 1, 0]})
    excluded = [f"id-{n}" for n in range(10_000)] + ["x"]
    assert await found(client, vector=[1, 0, 0], exclude_ids=excluded) == ["y"]


async def test_empty_index_finds_nothing(client: httpx.AsyncClient) -> None:
    await make(client)
    assert await found(client, vector=[1, 0, 0]) == []
    assert await found(client, vector=[1, 0, 0], filter={"anything": 1}) == []


async def test_read_scope_may_not_write(api: RunningApi, client: httpx.AsyncClient) -> None:
    await make(client)
    async with api.client(token=None) as nobody:
        assert (await nobody.post(f"{INDEX}/small/search", json={"vector": [1, 0, 0]})).status_code == 401
        assert (await nobody.post(INDEX, json={"name": "other"})).status_code == 401


async def test_index_is_whole_after_a_restart(objects: S3ObjectStore, tmp_path: Path) -> None:
    async with retrieval_api(objects, tmp_path / "one") as first, first.client() as client:
        await add_notes(client)
        before = (await search(client, "notes", text="welding")).json()
    async with retrieval_api(objects, tmp_path / "two") as second, second.client() as client:
        assert (await search(client, "notes", text="welding")).json() == before


async def test_other_process_sees_writes_and_deletes(objects: S3ObjectStore, tmp_path: Path) -> None:
    async with (
        retrieval_api(objects, tmp_path / "one") as one,
        retrieval_api(objects, tmp_path / "two") as two,
        one.client() as writer,
        two.client() as reader,
    ):
        revision = await add_notes(writer)
        assert (await found(reader, name="notes", text="welding", min_revision=revision))[0] == "a"
        gone = await writer.post(f"{INDEX}/notes/delete", json={"ids": ["a"]})
        assert "a" not in await found(reader, name="notes", text="welding", min_revision=gone.json()["revision"])
        late = await search(reader, "notes", text="welding", min_revision="notes@999999.000000000000")
        assert (late.status_code, late.headers["retry-after"]) == (503, "1")
        added = (await add(writer, {"id": "n", "text": "night shift"}, name="notes")).json()
        view = await reader.get(f"{INDEX}/notes", params={"min_revision": added["revision"]})
        assert view.json()["revision"] == added["revision"]
