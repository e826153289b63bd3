"""What `/v1/catalog` takes and answers.

Belongs here: its shapes. Not here: the stored manifest (see lakehouse/catalog/manifest.py).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from lakehouse.catalog.manifest import Manifest
from lakehouse_api.schemas.request_body import RequestBody

_SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_COLUMNS: list[Any] = [
    {"name": "worker_id", "type": "BIGINT", "pii": False},
    {"name": "email", "type": "VARCHAR", "pii": True},
]
_SUMMARY: dict[str, Any] = {
    "dataset_id": "3f6a1b52-7d0e-5c43-a5b7-9a5b2b2c0f11",
    "name": "workers",
    "schema_fingerprint": _SHA256,
    "columns": _COLUMNS,
    "row_count": 500000,
    "size_bytes": 88800000,
    "version": 3,
    "created_at": "2026-05-04T09:30:00.000000Z",
    "updated_at": "2026-05-06T17:05:12.400000Z",
}
_OBJECT = {
    "key": f"datasets/workers/{_SHA256}/{_SHA256}.parquet",
    "size": 88800000,
    "sha256": _SHA256,
    "source_sha256": _SHA256,
    "row_count": 500000,
    "source_options": "",
    "source_key": "landing/workers/may.csv",
    "source_etag": "9b2cf535f27731c974343645a3985328",
}
_DETAILS = {
    "objects": [_OBJECT],
    "commit_id": "0198f0c2-7c1e-7f43-9a51-0f6a3a1d2b3c",
    "committed_by": "primary",
    "note": "",
    "parent_version": 2,
    "skipped": [],
    "deleted_at": None,
    "previous_deleted_at": None,
    "format_version": 1,
}


class ColumnModel(RequestBody):
    """A column of a dataset."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=255)
    type: str = Field(min_length=1, max_length=255, description="Its DuckDB type, such as BIGINT or VARCHAR.")
    pii: bool = Field(False, description="True when it holds personal data, which is masked without the scope `pii`.")


class DataObjectModel(BaseModel):
    """One immutable Parquet file of a dataset, and the source it was made of."""

    key: str
    size: int
    sha256: str
    source_sha256: str
    row_count: int
    source_options: str
    source_key: str | None
    source_etag: str | None


class DatasetSummary(BaseModel):
    """A dataset as listed."""

    model_config = ConfigDict(json_schema_extra={"example": _SUMMARY})

    dataset_id: str
    name: str
    schema_fingerprint: str
    columns: list[ColumnModel]
    row_count: int
    size_bytes: int
    version: int
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        """The model of a manifest."""
        return cls.model_validate(manifest.to_document() | {"size_bytes": manifest.size_bytes})


class Dataset(DatasetSummary):
    """One version of a dataset with its files."""

    model_config = ConfigDict(json_schema_extra={"example": _SUMMARY | _DETAILS})

    objects: list[DataObjectModel]
    commit_id: str
    committed_by: str
    note: str
    parent_version: int | None
    skipped: list[int]
    deleted_at: datetime | None
    previous_deleted_at: datetime | None
    format_version: int


class DatasetList(BaseModel):
    """All live datasets by name."""

    model_config = ConfigDict(json_schema_extra={"example": {"datasets": [_SUMMARY], "broken": {}}})

    datasets: list[DatasetSummary]
    broken: dict[str, str] = Field(description="Datasets whose manifest cannot be read, with the reason.")


class DatasetVersions(BaseModel):
    """The versions of a dataset that can still be read, newest first."""

    model_config = ConfigDict(json_schema_extra={"example": {"versions": [_SUMMARY | _DETAILS]}})

    versions: list[Dataset]


class ObjectRef(RequestBody):
    """A Parquet file in `files/`."""

    model_config = ConfigDict(extra="forbid")

    key: str


class Registration(RequestBody):
    """The files that make up a dataset, and the columns that each of them has."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"columns": _COLUMNS, "objects": [{"key": "files/workers.parquet"}]}},
    )

    columns: list[ColumnModel] = Field(min_length=1, max_length=10_000)
    objects: list[ObjectRef] = Field(min_length=1, max_length=1_000)
