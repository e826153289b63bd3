"""`/v1/storage`: objects of the bucket, by key (CONTRACTS.md section 2).

Belongs here: the five routes. Not here: key rules (see ../keys.py), streaming (see ../spool.py).
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from starlette.responses import Response

from lakehouse.errors import LakehouseError, NotFound, PreconditionFailed, Unavailable
from lakehouse.storage.keys import check_key
from lakehouse.storage.objects import ObjectInfo
from lakehouse_api.answering_store import ANSWERING_STORE, run_while_answering
from lakehouse_api.dependencies import ReadDep, ServicesDep, WriteDep, audit, run_blocking
from lakehouse_api.errors import problems
from lakehouse_api.keys import check_readable, check_writable, key_of
from lakehouse_api.ranges import (
    is_range_wanted,
    is_same,
    is_unchanged,
    parse_put_condition,
    parse_range,
    refuse_dates,
)
from lakehouse_api.schemas.storage import KeyListing, ListedKey, StoredKey
from lakehouse_api.services import Services
from lakehouse_api.spool import ObjectResponse, check_length, spooled_body

MAX_LISTING = 10_000
_TRIES = 3
router = APIRouter(prefix="/v1/storage", tags=["storage"], dependencies=[ANSWERING_STORE])
KeyDep = Annotated[str, Depends(key_of)]
_BYTES: dict[str, Any] = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


def document_key(*, body: bool = False) -> dict[str, Any]:
    """OpenAPI of the `key` in the path, which is read from the raw bytes and not by the framework."""
    described = "The key, percent-encoded; its slashes may stand as they are."
    parameter = {"name": "key", "in": "path", "required": True, "schema": {"type": "string"}, "description": described}
    example = {"example": "files/report.pdf"}
    extra: dict[str, Any] = {"parameters": [parameter | example]}
    return extra | ({"requestBody": {"required": True, "content": _BYTES}} if body else {})


@router.get("", responses=problems(400, 403))
async def list_objects(
    *,
    services: ServicesDep,
    principal: ReadDep,
    prefix: Annotated[str, Query(description="Only keys that start so.")] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_LISTING)] = 1000,
    start_after: Annotated[str, Query(description="Only keys behind this one.")] = "",
) -> KeyListing:
    """List keys in order, a page at a time."""
    check_key(prefix, is_prefix=True)
    check_key(start_after, is_prefix=True)
    check_readable(prefix, principal)
    page = await run_while_answering(services, services.objects.list, prefix, limit=limit, start_after=start_after)
    keys = [ListedKey(key=o.key, size=o.size, etag=o.etag, modified_at=o.modified_at) for o in page.objects]
    return KeyListing(keys=keys, truncated=page.is_truncated, next=page.next)


@router.put("/{key:key}", responses=problems(408, 412, 413, 507), openapi_extra=document_key(body=True))
async def put_object(
    *,
    request: Request,
    services: ServicesDep,
    principal: WriteDep,
    key: KeyDep,
    if_match: Annotated[str | None, Header(description='Write only over this ETag: `"…"`.')] = None,
    if_none_match: Annotated[str | None, Header(description="`*`: write only where nothing is.")] = None,
) -> StoredKey:
    """Write an object whole; it shows when it is complete and not before."""
    check_writable(key)
    refuse_dates(request.headers)
    etag, is_new = parse_put_condition(if_match, if_none_match)
    cap_bytes = services.settings.put_cap_bytes(key)
    check_length(request, cap_bytes, "an object")
    services.disk.require_space()
    with services.put_gate.hold():
        async with spooled_body(request, services, cap_bytes=cap_bytes, what="an object") as body:
            try:
                info = await run_blocking(services, services.objects.put, key, body, if_match=etag, if_absent=is_new)
            except NotFound:
                # S3 answers 404 to If-Match on a key that is not there.
                raise PreconditionFailed(f"nothing is stored under {key!r} that If-Match could match") from None
            except LakehouseError as error:
                await audit(services, principal, request, action="storage.put", subject=key, status="failed")
                if not isinstance(error, PreconditionFailed):
                    raise
                raise _changed(key, await run_blocking(services, services.objects.head, key), is_new=is_new) from None
    await audit(services, principal, request, action="storage.put", subject=key, status="ok", bytes=info.size)
    return StoredKey(key=info.key, size=info.size, etag=info.etag)


@router.get(
    "/{key:key}",
    response_class=Response,
    responses=problems(404, 412, 416)
    | {
        200: {"description": "The object.", "content": _BYTES},
        206: {"description": "The range that was asked for.", "content": _BYTES},
        304: {"description": "The client has it already."},
    },
    openapi_extra=document_key(),
)
async def get_object(
    *,
    services: ServicesDep,
    principal: ReadDep,
    key: KeyDep,
    range_: Annotated[str | None, Header(alias="Range", description="One range: `bytes=0-99`.")] = None,
    if_range: Annotated[str | None, Header(description="Only of this ETag; else the whole object.")] = None,
    if_match: Annotated[str | None, Header(description="Only these ETags; else 412.")] = None,
    if_none_match: Annotated[str | None, Header(description="ETags the client has.")] = None,
) -> Response:
    """Read an object, or one range of it, as a stream."""
    check_readable(key, principal)
    for _ in range(_TRIES):
        info = await _head(services, key)
        _require_same(if_match, info)
        if is_unchanged(if_none_match, info.etag):
            return _not_modified(info)
        span = parse_range(range_, info.size) if is_range_wanted(if_range, info.etag) else None
        context = services.objects.open(key, span=span, if_match=info.etag)
        try:
            reader = await run_blocking(services, context.__enter__)
        except PreconditionFailed:
            continue  # replaced between the two calls: start again with the new one
        return ObjectResponse(services, context, reader, status_code=206 if span else 200, headers=_headers(info, span))
    raise Unavailable(f"{key!r} is being replaced again and again; try again", retry_after_s=1)


@router.head(
    "/{key:key}",
    response_class=Response,
    responses=problems(404, 412)
    | {200: {"description": "What a GET would say."}, 304: {"description": "The client has it already."}},
    openapi_extra=document_key(),
)
async def head_object(
    *,
    services: ServicesDep,
    principal: ReadDep,
    key: KeyDep,
    if_match: Annotated[str | None, Header(description="Only these ETags; else 412.")] = None,
    if_none_match: Annotated[str | None, Header(description="ETags the client has.")] = None,
) -> Response:
    """Say size, ETag and time of an object."""
    check_readable(key, principal)
    info = await _head(services, key)
    _require_same(if_match, info)
    if is_unchanged(if_none_match, info.etag):
        return _not_modified(info)
    return Response(headers=_headers(info), media_type="application/octet-stream")


@router.delete("/{key:key}", status_code=204, responses=problems(404, 412), openapi_extra=document_key())
async def delete_object(
    *,
    request: Request,
    services: ServicesDep,
    principal: WriteDep,
    key: KeyDep,
    if_match: Annotated[str | None, Header(description="Delete only these ETags; else 412.")] = None,
) -> Response:
    """Delete an object; one that is not there is no error, unless `If-Match` names it."""
    check_writable(key)
    refuse_dates(request.headers)
    if if_match is not None:
        _require_same(if_match, await _head(services, key))
    await run_blocking(services, services.objects.delete, key)
    await audit(services, principal, request, action="storage.delete", subject=key, status="ok")
    return Response(status_code=204)


async def _head(services: Services, key: str) -> ObjectInfo:
    info = await run_while_answering(services, services.objects.head, key)
    if info is None:
        raise NotFound(f"no object {key!r}", key=key)
    return info


def _require_same(if_match: str | None, info: ObjectInfo) -> None:
    if not is_same(if_match, info.etag):
        raise _changed(info.key, info, is_new=False)


def _changed(key: str, info: ObjectInfo | None, *, is_new: bool) -> PreconditionFailed:
    """What stands in the way of a condition, with the ETag that would hold now."""
    if info is None:
        return PreconditionFailed(f"{key!r} is being changed by somebody else; try again", key=key)
    said = f"{key!r} is there already, with" if is_new else f"{key!r} has by now"
    return PreconditionFailed(f'{said} the ETag "{info.etag}"', key=key, etag=info.etag)


def _not_modified(info: ObjectInfo) -> Response:
    return Response(status_code=304, headers={"ETag": f'"{info.etag}"'})


def _headers(info: ObjectInfo, span: tuple[int, int] | None = None) -> dict[str, str]:
    headers = {
        "ETag": f'"{info.etag}"',
        "Content-Length": str(info.size),
        "Last-Modified": info.modified_at.strftime("%a, %d %b %Y %H:%M:%S GMT"),
        "Accept-Ranges": "bytes",
    }
    if span is not None:
        headers["Content-Range"] = f"bytes {span[0]}-{span[1]}/{info.size}"
        headers["Content-Length"] = str(span[1] - span[0] + 1)
    return headers
