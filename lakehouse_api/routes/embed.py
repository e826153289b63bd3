"""`/v1/embed`, and `/v1/embeddings` in OpenAI's form (CONTRACTS.md section 7).

Belongs here: the routes and how vectors are written. Not here: embedding (see lakehouse/adapters/embedding_service.py).
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from lakehouse.errors import BadInput, NotFound
from lakehouse.retrieval.embedding import Embedder, Vectors
from lakehouse_api.dependencies import ReadDep, ServicesDep
from lakehouse_api.disconnect import CLIENT_CLOSED_REQUEST, while_connected
from lakehouse_api.errors import problems
from lakehouse_api.schemas.embed import EmbedAnswer, EmbeddingsAnswer, EmbeddingsRequest, EmbedRequest
from lakehouse_api.services import Services

router = APIRouter(prefix="/v1", tags=["retrieval"])
# Rows written before other requests have their turn.
_ROWS_AT_A_TIME = 64


@router.post("/embed", response_model=EmbedAnswer, responses=problems(504))
async def embed_texts(request: Request, services: ServicesDep, _: ReadDep, asked: EmbedRequest) -> Response:
    """Embed texts; the vectors of short lists are kept, and found again when the same text is asked."""
    embedder = await services.embedding.opened(asked.model or services.settings.default_embedder)
    try:
        vectors = await while_connected(request, services.embedding.embed_many(embedder.name, asked.texts))
    except ClientDisconnect:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    tail = orjson.dumps({"model": embedder.name, "dimension": embedder.dimension})
    return await _answer(b'{"vectors":[', vectors, _plain, b"]," + tail[1:])


@router.post("/embeddings", response_model=EmbeddingsAnswer, responses=problems(404, 504))
async def create_embeddings(request: Request, services: ServicesDep, _: ReadDep, asked: EmbeddingsRequest) -> Response:
    """Embed texts for clients of OpenAI's API; errors have its shape, too."""
    embedder = await _model(services, asked)
    texts = [asked.input] if isinstance(asked.input, str) else asked.input
    try:
        vectors, tokens = await while_connected(request, _embed(services, embedder, texts))
    except ClientDisconnect:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    tail = orjson.dumps({"model": embedder.name, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}})
    encode = _as_base64 if asked.encoding_format == "base64" else _items
    return await _answer(b'{"object":"list","data":[', vectors, encode, b"]," + tail[1:])


async def _model(services: Services, asked: EmbeddingsRequest) -> Embedder:
    try:
        embedder = await services.embedding.opened(asked.model)
    except BadInput as error:
        raise NotFound(error.detail, param="model", code="model_not_found") from None
    if asked.dimensions not in (None, embedder.dimension):
        raise BadInput(
            f"{embedder.name!r} has vectors of {embedder.dimension} dimensions and no others; leave `dimensions` out",
            param="dimensions",
        )
    return embedder


async def _embed(services: Services, embedder: Embedder, texts: Sequence[str]) -> tuple[Vectors, int]:
    try:
        vectors = await services.embedding.embed_many(embedder.name, texts)
    except BadInput as error:
        raise BadInput(error.detail, **error.fields, param="input") from None
    return vectors, await services.embedding.count_tokens(embedder.name, texts)


async def _answer(head: bytes, vectors: Vectors, encode: Callable[[int, Vectors], bytes], tail: bytes) -> Response:
    """An answer in pieces of some rows: writing thousands in one go would hold up everybody else's request."""
    parts = []
    for start in range(0, len(vectors), _ROWS_AT_A_TIME):
        parts.append(encode(start, vectors[start : start + _ROWS_AT_A_TIME])[1:-1])
        await asyncio.sleep(0)
    return Response(b"".join((head, b",".join(parts), tail)), media_type="application/json")


def _plain(_: int, rows: Vectors) -> bytes:
    return orjson.dumps(rows, option=orjson.OPT_SERIALIZE_NUMPY)


def _as_base64(start: int, rows: Vectors) -> bytes:
    return _items(start, [base64.b64encode(row.astype("<f4").tobytes()).decode() for row in rows])


def _items(start: int, embeddings: Iterable[Any]) -> bytes:
    items = [{"object": "embedding", "index": start + n, "embedding": e} for n, e in enumerate(embeddings)]
    return orjson.dumps(items, option=orjson.OPT_SERIALIZE_NUMPY)
