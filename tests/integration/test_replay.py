"""Replays over a real store: arms side by side, as of a cut, killed and gone on with, on the real embedded model."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lakehouse.adapters.connect import connect_store
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.adapters.replay_batches import Replays
from lakehouse.adapters.replay_lease import held
from lakehouse.errors import BadInput, Conflict, Gone, LakehouseError, NotFound
from lakehouse.replay.arms import Arm
from lakehouse.replay.cut import Cut, parse_cut
from lakehouse.replay.row import is_done
from lakehouse.settings import Settings, load_settings
from lakehouse.storage.objects import list_all
from tests.api import RunningApi, api_environ, running_api
from tests.fakes.chat_endpoint import ChatEndpointServer, Reply, chat_endpoint, completion
from tests.forked import context
from tests.replaying import (
    BOTH,
    COLD,
    REAL,
    add_memory,
    asked,
    fill_lake,
    raw_lines_of,
    replay_settings,
    rows_of,
    tasks,
)
from tests.servers import StoreServer

pytestmark = pytest.mark.anyio
RIGHT = [f"It is {name} (id {100 + n})." for n, name in enumerate(("Maria Lopez", "James Carter", "Aisha Khan"))]

OLD = "0000000000000001-00000000-0000-7000-8000-000000000000-000000000001-0000"
NEW = "7fffffffffffffff-00000000-0000-7000-8000-000000000000-000000000001-0000"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def store(store_process: StoreServer) -> Iterator[S3ObjectStore]:
    yield store_process.objects(bucket="replays")
    store_process.drop_bucket("replays")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[ChatEndpointServer]:
    with chat_endpoint() as server:
        yield server


@pytest.fixture(scope="module")
def settings(store: S3ObjectStore, endpoint: ChatEndpointServer, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return replay_settings(store, tmp_path_factory.mktemp("replays"), endpoint.url)


@pytest.fixture(scope="module")
async def api(settings: Settings) -> AsyncIterator[RunningApi]:
    async with running_api(settings) as running:
        await fill_lake(running)
        yield running


@pytest.fixture
def replays(api: RunningApi, settings: Settings, store: S3ObjectStore) -> Replays:
    return Replays(settings, store)


@pytest.fixture(autouse=True)
def fresh(endpoint: ChatEndpointServer) -> None:
    endpoint.replies = [Reply(document=completion(RIGHT[0]))]
    endpoint.by_model.clear()
    endpoint.requests.clear()


def log_keys(store: S3ObjectStore) -> list[tuple[str, str]]:
    return [(info.key, info.etag) for info in list_all(store, "log/")]


async def test_arms_are_asked_side_by_side_and_told(
    replays: Replays, store: S3ObjectStore, endpoint: ChatEndpointServer, api: RunningApi
) -> None:
    before, memory = len(raw_lines_of(store)), log_keys(store)
    endpoint.replies = [Reply(document=completion(text)) for text in ("Nobody.", RIGHT[0], "Nobody.", RIGHT[1])]
    done = await replays.begin(asked(tasks(2)))
    assert done.verdict is not None
    rows = rows_of(replays, done)
    assert [(r["task_id"], r["arm"], r["match"]["exact"]) for r in rows] == [
        ("t-0", "cold", False), ("t-0", "both", True), ("t-1", "cold", False), ("t-1", "both", True),
    ]  # fmt: skip
    assert done.verdict["facts"]["mean"] == 1
    assert (done.verdict["verdict"], done.verdict["rule"]) == ("hold", "hold.too_few_tasks")
    assert {r["schema"] for r in rows} == {"replay_run.v1"}
    assert all(r["as_of"]["tables"]["crew"] and r["as_of"]["logs"]["playbooks"] for r in rows)
    assert all(r["config_version"].startswith("answer/0~") for r in rows)
    assert rows[1]["retrieved"][0]["id"] == "100"
    assert rows[1]["retrieved"][0]["score"] is not None
    assert {request["seed"] for request in endpoint.requests} == {0}
    # Its lines are those of replay_runs alone; memory, searches and chats know nothing of it.
    new = raw_lines_of(store)[before:]
    assert [(line["stream"], line["task_id"], line["arm"]) for line in new] == [
        ("replay_runs", r["task_id"], r["arm"]) for r in rows
    ]
    assert log_keys(store) == memory
    text = store.get(f"replay/{done.batch.batch_id}/verdict.md").body.decode()
    assert "| both |" in text
    assert "hold.too_few_tasks" in text


async def test_pathways_are_shown_in_their_arm_alone(replays: Replays, endpoint: ChatEndpointServer) -> None:
    some = [task for task in tasks(3) if task.task_id == "t-2"]
    done = await replays.begin(asked(some))
    cold, both = rows_of(replays, done)
    assert (cold["pathway_ids"], cold["playbook_ids"]) == ([], [])
    assert len(both["pathway_ids"]) == 1
    assert len(both["playbook_ids"]) == 1
    assert "Notes on earlier tasks" not in endpoint.requests[0]["messages"][1]["content"]
    assert "Notes on earlier tasks" in endpoint.requests[1]["messages"][1]["content"]


async def test_provider_that_dies_leaves_rows_with_errors_and_the_batch_goes_on_later(
    replays: Replays, endpoint: ChatEndpointServer, store: S3ObjectStore
) -> None:
    endpoint.replies = [Reply(document=completion(RIGHT[0])), Reply(status=500, document={})]
    done = await replays.begin(asked(tasks(3)))
    assert done.verdict is None
    assert done.report is not None
    assert (done.report.answered, done.report.failed) == (1, 3)
    failed = [row for row in rows_of(replays, done) if not is_done(row)]
    assert [row["error"]["status"] for row in failed] == [502, 502, 502]
    with pytest.raises(LakehouseError):
        store.get(f"replay/{done.batch.batch_id}/verdict.json")
    endpoint.replies = [Reply(document=completion(RIGHT[0]))]
    endpoint.requests.clear()
    again = await replays.resume(done.batch.batch_id)
    assert again.verdict is not None
    assert len(endpoint.requests) == 5  # the one that was answered is not paid again
    assert all(is_done(row) for row in rows_of(replays, again))
    mine = [line for line in raw_lines_of(store) if line.get("batch_id") == done.batch.batch_id]
    assert len({line["run_id"] for line in mine}) == len(mine) == 6


async def test_some_failures_are_told_and_the_batch_ends(replays: Replays, endpoint: ChatEndpointServer) -> None:
    good, bad = Reply(document=completion(RIGHT[0])), Reply(status=500, document={})
    endpoint.replies = [bad, good, bad, good, good]
    done = await replays.begin(asked(tasks(3)))
    assert done.verdict is not None
    assert [row["error"] is None for row in rows_of(replays, done)] == [False, True, False, True, True, True]
    assert next(arm for arm in done.verdict["arms"] if arm["arm"] == "cold")["failed"] == 2
    endpoint.requests.clear()
    assert (await replays.resume(done.batch.batch_id)).report is None  # it has its verdict
    assert endpoint.requests == []


async def test_cut_is_read_whatever_is_written_later(
    replays: Replays, api: RunningApi, endpoint: ChatEndpointServer
) -> None:
    first = await replays.begin(asked(tasks(1)))
    async with api.client() as client:
        late = {"id": "200", "text": "Electrician in Columbus, Ohio", "metadata": {"name": "Late Comer", "state": "OH"}}
        assert (await client.post("/v1/vectors/index/crew/add", json={"items": [late]})).status_code == 200
    await add_memory(api, "Who is a electrician in Ohio?", "103")
    then = await replays.begin(asked(tasks(1), as_of=first.batch.cut))
    now = await replays.begin(asked(tasks(1)))
    for one, other in zip(rows_of(replays, first), rows_of(replays, then), strict=True):
        for field in ("retrieved", "playbook_ids", "pathway_ids", "as_of", "bundle_tokens"):
            assert one[field] == other[field], field
    assert now.batch.cut != then.batch.cut
    assert rows_of(replays, now)[1]["retrieved"] != rows_of(replays, then)[1]["retrieved"]
    assert now.batch.entries["playbooks"] == then.batch.entries["playbooks"] + 1
    prompts = [request["messages"][1]["content"] for request in endpoint.requests]
    assert prompts[:2] == prompts[2:4] != prompts[4:]
    assert "Late Comer" not in "".join(prompts[:4])


@pytest.mark.parametrize(
    ("change", "error", "part"),
    [
        ({"tables": {"crew": 10**9}}, BadInput, "the newest is"),
        ({"tables": {"crew": "000009.000000000001"}}, BadInput, "the newest is"),
        ({"tables": {}}, BadInput, "no version of 'crew'"),
        ({"logs": {"playbooks": OLD}}, Gone, "oldest"),
        ({"logs": {"pathways": NEW}}, BadInput, "newest"),
    ],
)  # fmt: skip
async def test_cut_that_cannot_be_had_is_refused_before_anything_is_asked(
    replays: Replays, endpoint: ChatEndpointServer, store: S3ObjectStore, change: Any, error: type[Exception], part: str
) -> None:
    good = (await replays.begin(asked(tasks(1)))).batch.cut.to_document()
    batches, requests = replays.store.batches(), len(endpoint.requests)
    wrong = {**good, **{name: {**good[name], **value} if value else {} for name, value in change.items()}}
    with pytest.raises(error, match=part):
        await replays.begin(asked(tasks(1), as_of=parse_cut(wrong)))
    assert (replays.store.batches(), len(endpoint.requests)) == (batches, requests)


async def test_empty_memory_can_be_asked_for(replays: Replays) -> None:
    now = (await replays.begin(asked(tasks(1)))).batch
    empty = Cut(now.cut.datasets, now.cut.tables, {"playbooks": "", "pathways": ""})
    done = await replays.begin(asked(tasks(3), as_of=empty))
    assert done.batch.entries == {"playbooks": 0, "pathways": 0}
    assert all(not row["pathway_ids"] and not row["playbook_ids"] for row in rows_of(replays, done))


async def test_unknown_parts_are_refused_before_anything_is_written(replays: Replays) -> None:
    batches = replays.store.batches()
    for arms, error in (
        ((COLD, Arm("x", answer={"model": "gemini/pro"})), NotFound),
        ((COLD, Arm("x", answer={"model": "kimi/kimi-k2"})), BadInput),
        ((COLD, Arm("x", answer={"k": 0})), BadInput),
    ):
        with pytest.raises(error):
            await replays.begin(asked(tasks(1), *arms))
    assert replays.store.batches() == batches


async def test_of_two_at_once_one_wins_and_the_other_is_told(
    replays: Replays, endpoint: ChatEndpointServer, store: S3ObjectStore, settings: Settings
) -> None:
    endpoint.replies = [Reply(status=500, document={})]
    stopped = await replays.begin(asked(tasks(3)))
    endpoint.replies = [Reply(document=completion(RIGHT[0]))]
    endpoint.requests.clear()
    patient = Replays(settings.model_copy(update={"replay_lease_s": 60}), store)
    async with held(store, stopped.batch.batch_id, lease_s=60) as holding:
        second = asyncio.create_task(patient.resume(stopped.batch.batch_id))
        while not second.done():
            await holding.renew()  # as it does by itself, more often
            await asyncio.sleep(0.05)
        with pytest.raises(Conflict, match="another process is at batch"):
            await second
    assert endpoint.requests == []
    assert (await replays.resume(stopped.batch.batch_id)).verdict is not None


def _begin(environ: dict[str, str]) -> None:
    settings = load_settings(environ, env_file=None)
    asyncio.run(Replays(settings, connect_store(settings)).begin(asked(tasks(8), batch_id="killed")))


async def test_killed_replay_goes_on_and_pays_nothing_twice(
    replays: Replays, endpoint: ChatEndpointServer, store: S3ObjectStore, settings: Settings, tmp_path: Path
) -> None:
    given = {
        "chat_providers": f'{{"ollama": {{"url": "{endpoint.url}"}}}}', "chat_attempts": 1, "memory_poll_s": 0.05,
        "default_embedder": "static", "playbook_embedder": "static", "pathway_embedder": "static", "replay_lease_s": 2,
    }  # fmt: skip
    answers = list(endpoint.replies)
    endpoint.replies = [*answers[-1:] * 6, Reply(hang=True)]  # it is killed while it waits for the seventh
    child = context().Process(target=_begin, args=(api_environ(store, settings.data_dir, **given),))
    child.start()
    deadline = time.monotonic() + 200
    while len(replays.store.done("killed")) < 5 and child.is_alive() and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    child.kill()
    child.join(60)
    endpoint.replies = answers
    paid = len(endpoint.requests)
    kept = replays.store.done("killed")
    assert 5 <= len(kept) < 16
    assert paid - len(kept) <= 1  # what was on its way when it was killed
    done = await replays.resume("killed")
    assert done.verdict is not None
    assert len(endpoint.requests) - paid == 16 - len(kept)
    mine = [line for line in raw_lines_of(store) if line.get("batch_id") == "killed"]
    assert len({line["run_id"] for line in mine}) == len(mine) == 16


async def test_memory_that_has_changed_since_is_told(
    replays: Replays, endpoint: ChatEndpointServer, store: S3ObjectStore
) -> None:
    endpoint.replies = [Reply(status=500, document={})]
    stopped = (await replays.begin(asked(tasks(3)))).batch
    key = f"replay/{stopped.batch_id}/batch.json"
    body = store.get(key).body
    entries = stopped.entries["playbooks"]
    store.put(key, body.replace(f'"playbooks": {entries}'.encode(), f'"playbooks": {entries + 1}'.encode()))
    with pytest.raises(Gone, match="begin another batch"):
        await replays.resume(stopped.batch_id)


async def test_the_same_input_gives_the_same_answer_twice_on_the_real_model(replays: Replays) -> None:
    few = [replace(task, max_tokens=6, budget_tokens=160) for task in tasks(2)]
    # Without retrieval there is nothing to say, and no model is asked.
    done = await replays.begin(asked(few[:1], BOTH, Arm("none", retrieval=False), model=REAL))
    first = rows_of(replays, done)
    assert (first[0]["provider"], first[0]["completion_tokens"] > 0) == ("embedded", True)
    assert (first[1]["model"], first[1]["abstained"]) == (None, True)
    # Another process would load the model anew; so does this, and asks something else in between.
    async with replays.opened(done.batch, few) as loop:
        await loop.ask(few[1], done.batch.arm("both"))
        again = [await loop.ask(few[0], done.batch.arm(row["arm"])) for row in first]
    for row, answer in zip(first, again, strict=True):
        assert row["answer"] == answer.answer
        assert (row["prompt_tokens"], row["completion_tokens"]) == (
            answer.usage.prompt_tokens, answer.usage.completion_tokens,
        )  # fmt: skip
        assert [one["id"] for one in row["retrieved"]] == [one.id for one in answer.retrieved]
