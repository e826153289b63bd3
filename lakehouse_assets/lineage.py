"""Lineage kept for good: the materializations of runs whose records go, as Parquet under audits/lineage/.

Belongs here: which events are kept, and the table's columns. Not here: which runs go (see run_history.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson
from dagster import AssetRecordsFilter, DagsterInstance, EventLogRecord

from lakehouse.storage.objects import ObjectStore

if TYPE_CHECKING:
    import pyarrow as pa

PREFIX = "audits/lineage/"
DATA_VERSION = "dagster/data_version"
PAGE = 1000
PLAIN = (str, int, float, bool)


def export_lineage(
    instance: DagsterInstance, store: ObjectStore, runs: Collection[str], *, now: datetime, name: str
) -> str | None:
    """Write every materialization of some runs to the bucket; gives the key, None when there was none.

    Args:
        instance: Dagster's storage.
        store: The bucket.
        runs: The runs.
        now: The day that names the folder; aware.
        name: The file's name without suffix; the same name again replaces the file.

    Raises:
        StoreUnavailable: The store does not answer; nothing may be deleted then.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [row for key in instance.all_asset_keys() for row in _rows_of(instance, key, frozenset(runs))]
    if not rows:
        return None
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema=_schema()), sink, compression="zstd")
    path = f"{PREFIX}dt={now:%Y-%m-%d}/{name}.parquet"
    store.put(path, sink.getvalue().to_pybytes())
    return path


def _schema() -> pa.Schema:
    import pyarrow as pa

    texts = ("asset", "partition", "run_id", "data_version", "metadata")
    return pa.schema([("at", pa.timestamp("us", tz="UTC")), *((name, pa.string()) for name in texts)])


def _rows_of(instance: DagsterInstance, key: Any, runs: frozenset[str]) -> Iterator[dict[str, Any]]:
    cursor: str | None = None
    while True:
        page = instance.fetch_materializations(AssetRecordsFilter(asset_key=key), limit=PAGE, cursor=cursor)
        yield from (_row(record) for record in page.records if record.run_id in runs)
        if not page.has_more:
            return
        cursor = page.cursor


def _row(record: EventLogRecord) -> dict[str, Any]:
    made = record.asset_materialization
    assert made is not None
    values = {name: value.value for name, value in made.metadata.items()}
    return {
        "at": datetime.fromtimestamp(record.timestamp, UTC),
        "asset": made.asset_key.to_user_string(),
        "partition": made.partition,
        "run_id": record.run_id,
        "data_version": (made.tags or {}).get(DATA_VERSION),
        # Samples and schemas are in the bucket already; what is kept are the numbers and names.
        "metadata": orjson.dumps({n: v for n, v in values.items() if isinstance(v, PLAIN) and n != "sample"}).decode(),
    }
