"""SQL filters over corpora of chunks, over HTTP on the real store: held in memory, and served by Lance's own index."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio.to_thread
import httpx
import pytest

from lakehouse.adapters.corpus_context import open_builder
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.retrieval.corpus import CorpusDeclaration
from tests.api import RunningApi, api_settings
from tests.corpora import CorpusDesk, declare, row
from tests.retrieving import add_notes, ids, retrieval_api
from tests.servers import StoreServer
from tests.tokens import write_tokens_file

pytestmark = pytest.mark.anyio
TOPICS = ("welding steel at night", "nursing in a ward", "driving a yellow forklift")
CHUNKED: dict[str, Any] = {"chunking": {"max_words": 8}, "text": "{title}", "embedder": "static"}
ROWS = 30
CHUNKS = 5


MEMORY_BYTES = {"memory": None, "lance": 1_000}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def key(n: int) -> str:
    """Every third id has a `#` of its own, as a chunk's has."""
    return f"n{n}#1" if n % 3 == 0 else f"n{n}"


def title(n: int) -> str:
    return " ".join(f"{TOPICS[n % 3]} note {n} part {part}." for part in range(CHUNKS))


def declarations(folder: Path) -> list[CorpusDeclaration]:
    (folder / "loose.jsonl").write_text(json.dumps({"id": "f1", "title": title(1)}) + "\n")
    loose = {"source": {"files": ["loose.jsonl"]}, "metadata": []}
    return [
        declare(name="long", metadata=["weight", "email"], **CHUNKED),
        declare(name="plain", embedder="static", text="{title}", metadata=["weight"]),
        declare(name="loose", folder=folder, **CHUNKED | loose),
    ]


async def build(objects: S3ObjectStore, folder: Path, *declared: CorpusDeclaration) -> None:
    folder.mkdir(exist_ok=True)
    builder = open_builder(api_settings(objects, folder))
    for declaration in declared or declarations(folder):
        await anyio.to_thread.run_sync(builder.build, declaration)


@asynccontextmanager
async def made(objects: S3ObjectStore, folder: Path, kind: str) -> AsyncIterator[RunningApi]:
    """An API over the corpora, which are built in an empty bucket."""
    desk = CorpusDesk(objects, folder)
    desk.put_rows([row(n, id=key(n), title=title(n), weight=float(n)) for n in range(ROWS)])
    await build(objects, folder / "build")
    tokens = write_tokens_file(folder / "tokens.json", reader=["read"])
    settings = {"index_memory_bytes": MEMORY_BYTES[kind], "tokens_file": tokens, "memory_poll_s": 0.05}
    async with retrieval_api(objects, folder / "data", **settings) as running:
        yield running


@pytest.fixture(scope="module", params=MEMORY_BYTES)
async def api(
    request: Any, store_process: StoreServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningApi]:
    """One for all tests that change no corpus of it."""
    bucket = f"chunk-filter-{request.param}"
    async with made(store_process.objects(bucket=bucket), tmp_path_factory.mktemp(bucket), request.param) as running:
        yield running
    store_process.drop_bucket(bucket)


@pytest.fixture
async def client(api: RunningApi) -> AsyncIterator[httpx.AsyncClient]:
    async with api.client() as opened:
        yield opened


@pytest.fixture(params=MEMORY_BYTES)
async def own_client(request: Any, objects: S3ObjectStore, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Of an API that no other test has."""
    async with made(objects, tmp_path, request.param) as running, running.client() as opened:
        yield opened


async def ask(client: httpx.AsyncClient, sql: str, *corpora: str, **more: Any) -> httpx.Response:
    body = {"query": "forklift", "corpora": corpora or ["long"], "sql_filter": sql, "use_playbook": False, **more}
    return await client.post("/v1/matrix/search", json=body)


async def found(client: httpx.AsyncClient, sql: str, *corpora: str, **more: Any) -> list[str]:
    answer = await ask(client, sql, *corpora, **more)
    assert answer.status_code == 200, answer.text
    return ids(answer.json())


@pytest.mark.parametrize("mode", ["vector", "hybrid"])
async def test_chunks_of_the_rows_that_pass_come_back_and_no_others(client: httpx.AsyncClient, mode: str) -> None:
    # Welding and nursing, as far from the query as there is: the filter holds before retrieval.
    assert set(await found(client, "weight IN (0, 1)", k=100, mode=mode)) == {
        f"{key(n)}#{chunk}" for n in (0, 1) for chunk in range(CHUNKS)
    }
    assert len(await found(client, "weight % 3 = 0", k=40, mode=mode)) == 40
    assert await found(client, "weight > 1000", mode=mode) == []


async def test_other_filters_hold_as_well(client: httpx.AsyncClient) -> None:
    more = {"filter": {"chunk": {"lt": 2}}, "exclude_ids": [f"{key(3)}#0"], "k": 100, "mode": "vector"}
    assert set(await found(client, "id IN ('n3#1', 'n4')", **more)) == {"n3#1#1", "n4#0", "n4#1"}


async def test_one_corpus_of_chunks_and_one_of_rows_are_searched_together(client: httpx.AsyncClient) -> None:
    answer = await ask(client, "weight IN (2, 3)", "long", "plain", k=100, mode="vector")
    both = {(r["corpus"], r["id"]) for r in answer.json()["results"]}
    expected = {("long", f"{key(n)}#{chunk}") for n in (2, 3) for chunk in range(CHUNKS)}
    assert both == expected | {("plain", key(2)), ("plain", key(3))}


async def test_personal_columns_read_as_their_mask(api: RunningApi, client: httpx.AsyncClient) -> None:
    assert len(await found(client, "email = 'n4@example.org'", k=100)) == CHUNKS
    async with api.client(token="reader") as reader:
        assert await found(reader, "email = 'n4@example.org'", k=100) == []
        assert len(await found(reader, "weight = 4", k=100)) == CHUNKS


async def test_rows_that_were_added_are_of_the_source_that_their_id_names(own_client: httpx.AsyncClient) -> None:
    items = [{"id": "extra", "text": "forklift"}, {"id": "n4#99", "text": "forklift"}]
    assert (await own_client.post("/v1/vectors/index/long/add", json={"items": items})).status_code == 200
    everything = await found(own_client, "weight >= 0", k=200, mode="vector")
    assert len(everything) == ROWS * CHUNKS + 1  # `n4#99` says that it is of n4
    assert "extra" not in everything
    assert "n4#99" in everything


async def test_expression_and_corpus_that_do_not_fit_are_refused(client: httpx.AsyncClient) -> None:
    await add_notes(client)
    cases = [
        (("loose",), "true", 400, "'loose' was not made of one"),
        (("long", "loose"), "true", 400, "'loose' was not made of one"),
        (("notes",), "true", 400, "'notes' was not made of one"),
        (("long",), "weight", 400, "true or false"),
        (("long",), "getenv('HOME') = '/root'", 403, "getenv"),
    ]
    for corpora, sql, status, named in cases:
        answer = await ask(client, sql, *corpora)
        assert (corpora, sql, answer.status_code) == (corpora, sql, status)
        assert named in answer.json()["detail"]


async def test_corpus_of_an_earlier_build_says_what_to_do_and_the_next_build_does_it(
    objects: S3ObjectStore, own_client: httpx.AsyncClient, tmp_path: Path
) -> None:
    table = CorpusDesk(objects, tmp_path).table("long")
    before = dict(table.info)
    table.change_info(lambda info: {**info, "dataset": None, "id_column": None})  # as it was written once
    with anyio.fail_after(60):
        while (answer := await ask(own_client, "weight = 4")).status_code == 200:
            await anyio.sleep(0.05)
    assert answer.status_code == 400
    assert "lakehouse corpus build long" in answer.json()["detail"]
    await build(objects, tmp_path / "again", declare(name="long", metadata=["weight", "email"], **CHUNKED))
    table.refresh()
    assert (table.info["dataset"], table.info["id_column"]) == (before["dataset"], before["id_column"])
    with anyio.fail_after(60):
        while (answer := await ask(own_client, "weight = 4", k=100)).status_code == 400:
            await anyio.sleep(0.05)
    assert len(answer.json()["results"]) == CHUNKS


async def test_corpus_that_became_empty_finds_nothing(
    objects: S3ObjectStore, own_client: httpx.AsyncClient, tmp_path: Path
) -> None:
    CorpusDesk(objects, tmp_path).put_rows([])
    await build(objects, tmp_path / "again", declare(name="long", metadata=["weight", "email"], **CHUNKED))
    with anyio.fail_after(60):
        while await found(own_client, "true", mode="vector"):
            await anyio.sleep(0.05)
