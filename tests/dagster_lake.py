"""A lake for Dagster tests: a resource on the test's bucket, datasets made without the ingester, a job."""

from __future__ import annotations

import hashlib
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq

from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.catalog.service import Catalog, Column, DataObject, Draft, Manifest
from lakehouse_assets.resources import LakeStore

TYPES = {"BIGINT": pa.int64(), "VARCHAR": pa.string(), "DOUBLE": pa.float64()}


def lake_environ(objects: S3ObjectStore, folder: Path, **changes: str) -> dict[str, str]:
    """Settings of a process that works on the test's bucket."""
    at = objects.location
    return {
        "LAKEHOUSE_DATA_DIR": str(folder),
        "LAKEHOUSE_S3_ENDPOINT": str(at.endpoint),
        "LAKEHOUSE_S3_BUCKET": at.bucket,
        "LAKEHOUSE_S3_ACCESS_KEY_ID": str(at.access_key_id),
        "LAKEHOUSE_S3_SECRET_ACCESS_KEY": str(at.secret_access_key),
        **changes,
    }


def lake_store(objects: S3ObjectStore, folder: Path, **changes: str) -> LakeStore:
    """The resource that assets and sensors get."""
    return LakeStore(environ=lake_environ(objects, folder, **changes))


def put_parquet(
    objects: S3ObjectStore, name: str, columns: dict[str, str], rows: list[tuple[object, ...]]
) -> DataObject:
    """A data file in the bucket, and what a manifest says of it."""
    schema = pa.schema([(c, TYPES[t]) for c, t in columns.items()])
    table = pa.table([list(c) for c in zip(*rows, strict=True)] or [[] for _ in columns], schema=schema)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    body = sink.getvalue().to_pybytes()
    sha256 = hashlib.sha256(body).hexdigest()
    key = f"datasets/{name}/fp/{sha256}.parquet"
    objects.put(key, body)
    return DataObject(key, len(body), sha256, f"source-{sha256}", len(rows))


def commit(
    objects: S3ObjectStore, name: str, columns: tuple[Column, ...], *data_objects: DataObject, by: str = "http"
) -> Manifest:
    """A version of a dataset."""
    return Catalog(objects).commit(name, lambda _: Draft(columns, data_objects, committed_by=by)).manifest


def some_job() -> dg.JobDefinition:
    """A job for runs of which only the records matter."""

    @dg.op
    def nothing() -> None: ...

    @dg.job(executor_def=dg.in_process_executor)
    def job_of_nothing() -> None:
        nothing()

    return job_of_nothing
