"""What the UI shows of a day of evidence, and of the index.

Belongs here: turning results into Dagster metadata. Not here: making them (see evidence.py).
"""

from __future__ import annotations

from typing import Any

from dagster import DataVersion, MetadataValue, TableColumn, TableSchema

from lakehouse.adapters.evidence_lake import INDEX
from lakehouse.adapters.evidence_materializer import EVIDENCE, QUARANTINE, DayResult
from lakehouse.catalog.partitioned import Partition, TableManifest
from lakehouse.tables.evidence import MEANING
from lakehouse.tables.reserved import RESERVED_VIEWS

_COUNTS = ("in", "new", "corrected", "duplicate", "quarantined")
_LEFT_OUT = "left_out"
_SHOWN_LOST = 20


def day_version(result: DayResult) -> DataVersion | None:
    """A version that is the same exactly when the day was made of the same by the same rules."""
    return None if result.partition is None else DataVersion(result.partition.fingerprint)


def day_metadata(result: DayResult, *, bucket: str) -> dict[str, MetadataValue[Any]]:
    """Metadata of one day: its accounts, its files, the receipt."""
    partition = result.partition
    metadata: dict[str, MetadataValue[Any]] = {
        "dagster/row_count": MetadataValue.int(0 if partition is None else partition.counts["out"]),
        "is_memo_hit": MetadataValue.bool(not result.is_new),
    }
    if result.lost:
        metadata["lost_raw_objects"] = MetadataValue.json(list(result.lost[:_SHOWN_LOST]))
    if partition is None:
        return metadata
    metadata |= {name: MetadataValue.int(partition.counts[name]) for name in _COUNTS}
    if left_out := partition.counts.get(_LEFT_OUT):
        metadata[_LEFT_OUT] = MetadataValue.int(left_out)
    metadata["receipt"] = MetadataValue.path(f"s3://{bucket}/{partition.receipt}")
    metadata["dagster/column_schema"] = MetadataValue.table_schema(table_schema())
    if (file := partition.file(EVIDENCE)) is not None:
        metadata["dagster/uri"] = MetadataValue.path(f"s3://{bucket}/{file.key}")
        metadata["bytes"] = MetadataValue.int(file.size)
    if (refused := partition.file(QUARANTINE)) is not None:
        metadata["quarantine"] = MetadataValue.path(f"s3://{bucket}/{refused.key}")
    return metadata


def index_metadata(manifest: TableManifest, current: Partition, *, bucket: str) -> dict[str, MetadataValue[Any]]:
    """Metadata of the index: lines by what became of them, where it lies."""
    metadata: dict[str, MetadataValue[Any]] = {
        name: MetadataValue.int(current.counts[name]) for name in ("serves", "corrected", "duplicate", "retracted")
    }
    metadata["dagster/row_count"] = MetadataValue.int(current.counts["serves"])
    metadata["version"] = MetadataValue.int(manifest.version)
    if (file := current.file(INDEX)) is not None:
        metadata["dagster/uri"] = MetadataValue.path(f"s3://{bucket}/{file.key}")
    return metadata


def table_schema() -> TableSchema:
    """The columns of evidence as Dagster shows them."""
    types = RESERVED_VIEWS["evidence"]
    return TableSchema(columns=[TableColumn(name, types[name], description=text) for name, text in MEANING.items()])
