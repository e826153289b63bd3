"""`/v1/ingest`: a file becomes a version of a dataset (CONTRACTS.md section 4).

Belongs here: the route. Not here: streaming of the body (see ../multipart.py), the ingest (see lakehouse/ingest).
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse

from lakehouse.catalog.names import check_dataset_name
from lakehouse.errors import LakehouseError, StoreUnavailable
from lakehouse.ingest import IngestResult
from lakehouse.ingest.options import IngestOptions, make_options
from lakehouse_api.answering_store import ANSWERING_STORE
from lakehouse_api.auth import Principal
from lakehouse_api.dependencies import ServicesDep, WriteDep, audit, run_blocking
from lakehouse_api.errors import instance_of, problems
from lakehouse_api.multipart import FIELD, SpooledFile, spooled_file
from lakehouse_api.query_parameters import refuse_unknown
from lakehouse_api.schemas.ingest import Ingested
from lakehouse_api.services import Services
from lakehouse_api.spool import check_length

# A form's boundaries and headers come on top of the file.
_FORM_BYTES = 128 << 10
_PARAMETERS = (
    "name", "mode", "encoding", "delimiter", "types", "on_error", "evolve", "allow_duplicate", "format",
)  # fmt: skip
router = APIRouter(prefix="/v1/ingest", tags=["ingest"], dependencies=[ANSWERING_STORE])
_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": [FIELD],
                "properties": {
                    FIELD: {
                        "type": "string",
                        "format": "binary",
                        "description": "CSV, TSV, JSON, JSON lines or Parquet.",
                    }
                },
            }
        }
    },
}


@router.post(
    "",
    response_model=Ingested,
    responses=problems(400, 408, 409, 413, 422, 503, 504, 507)
    | {201: {"model": Ingested, "description": "A new dataset."}},
    openapi_extra={"requestBody": _BODY},
)
async def ingest_file(
    *,
    request: Request,
    services: ServicesDep,
    principal: WriteDep,
    name: Annotated[str, Query(description="Dataset to make, replace or append to: `[a-z][a-z0-9_]{0,62}`.")],
    mode: Annotated[Literal["replace", "append"], Query(description="What becomes of the rows it has.")] = "replace",
    encoding: Annotated[str, Query(description="Encoding of a text file; never guessed.")] = "utf-8",
    delimiter: Annotated[
        str | None, Query(description="One character, `tab`, or `auto`. Default: a tab for .tsv, else a comma.")
    ] = None,
    types: Annotated[str | None, Query(description='JSON: {"column": "TYPE"} fixes columns.')] = None,
    on_error: Annotated[Literal["refuse", "quarantine"], Query(description="What bad records do.")] = "refuse",
    evolve: Annotated[bool, Query(description="Accept other columns as a new version.")] = False,
    allow_duplicate: Annotated[bool, Query(description="Append the same bytes again.")] = False,
    format: Annotated[  # noqa: A002 - the parameter's name on the wire
        Literal["csv", "json", "jsonl", "parquet"] | None, Query(description="Default: by suffix, then content type.")
    ] = None,
) -> JSONResponse:
    """Load one file, as it streams in; nothing shows before all of it is loaded."""
    refuse_unknown(request.query_params, _PARAMETERS)  # a misspelt option must not pass for its default
    check_dataset_name(name)
    choose = partial(
        make_options,
        mode=mode,
        encoding=encoding,
        delimiter=delimiter,
        types=types,
        on_error=on_error,
        evolve=evolve,
        allow_duplicate=allow_duplicate,
        format=format,
    )
    choose()  # options that are wrong are refused before the upload
    cap_bytes = services.settings.max_ingest_bytes
    check_length(request, cap_bytes, "an upload", form_bytes=_FORM_BYTES)
    services.disk.require_space()
    async with services.ingest_gate.hold_in_turn(services.settings.ingest_queue_timeout_s):
        await run_blocking(services, services.ingester.prepare)
        async with spooled_file(request, services, cap_bytes=cap_bytes) as file:
            options = choose(file_name=file.name, content_type=file.content_type)
            result = await load_file(request, services, principal, file, name=name, options=options)
    if result.is_new_dataset:
        return JSONResponse(result.answer(), 201, headers={"Location": f"{_catalog_path(request)}/{name}"})
    return JSONResponse(result.answer())


async def load_file(
    request: Request,
    services: Services,
    principal: Principal,
    file: SpooledFile,
    *,
    name: str,
    options: IngestOptions,
) -> IngestResult:
    """Load a file that has come in whole, let the catalog show it, and write it down.

    Raises:
        LakehouseError: What the ingest refuses, or fails at.
    """
    load = partial(services.ingester.ingest, actor=principal.name, source_sha256=file.sha256, file_name=file.name)
    try:
        result = await run_blocking(services, load, file.path, name, options)
    except LakehouseError as error:
        outcome = "failed" if error.status >= 500 else "refused"
        await audit(services, principal, request, action="ingest", subject=name, status=outcome, bytes=file.size)
        raise
    with suppress(StoreUnavailable):  # it is committed; the next look of the watcher shows it
        await run_blocking(services, services.watcher.refresh)
    rows = result.manifest.row_count
    await audit(services, principal, request, action="ingest", subject=name, status="ok", rows=rows, bytes=file.size)
    return result


def _catalog_path(request: Request) -> str:
    return instance_of(request.scope).removesuffix(router.prefix) + "/v1/catalog"
