"""Bodies of `/v1/ingest`.

Belongs here: the answer as documented. Not here: how it comes about (see lakehouse/ingest/ingester.py).
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Ingested(BaseModel):
    """What an ingest did."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "dataset_id": "4ee908eb-05e4-5c26-a4ad-4ca54bb01062",
                "name": "workers",
                "schema_fingerprint": "9f2c5c0b6a1f4a7be1c2ce07a4f9dd1b3b8d0c6a55f2f4f1b7d5b2b1a0c9e8d7",
                "row_count": 10000,
                "bytes": 2218304,
                "objects": 1,
                "version": 1,
                "existing": False,
                "quarantined": 0,
                "quarantine_keys": [],
            }
        },
    )

    dataset_id: str = Field(description="UUIDv5 of the name: the same on every machine.")
    name: str
    schema_fingerprint: str = Field(description="SHA-256 hex over names and types of the columns in order.")
    row_count: int = Field(description="Rows of the dataset as it is now.")
    bytes: int = Field(description="Bytes of its Parquet files.")
    objects: int = Field(description="How many Parquet files it has.")
    version: int = Field(description="Version that serves now.")
    existing: bool = Field(description="True when these bytes with these options were there already.")
    quarantined: int = Field(description="Records that were refused and kept aside.")
    quarantine_keys: list[str] = Field(description="Where they are kept.")
