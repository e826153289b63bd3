"""Small indexes for tests of retrieval: an API with the static embedder, an index of some notes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from lakehouse.adapters.objects import S3ObjectStore
from tests.api import RunningApi, api_settings, running_api

NOTES = [
    {
        "id": "a",
        "text": "night shift welder in Toledo",
        "metadata": {"state": "OH", "rate": 31, "tags": ["MIG", "TIG"]},
    },
    {"id": "b", "text": "dental nurse, weekends only", "metadata": {"state": "PA", "rate": 28.5}},
    {"id": "c", "text": "forklift driver with OSHA-30", "metadata": {"state": "OH", "rate": 22, "active": True}},
]
STATIC = {"default_embedder": "static", "playbook_embedder": "static", "holdout_share": 0}


@asynccontextmanager
async def retrieval_api(objects: S3ObjectStore, folder: Path, **settings: object) -> AsyncIterator[RunningApi]:
    """The API in this process with quick embeddings and no hold-out."""
    async with running_api(api_settings(objects, folder, **{**STATIC, **settings})) as api:
        yield api


async def add_notes(client: httpx.AsyncClient, name: str = "notes", items: list[dict[str, Any]] | None = None) -> str:
    """An index of notes; gives the revision at which they are visible."""
    made = await client.post("/v1/vectors/index", json={"name": name})
    assert made.status_code in (200, 201), made.text
    added = await client.post(f"/v1/vectors/index/{name}/add", json={"items": NOTES if items is None else items})
    assert added.status_code == 200, added.text
    return str(added.json()["revision"])


async def search(client: httpx.AsyncClient, query: str, **request: Any) -> dict[str, Any]:
    """A matrix search over the notes that must succeed."""
    answer = await client.post("/v1/matrix/search", json={"query": query, "corpora": ["notes"], **request})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def ids(answer: dict[str, Any]) -> list[str]:
    """The ids of the results, in order."""
    return [result["id"] for result in answer["results"]]
