"""`/v1/vectors/index`: indexes of vectors or texts, each a corpus that matrix search can name (CONTRACTS.md section 7).

Belongs here: the routes. Not here: rows (see lakehouse/retrieval/vector_items.py), the indexes (see
lakehouse/adapters/corpora.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import orjson
from fastapi import APIRouter, Path, Request, Response

from lakehouse.adapters.corpus_reader import CorpusReader
from lakehouse.adapters.embedders import embedder_name
from lakehouse.adapters.hot_index import HotIndex
from lakehouse.clock import new_id
from lakehouse.counted import counted
from lakehouse.errors import BadInput, Conflict
from lakehouse.retrieval.corpus_view import Hit
from lakehouse.retrieval.filter_fit import refuse_unfit
from lakehouse.retrieval.filters import parse_filter
from lakehouse.retrieval.live_table import check_table_name
from lakehouse.retrieval.masking import masked_metadata, personal_fields
from lakehouse.retrieval.relevance import calibration_kind
from lakehouse.retrieval.selection import Selection
from lakehouse.retrieval.vector_items import Items, item_rows, read_arrow_items, read_items, vector_matrix
from lakehouse.tables.reserved import RESERVED_VIEWS
from lakehouse_api.answering_store import ANSWERING_STORE
from lakehouse_api.dependencies import ReadDep, ServicesDep, WriteDep, audit, run_blocking
from lakehouse_api.errors import problems
from lakehouse_api.hot_routes import HOT, Asked
from lakehouse_api.query_parameters import MinRevision
from lakehouse_api.schemas.vectors import (
    Added,
    AddItems,
    Deleted,
    DeleteItems,
    IndexAnswer,
    IndexList,
    IndexSearch,
    IndexView,
    NewIndex,
)
from lakehouse_api.services import Services
from lakehouse_api.struct_bodies import Body, answers

ARROW = "application/vnd.apache.arrow.stream"
_ARROW_FILE = "application/vnd.apache.arrow.file"
_FOUND = {"results": [{"id": "n1", "score": 0.61, "distance": 0.39, "metadata": {"city": "Toledo"}}], "stale": False}
router = APIRouter(prefix="/v1/vectors/index", tags=["vectors"])
Name = Annotated[str, Path(description="`[a-z][a-z0-9_]{0,62}`.", examples=["notes"])]
_ADD = Body(
    AddItems, example={"items": [{"id": "n1", "text": "night shift preferred", "metadata": {"city": "Toledo"}}]}
)
_ARROW_BODY = {"schema": {"type": "string", "format": "binary", "description": "id, vector or text, metadata"}}
_DELETE = Body(DeleteItems, example={"ids": ["n1"]})
_SEARCH = Body(IndexSearch, example={"text": "works at night", "k": 5, "filter": {"city": "Toledo"}})


@router.post(
    "",
    status_code=201,
    responses=problems(409, 507) | {200: {"model": IndexView, "description": "It was there, with this shape."}},
    dependencies=[ANSWERING_STORE],
)
async def create_index(
    request: Request, response: Response, services: ServicesDep, principal: WriteDep, new: NewIndex
) -> IndexView:
    """Make an index; again with the same shape is no error, with another one it is."""
    services.require_writable()
    name = check_table_name(new.name)
    if name in RESERVED_VIEWS:
        raise BadInput(f"{name!r} is a reserved name; choose another", name=name)
    embedder = embedder_name(new.embedder or services.settings.default_embedder, services.settings)
    dimension = new.dimension or (await services.embedding.opened(embedder)).dimension
    info = {"kind": "index", "dimension": dimension, "distance": new.distance, "embedder": embedder}
    corpora = services.retrieval.corpora
    try:
        reader = await corpora.create(name, info)
    except Conflict:
        reader = await corpora.open(name)
        shape = {key: reader.info.get(key) for key in info}
        if shape != info:
            others = ", ".join(f"{key} {shape[key]}, not {info[key]}" for key in info if shape[key] != info[key])
            remedy = f"take another name, or drop it first (DELETE /v1/vectors/index/{name})"
            raise Conflict(f"index {name!r} exists with another shape ({others}); {remedy}", name=name) from None
        response.status_code = 200
    await audit(services, principal, request, action="vectors.create", subject=name, status="ok")
    return _view(reader)


@router.get("", dependencies=[ANSWERING_STORE])
async def list_indexes(services: ServicesDep, _: ReadDep) -> IndexList:
    """List every index, corpora among them."""
    corpora = services.retrieval.corpora
    return IndexList(indexes=[_view(await corpora.open(name)) for name in await corpora.names()])


@router.get("/{name}", responses=problems(404))
async def get_index(services: ServicesDep, _: ReadDep, name: Name, min_revision: MinRevision = None) -> IndexView:
    """Read an index's shape, and how it is held."""
    if min_revision is not None:
        await services.retrieval.wait_for(min_revision)
    return _view(await services.retrieval.corpora.open(name))


@router.delete("/{name}", status_code=204, responses=problems(404, 507), dependencies=[ANSWERING_STORE])
async def delete_index(request: Request, services: ServicesDep, principal: WriteDep, name: Name) -> Response:
    """Drop an index; its files stay until `gc`."""
    services.events.require_room()  # a full disk may be emptied
    await services.retrieval.corpora.drop(name)
    await audit(services, principal, request, action="vectors.drop", subject=name, status="ok")
    return Response(status_code=204)


@router.post(
    "/{name}/add",
    responses={
        200: answers(Added, example={"added": 2, "revision": "notes@000001.000000000002"}),
        **problems(404, 507),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                **_ADD.openapi["requestBody"]["content"],
                **dict.fromkeys((ARROW, _ARROW_FILE), _ARROW_BODY),
            },
        }
    },
)
async def add_items(request: Request, services: ServicesDep, principal: WriteDep, name: Name) -> Response:
    """Insert or replace items; durable, and found by the next search here."""
    services.require_writable()
    reader = await services.retrieval.corpora.open(name)
    body = await request.body()
    if request.headers.get("content-type", "").startswith((ARROW, _ARROW_FILE)):
        items = await run_blocking(services, _read_arrow, body)
    else:
        items = await run_blocking(services, lambda: read_items(_ADD.decode(body).items))
    rows = await _rows(services, reader, items)
    added = len(set(items.ids))  # of two with one id the last is kept
    revision = await services.retrieval.corpora.upsert(name, rows)
    await audit(
        services,
        principal,
        request,
        action="vectors.add",
        subject=name,
        status="ok",
        rows=added,
        bytes=len(body),
    )
    return _json({"added": added, "revision": f"{name}@{revision}"})


async def delete_items(asked: Asked) -> bytes:
    """Take items away; from the next search on they are not found."""
    body: DeleteItems = asked.body
    asked.services.events.require_room()
    deleted, revision = await asked.services.retrieval.corpora.delete(asked.name, body.ids)
    return orjson.dumps({"deleted": deleted, "revision": f"{asked.name}@{revision}"})


async def search_index(asked: Asked) -> bytes:
    """Find the nearest items to a vector or a text; filters hold before the search."""
    body: IndexSearch = asked.body
    services = asked.services
    if body.min_revision is not None:
        await services.retrieval.wait_for(body.min_revision)
    reader = await services.retrieval.corpora.open(asked.name)
    vector = await _query_vector(services, reader, body)
    masked = frozenset[str]() if asked.principal.has_pii else personal_fields(reader.info)
    if isinstance(reader.index, HotIndex):  # quicker than a thread would be found
        selection = _selection(reader, body, masked=masked)
        hits = await services.retrieval.gathered.search(reader.index, vector, body.k, selection)
        results = _results(reader, hits, masked=masked)
    else:
        results = await run_blocking(services, _find, reader, vector, body, masked=masked)
    return orjson.dumps({"results": results, "stale": reader.is_stale})


def _find(reader: CorpusReader, vector: Any, body: IndexSearch, *, masked: frozenset[str]) -> list[dict[str, Any]]:
    hits = reader.search_vector(vector, body.k, _selection(reader, body, masked=masked))
    return _results(reader, hits, masked=masked)


def _selection(reader: CorpusReader, body: IndexSearch, *, masked: frozenset[str]) -> Selection:
    wanted = None if body.filter is None else parse_filter(body.filter)
    if wanted is not None:
        refuse_unfit(wanted, {reader.name: reader.check(wanted, masked=masked)})
    return reader.select(filter=wanted, exclude_ids=body.exclude_ids, masked=masked)


def _results(reader: CorpusReader, hits: Sequence[Hit], *, masked: frozenset[str]) -> list[dict[str, Any]]:
    documents = reader.metadata_of(np.array([hit.row for hit in hits], np.int64))
    constant = 1.0 if reader.distance == "cosine" else 0.0
    return [
        {
            "id": hit.id,
            "score": constant - hit.value,
            "distance": hit.value,
            "metadata": orjson.Fragment(masked_metadata(document, masked) if masked else document),
        }
        for hit, document in zip(hits, documents, strict=True)
    ]


HOT.declare(
    router, "/{name}/search", search_index, body=_SEARCH, scope="read",
    responses={200: answers(IndexAnswer, example=_FOUND), **problems(404)},
)  # fmt: skip
HOT.declare(
    router, "/{name}/delete", delete_items, body=_DELETE, scope="write",
    responses={
        200: answers(Deleted, example={"deleted": 1, "revision": "notes@000001.000000000003"}),
        **problems(404, 507),
    },
)  # fmt: skip


async def _query_vector(services: Services, reader: CorpusReader, body: IndexSearch) -> Any:
    if (body.vector is None) == (body.text is None):
        raise BadInput("send vector or text, and not both")
    if body.text is not None:
        vector, _ = await services.embedding.embed_query(reader.embedder, body.text)
        return _same_space(reader, vector)
    if body.vector is not None and len(body.vector) == reader.dimension:
        return np.array(body.vector)  # the search looks at its values
    return vector_matrix([body.vector], ["vector"], dimension=reader.dimension, distance=reader.distance)[0]


async def _rows(services: Services, reader: CorpusReader, items: Items) -> Any:
    """The items as stored rows; those with a text are embedded by the index's own embedder."""
    vectors = items.vectors
    textual = [n for n, vector in enumerate(vectors) if vector is None]
    if textual:
        vectors = list(vectors)
        embedded = await services.embedding.embed_many(reader.embedder, [str(items.texts[n]) for n in textual])
        for n, vector in zip(textual, _same_space(reader, embedded), strict=True):
            vectors[n] = vector
    matrix = await run_blocking(
        services, vector_matrix, vectors, items.ids, dimension=reader.dimension, distance=reader.distance
    )
    return item_rows(items, matrix, op_id=new_id())


def _same_space(reader: CorpusReader, embedded: Any) -> Any:
    """What the embedder made of texts, when the index can hold it: one of foreign vectors has a length of its own."""
    if embedded.shape[-1] != reader.dimension:
        raise BadInput(
            f"index {reader.name!r} has vectors of {counted(reader.dimension, 'dimension')}, its embedder"
            f" {reader.embedder!r} gives {embedded.shape[-1]}: send vectors, or make an index without 'dimension'",
            name=reader.name,
        )
    return embedded


def _read_arrow(body: bytes) -> Items:
    import pyarrow as pa

    is_file = body.startswith(b"ARROW1")  # whatever its type says: Feather files are often sent as streams
    try:
        table = (pa.ipc.open_file if is_file else pa.ipc.open_stream)(body).read_all()
    except pa.ArrowInvalid as error:
        raise BadInput(f"the body is not Arrow IPC, as a stream or a file: {error}") from None
    return read_arrow_items(table)


def _view(reader: CorpusReader) -> IndexView:
    return IndexView(
        name=reader.name,
        dimension=reader.dimension,
        distance=reader.distance,
        embedder=reader.embedder,
        kind=str(reader.info.get("kind", "index")),
        rows=len(reader.index),
        revision=f"{reader.name}@{reader.revision}",
        state=dict(reader.index.stats()),
        calibration=calibration_kind(reader.info),
    )


def _json(document: dict[str, Any]) -> Response:
    return Response(orjson.dumps(document), media_type="application/json")
