"""A lake for replays: a small corpus, memory with playbooks and a trace, and tasks over them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.adapters.replay_batches import Asked, Done, Replays
from lakehouse.replay.arms import Arm
from lakehouse.replay.task import ReplayTask
from lakehouse.settings import Settings
from lakehouse.storage.objects import list_all
from tests.api import RunningApi, api_settings

ROLES = ("Electrician", "Forklift Operator", "Welder", "CNC Machinist")
NAMES = ("Maria Lopez", "James Carter", "Aisha Khan", "Peter Novak")
COLD = Arm("cold", playbook=False)
BOTH = Arm("both", playbook=True, pathway=True)
REAL = "smollm2-135m-instruct"


def replay_settings(store: S3ObjectStore, folder: Path, url: str, **settings: object) -> Settings:
    return api_settings(
        store, folder, chat_providers=json.dumps({"ollama": {"url": url}}), chat_attempts=1, memory_poll_s=0.05,
        default_embedder="static", playbook_embedder="static", pathway_embedder="static",
        **{"replay_lease_s": 2, "replay_stop_after": 3, **settings},
    )  # fmt: skip


async def fill_lake(api: RunningApi) -> None:
    """A corpus of four, one judged search, one trace."""
    async with api.client() as client:
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
        await add_memory(api, "Who welds in Ohio?", "102")


async def add_memory(api: RunningApi, query: str, answer_id: str) -> None:
    async with api.client() as client:
        record = {"query": query, "answer_id": answer_id, "answer_corpus": "crew", "score": 1}
        recorded = await client.post("/v1/matrix/playbooks/record", json=record)
        assert recorded.status_code in {200, 201}, recorded.text
        trace = await client.post("/v1/pathway/add", json={"content": {"task": query, "answer": f"id {answer_id}"}})
        assert trace.status_code == 200, trace.text


def tasks(count: int = 3) -> list[ReplayTask]:
    """Questions about the crew, each with its right answer."""
    known = [
        ReplayTask(f"t-{n}", f"Who is a {role.lower()} in Ohio?", ("crew",), {"ids": [str(100 + n)]})
        for n, role in enumerate(ROLES)
    ]
    return [
        ReplayTask(f"t-{n}", f"{known[n % 4].question}{' Please.' * (n // 4)}", ("crew",), known[n % 4].expected)
        for n in range(count)
    ]


def asked(some: Sequence[ReplayTask], *arms: Arm, model: str = "ollama/m", **changes: Any) -> Asked:
    """A batch of these tasks; every arm asks one model unless it names another."""
    chosen = [
        Arm(a.name, a.retrieval, a.playbook, a.pathway, {"model": model, **a.answer}, a.search)
        for a in arms or (COLD, BOTH)
    ]
    return Asked(some, chosen, changes.pop("baseline", chosen[0].name), **changes)


def rows_of(replays: Replays, done: Done) -> list[dict[str, Any]]:
    return list(replays.store.rows(done.batch))


def raw_lines_of(store: S3ObjectStore) -> list[dict[str, Any]]:
    """All raw lines there are, with their stream."""
    lines = []
    for info in list_all(store, "raw/"):
        stream = info.key.split("/")[1]
        lines += [{"stream": stream, **orjson.loads(line)} for line in store.get(info.key).body.splitlines()]
    return lines


def write_tasks(path: Path, some: Sequence[ReplayTask]) -> Path:
    path.write_bytes(b"".join(orjson.dumps(task.to_document(), option=orjson.OPT_APPEND_NEWLINE) for task in some))
    return path
