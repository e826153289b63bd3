"""What the UI shows of a dataset's version: rows, bytes, schema, place, a sample with personal data masked.

Belongs here: turning a manifest into Dagster metadata. Not here: making the version (see dataset.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from dagster import DataVersion, MetadataValue, TableColumn, TableSchema

from lakehouse.catalog.manifest import Column, Manifest, format_utc

MASK = "•••"
SAMPLE_ROWS = 10
MAX_CELL_CHARACTERS = 60


def data_version(manifest: Manifest) -> DataVersion:
    """A version that is the same exactly when schema and content are the same."""
    digest = hashlib.sha256(manifest.schema_fingerprint.encode())
    for data_object in manifest.objects:
        digest.update(b"\x1f" + data_object.sha256.encode())
    return DataVersion(digest.hexdigest())


def dataset_metadata(
    manifest: Manifest, *, bucket: str, sample: Sequence[Sequence[Any]] = ()
) -> dict[str, MetadataValue[Any]]:
    """Metadata of one version.

    Args:
        manifest: The version.
        bucket: Where its files lie.
        sample: Some rows, in the order of the manifest's columns.
    """
    metadata: dict[str, MetadataValue[Any]] = {
        "dagster/row_count": MetadataValue.int(manifest.row_count),
        "dagster/uri": MetadataValue.path(f"s3://{bucket}/datasets/{manifest.name}/{manifest.schema_fingerprint}/"),
        "dagster/column_schema": MetadataValue.table_schema(table_schema(manifest.columns)),
        "bytes": MetadataValue.int(manifest.size_bytes),
        "objects": MetadataValue.int(len(manifest.objects)),
        "version": MetadataValue.int(manifest.version),
        "dataset_id": MetadataValue.text(manifest.dataset_id),
        "schema_fingerprint": MetadataValue.text(manifest.schema_fingerprint),
        "updated_at": MetadataValue.text(format_utc(manifest.updated_at)),
        "committed_by": MetadataValue.text(manifest.committed_by or "unknown"),
    }
    if sample:
        metadata["sample"] = MetadataValue.md(markdown_table(manifest.columns, sample))
    return metadata


def table_schema(columns: Iterable[Column]) -> TableSchema:
    """The columns as Dagster shows them; personal data is named as such."""
    return TableSchema(
        columns=[
            TableColumn(c.name, c.type, description="personal data, masked without the scope pii" if c.pii else None)
            for c in columns
        ]
    )


def markdown_table(columns: Sequence[Column], rows: Iterable[Sequence[Any]]) -> str:
    """Rows as a Markdown table; a cell of a column that holds personal data shows a mask."""
    lines = [_line(_cell(c.name) for c in columns), _line("---" for _ in columns)]
    for row in rows:
        lines.append(_line(MASK if c.pii and v is not None else _cell(v) for c, v in zip(columns, row, strict=True)))
    return "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = " ".join(str(value).split())
    shown = text if len(text) <= MAX_CELL_CHARACTERS else f"{text[: MAX_CELL_CHARACTERS - 1]}…"
    for character in "\\|`*_<>[]":
        shown = shown.replace(character, f"\\{character}")
    return shown
