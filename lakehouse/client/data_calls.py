"""The calls about data: health, datasets, SQL. Each function is one route; both clients offer it as a method.

Belongs here: what is asked, typed for users. Not here: sending (see transport.py), retrieval (see retrieval_calls.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from lakehouse.client.answers import Ingested, SqlRows
from lakehouse.client.call import Call, encode, member, nothing, path_of, query_of, read_json


def health() -> Call[dict[str, Any]]:
    """Say how each part is; `status` is `ok`, `degraded` or `unavailable`. Needs no token."""
    return Call("GET", "/health", read_json, accepted=frozenset({503}))


def list_datasets() -> Call[list[dict[str, Any]]]:
    """List the datasets."""
    return Call("GET", "/v1/catalog", member("datasets"))


def get_dataset(name: str, *, version: int | None = None, as_of: datetime | None = None) -> Call[dict[str, Any]]:
    """Read a dataset's manifest: columns, rows, files.

    Args:
        name: The dataset's.
        version: Of this version; default: the live one.
        as_of: As it was at this time (with a time zone).
    """
    return Call("GET", path_of("v1", "catalog", name), read_json, params=query_of(version=version, as_of=as_of))


def list_versions(name: str) -> Call[list[dict[str, Any]]]:
    """List the versions that can still be read, newest first."""
    return Call("GET", path_of("v1", "catalog", name, "versions"), member("versions"))


def ingest_file(
    file: str | PathLike[str],
    *,
    name: str,
    mode: Literal["replace", "append"] = "replace",
    encoding: str | None = None,
    delimiter: str | None = None,
    types: Mapping[str, str] | None = None,
    on_error: Literal["refuse", "quarantine"] | None = None,
    evolve: bool = False,
    allow_duplicate: bool = False,
    format: Literal["csv", "json", "jsonl", "parquet"] | None = None,  # noqa: A002 - as on the wire
) -> Call[Ingested]:
    """Load a CSV, TSV, JSON, JSON lines or Parquet file; it streams from disk, whatever its size.

    Args:
        file: Path of the file.
        name: Dataset to make, replace or append to: `[a-z][a-z0-9_]{0,62}`.
        mode: What becomes of the rows it has.
        encoding: Of a text file; default utf-8, never guessed.
        delimiter: One character, `tab`, or `auto`; default: a tab for .tsv, else a comma.
        types: Fixes the types of columns, by name.
        on_error: `quarantine` loads the good records and keeps the others aside.
        evolve: Accept other columns as a new version.
        allow_duplicate: Append the same bytes again.
        format: Default: by suffix.

    Raises:
        LakehouseApiError: 422 with `record` and `line` when the bytes are wrong, 409 when the columns are others.
        OSError: The file cannot be read.
    """
    params = query_of(
        name=name,
        mode=mode,
        encoding=encoding,
        delimiter=delimiter,
        types=None if types is None else json.dumps(dict(types)),
        on_error=on_error,
        evolve=evolve,
        allow_duplicate=allow_duplicate,
        format=format,
    )
    # The same bytes with the same options make no new version, so a refused upload can be sent again.
    return Call(
        "POST", "/v1/ingest", read_json, params=params, file=Path(file), is_repeatable=not allow_duplicate,
        has_deadline=False,
    )  # fmt: skip


def register_files(
    name: str, *, columns: list[Mapping[str, Any]], keys: list[str], evolve: bool = False
) -> Call[dict[str, Any]]:
    """Make a dataset of Parquet files that lie under `files/` in the bucket.

    Args:
        name: The dataset's.
        columns: `{name, type, pii}` of each.
        keys: Of the files.
        evolve: Accept other columns than the registered ones.
    """
    body = encode(columns=columns, objects=[{"key": key} for key in keys])
    return Call("PUT", path_of("v1", "catalog", name), read_json, params=query_of(evolve=evolve), body=body)


def delete_dataset(name: str) -> Call[None]:
    """Take a dataset out of the catalog; its versions stay readable until `gc`."""
    # A repeated delete would answer 404 although the first one succeeded.
    return Call("DELETE", path_of("v1", "catalog", name), nothing, is_repeatable=False)


def run_sql(query: str, *, max_rows: int | None = None, as_of: datetime | None = None) -> Call[SqlRows]:
    """Answer one statement that reads.

    Args:
        query: SELECT, WITH, EXPLAIN, DESCRIBE, SHOW TABLES or SUMMARIZE.
        max_rows: Most rows; default 10,000. `sql_arrow` gives any number.
        as_of: Datasets as they were at this time (with a time zone).

    Raises:
        LakehouseApiError: 400 with DuckDB's message, 403 for a statement that does not read, 504, 507.
    """
    return Call(
        "POST", "/v1/sql", SqlRows.of, body=encode(sql=query, max_rows=max_rows, as_of=as_of), has_deadline=False
    )


def stream_sql(query: str, *, max_rows: int | None = None, as_of: datetime | None = None) -> Call[bytes]:
    """The same as an Arrow IPC stream of any length; the clients read it as it comes."""
    body = encode(sql=query, format="arrow", max_rows=max_rows, as_of=as_of)
    return Call("POST", "/v1/sql", bytes, body=body)
