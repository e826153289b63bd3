"""Views: what a dataset looks like to SQL, masked or in full.

Belongs here: the text of views from manifests. Not here: running it (see lakehouse/adapters/sql_worker.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from lakehouse.catalog.manifest import Column, Manifest
from lakehouse.query.quoting import quote_name, quote_text
from lakehouse.tables.reserved import RESERVED_VIEWS

MASK = "[masked]"


@dataclass(frozen=True, slots=True)
class ViewSpec:
    """A view as a worker needs it: equal `identity`, equal view."""

    name: str
    identity: str
    full_sql: str
    masked_sql: str


def dataset_view(manifest: Manifest, bucket: str) -> ViewSpec:
    """The view of one version of a dataset.

    A masked column is a constant for every row, so that neither a null, nor a length, a sort, a join or a cast tells
    anything of the value; its type is VARCHAR there.
    """
    full = _select(manifest, bucket, [_plain(c) for c in manifest.columns])
    masked = _select(manifest, bucket, [_masked(c) if c.pii else _plain(c) for c in manifest.columns])
    return ViewSpec(manifest.name, manifest.commit_id, full, masked)


def reserved_view(name: str) -> ViewSpec:
    """The empty view of a reserved name."""
    columns = [Column(n, t) for n, t in RESERVED_VIEWS[name].items()]
    empty = _empty(columns, [_plain(c) for c in columns])
    return ViewSpec(name, "empty", empty, empty)


def _select(manifest: Manifest, bucket: str, selected: list[str]) -> str:
    files = ", ".join(quote_text(f"s3://{bucket}/{o.key}") for o in manifest.objects if o.row_count)
    if not files:
        return _empty(manifest.columns, selected)
    # Files of several schemas are read by name; one schema saves the look into every footer.
    fingerprints = {o.key.split("/")[2] for o in manifest.objects}
    union = ", union_by_name = true" if len(fingerprints) > 1 else ""
    columns = ", ".join(f"CAST({quote_name(c.name)} AS {c.type}) AS {quote_name(c.name)}" for c in manifest.columns)
    source = f"SELECT {columns} FROM read_parquet([{files}]{union}, hive_partitioning = false)"
    return f"SELECT {', '.join(selected)} FROM ({source})"


def _empty(columns: tuple[Column, ...] | list[Column], selected: list[str]) -> str:
    nulls = ", ".join(f"CAST(NULL AS {c.type}) AS {quote_name(c.name)}" for c in columns)
    return f"SELECT {', '.join(selected)} FROM (SELECT {nulls}) WHERE false"


def _plain(column: Column) -> str:
    return quote_name(column.name)


def _masked(column: Column) -> str:
    return f"{quote_text(MASK)} AS {quote_name(column.name)}"
