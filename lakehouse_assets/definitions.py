"""The composition root: everything Dagster loads, wired in one place.

Nothing here reads the environment, the store or a database: every run worker and code server imports this module.

Belongs here: `build_defs` and the module attribute `defs`. Not here: any definition itself.
"""

from __future__ import annotations

from dagster import Definitions, in_process_executor

from jobs.housekeeping import housekeeping_assets, housekeeping_jobs, housekeeping_schedules
from jobs.ingest import ingest_job
from lakehouse_assets.dataset import dataset, landing
from lakehouse_assets.dataset_checks import dataset_checks
from lakehouse_assets.resources import LakeStore
from lakehouse_assets.sensor_ticks import sensors_tick
from sensors.catalog import catalog_sensor
from sensors.failures import failure_sensor
from sensors.landing import landing_sensor


def build_defs(store: LakeStore | None = None) -> Definitions:
    """All definitions of the code location.

    Args:
        store: The lake; by default the one that the process's settings describe, connected on first use.
    """
    return Definitions(
        assets=[landing, dataset, *housekeeping_assets],
        asset_checks=[*dataset_checks, sensors_tick],
        jobs=[ingest_job, *housekeeping_jobs],
        schedules=list(housekeeping_schedules),
        sensors=[landing_sensor, catalog_sensor, failure_sensor],
        resources={"store": store or LakeStore()},
        executor=in_process_executor,
    )


defs = build_defs()
