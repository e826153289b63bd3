"""The asset `triage`: the queue of what needs a person, brought up to date with scores, reviews, drift and builds.

Belongs here: the asset and its metadata. Not here: the rules (see lakehouse/triage), filling (see
lakehouse/adapters/triage_run.py), when (see jobs/triage.py).
"""

# No postponed annotations here: Dagster reads the context class from the signature.

from dagster import AssetExecutionContext, MaterializeResult, asset

from lakehouse.adapters.evidence_materializer import RunFacts
from lakehouse.adapters.triage_run import CODE_VERSION, fill_queue
from lakehouse_assets.dataset import OWNERS
from lakehouse_assets.failures import mapped_errors
from lakehouse_assets.resources import LakeStore
from lakehouse_assets.scored import scored
from lakehouse_assets.source_version import source_version


@asset(
    name="triage",
    deps=[scored],
    code_version=CODE_VERSION,
    group_name="triage",
    kinds={"s3"},
    owners=OWNERS,
    tags={"layer": "triage"},
    pool="evidence",
)
def triage(context: AssetExecutionContext, store: LakeStore) -> MaterializeResult[None]:
    """What waits for people: what asks and is not there goes in, what asks no more goes out."""
    lake = store.lake
    with mapped_errors(context.instance, context.run.run_id):
        run = RunFacts(context.run.run_id, source_version())
        report = fill_queue(lake.settings, lake.objects, lake.read_location, run, work_dir=lake.work_dir)
    return MaterializeResult(
        metadata={
            "dagster/row_count": report.waiting,
            "asked": report.asked,
            "added": dict(report.added),
            "updated": report.updated,
            "known": report.known,
            "withdrawn": report.withdrawn,
            "left_out": report.left_out,
            "finished": report.finished,
        }
    )
