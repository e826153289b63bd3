"""Runs over several partitions of which some fail: the others are told as done before the run fails.

Belongs here: what Dagster would have written of a partition that is done. Not here: the failure (see failures.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagster import AssetExecutionContext, AssetKey, AssetMaterialization, AssetRecordsFilter


def input_tags(context: AssetExecutionContext, upstream: AssetKey, partition: str | None) -> dict[str, str]:
    """What Dagster writes of an input in a run that succeeds; without it a partition passes for stale.

    `partition`: None where the input has none.
    """
    wanted = AssetRecordsFilter(upstream, asset_partitions=[partition] if partition is not None else None)
    records = context.instance.fetch_materializations(wanted, limit=1).records
    made = records[0].asset_materialization if records else None
    version = ((made.tags if made is not None else None) or {}).get("dagster/data_version", "INITIAL")
    pointer = str(records[0].storage_id) if records else "NULL"
    name = upstream.to_user_string()
    return {f"dagster/input_data_version/{name}": version, f"dagster/input_event_pointer/{name}": pointer}


def tell_done(
    context: AssetExecutionContext,
    key: AssetKey,
    partition: str,
    *,
    metadata: Mapping[str, Any],
    data_version: str | None,
    code_version: str,
    inputs: Mapping[str, str],
) -> None:
    """Tell Dagster that a partition is made, though the run is going to fail for others.

    Args:
        context: The run.
        key: The asset.
        partition: Which one is done.
        metadata: What the UI shows of it.
        data_version: Of what was made; None: there is nothing.
        code_version: Of the asset.
        inputs: As `input_tags` gave them when the partition was begun.
    """
    versions = {} if data_version is None else {"dagster/data_version": data_version}
    tags = {**versions, "dagster/code_version": code_version, **inputs}
    context.log_event(AssetMaterialization(key, metadata=metadata, partition=partition, tags=tags))
