"""What the UI shows of a corpus after a build: rows, what was done and how fast, where it lies.

Belongs here: turning a build's report into Dagster metadata. Not here: the build (see corpus_child.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagster import DataVersion, MetadataValue, TableColumn, TableSchema

from lakehouse.tables.corpus import corpus_schema

COUNTS = ("new", "changed", "unchanged", "deleted", "embedded", "reused", "refused")


def data_version(report: Mapping[str, Any]) -> DataVersion:
    """A version that is the same exactly when declaration and source are the same."""
    return DataVersion(str(report["content"]))


def corpus_metadata(report: Mapping[str, Any], *, bucket: str) -> dict[str, MetadataValue[Any]]:
    """Metadata of one build.

    Args:
        report: What the child told: a `BuildReport` as a document.
        bucket: Where the table lies.
    """
    progress = report["progress"]
    metadata: dict[str, MetadataValue[Any]] = {
        "dagster/row_count": MetadataValue.int(report["rows"]),
        "dagster/uri": MetadataValue.path(f"s3://{bucket}/{report['uri']}"),
        "dagster/column_schema": MetadataValue.table_schema(table_schema(report["dimension"])),
        "embedder": MetadataValue.text(report["embedder"]),
        "version": MetadataValue.int(report["version"]),
        "fragments": MetadataValue.int(report["fragments"]),
        "is_changed": MetadataValue.bool(report["is_changed"]),
        "is_waiting": MetadataValue.bool(report["is_waiting"]),
        "source_rows": MetadataValue.int(progress["seen"]),
        "seconds": MetadataValue.float(round(progress["seconds"], 2)),
        "rows_per_s": MetadataValue.float(report["rows_per_s"]),
        "peak_rss_mib": MetadataValue.int(report["peak_rss_mib"]),
    }
    metadata |= {name: MetadataValue.int(progress[name]) for name in COUNTS}
    if report["quarantine_key"]:
        metadata["quarantine"] = MetadataValue.path(f"s3://{bucket}/{report['quarantine_key']}")
    return metadata


def table_schema(dimension: int) -> TableSchema:
    """The columns of a corpus as Dagster shows them."""
    return TableSchema(columns=[TableColumn(field.name, str(field.type)) for field in corpus_schema(dimension)])
