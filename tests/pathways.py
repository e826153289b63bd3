"""Small helpers for tests of pathways over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from lakehouse.adapters.objects import S3ObjectStore
from tests.api import RunningApi
from tests.retrieving import retrieval_api


@asynccontextmanager
async def pathway_api(objects: S3ObjectStore, folder: Path, **settings: object) -> AsyncIterator[RunningApi]:
    """The API in this process with quick embeddings."""
    async with retrieval_api(objects, folder, **{"pathway_embedder": "static", **settings}) as api:
        yield api


async def post(client: httpx.AsyncClient, path: str, **body: Any) -> dict[str, Any]:
    """A write or a search that must succeed."""
    answer = await client.post(f"/v1/pathway/{path}", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def get(client: httpx.AsyncClient, path: str, **query: Any) -> dict[str, Any]:
    """What is read, which must be there."""
    answer = await client.get(f"/v1/pathway/{path}", params=query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def found(client: httpx.AsyncClient, **body: Any) -> list[str]:
    """The uids that a search gives."""
    return [result["uid"] for result in (await post(client, "search", **body))["results"]]
