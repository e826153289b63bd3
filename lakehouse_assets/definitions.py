"""The composition root: everything Dagster loads, wired in one place.

An import reads neither the environment nor the store nor a database; `defs`, which Dagster calls, reads the settings.

Belongs here: `build_defs` and the module attribute `defs`. Not here: any definition itself.
"""

from __future__ import annotations

from pathlib import Path

from dagster import Definitions, PipesSubprocessClient, definitions, in_process_executor

from jobs.audit import audit_job, audit_schedules
from jobs.drift import drift_jobs, drift_schedules
from jobs.evidence import evidence_jobs, evidence_schedules
from jobs.housekeeping import housekeeping_assets, housekeeping_jobs, housekeeping_schedules
from jobs.ingest import ingest_job
from jobs.replay import replay_jobs, replay_schedules
from jobs.retrieval import corpora_behind, corpus_jobs, optimize, optimize_job, retrieval_schedules
from jobs.triage import triage_job, triage_schedule
from lakehouse.adapters.corpus_files import read_folder
from lakehouse_assets.audit_full import audit_full
from lakehouse_assets.corpora import corpora_automation, corpus_assets
from lakehouse_assets.corpus_checks import corpus_checks
from lakehouse_assets.dataset import dataset, landing
from lakehouse_assets.dataset_checks import dataset_checks
from lakehouse_assets.drift import drift_assets, drift_checks
from lakehouse_assets.evidence import evidence_assets, evidence_index, raw_streams
from lakehouse_assets.evidence_checks import evidence_checks
from lakehouse_assets.exports import export_assets
from lakehouse_assets.fold_back import fold_back
from lakehouse_assets.processes import PROJECT
from lakehouse_assets.replay import promotion_watch, replay
from lakehouse_assets.resources import LakeStore
from lakehouse_assets.scored import scored, verdicts_are_steady
from lakehouse_assets.sensor_ticks import sensors_tick
from lakehouse_assets.trajectories import agent_trajectories, trajectory_files
from lakehouse_assets.triage import triage
from lakehouse_assets.workflows import workflow_batch
from sensors.catalog import catalog_sensor
from sensors.failures import failure_sensor
from sensors.landing import landing_sensor

CORPORA = PROJECT / "corpora"


def build_defs(store: LakeStore | None = None, *, corpora: Path = CORPORA) -> Definitions:
    """All definitions of the code location.

    Args:
        store: The lake; by default the one that the process's settings describe, connected on first use.
        corpora: The folder of corpus declarations, by default the project's; one that is missing declares none.
    """
    declared = read_folder(corpora)
    return Definitions(
        assets=[
            landing,
            dataset,
            trajectory_files,
            agent_trajectories,
            *raw_streams,
            *evidence_assets,
            evidence_index,
            scored,
            *drift_assets,
            *export_assets,
            fold_back,
            replay,
            promotion_watch,
            triage,
            workflow_batch,
            *corpus_assets(declared),
            optimize,
            audit_full,
            *housekeeping_assets,
        ],
        asset_checks=[
            *dataset_checks,
            *evidence_checks(),
            verdicts_are_steady,
            *drift_checks,
            *corpus_checks(declared),
            sensors_tick,
        ],
        jobs=[
            ingest_job,
            *evidence_jobs,
            *drift_jobs,
            *replay_jobs,
            *corpus_jobs([d.name for d in declared]),
            optimize_job,
            triage_job,
            audit_job,
            *housekeeping_jobs,
        ],
        schedules=[
            *evidence_schedules,
            *drift_schedules,
            *replay_schedules,
            corpora_behind(declared),
            *retrieval_schedules,
            triage_schedule,
            *audit_schedules,
            *housekeeping_schedules,
        ],
        sensors=[landing_sensor, catalog_sensor, failure_sensor, corpora_automation],
        resources={"store": store or LakeStore(), "child": PipesSubprocessClient()},
        executor=in_process_executor,
    )


@definitions
def defs() -> Definitions:
    """All definitions, with the corpora of the folder that the settings name, as the command has them.

    Raises:
        SettingsError: A setting is wrong; Dagster shows it as the fault of the code location.
    """
    store = LakeStore()
    return build_defs(store, corpora=store.lake.settings.corpora_dir)
