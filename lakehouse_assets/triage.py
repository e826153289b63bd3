"""The asset `triage`: the queue of what needs a person, brought up to date with scores, reviews, drift and builds.

Belongs here: the asset and its metadata. Not here: the rules (see lakehouse/triage), filling (see
lakehouse/adapters/triage_fill.py), when (see jobs/triage.py).
"""

# No postponed annotations here: Dagster reads the context class from the signature.

from dagster import AssetExecutionContext, MaterializeResult, asset

from lakehouse.adapters.event_log import EventLog
from lakehouse.adapters.triage_fill import TriageFiller
from lakehouse.adapters.triage_queue import TriageQueue
from lakehouse.adapters.triage_sources import TriageSources
from lakehouse.clock import utc_now
from lakehouse_assets.dataset import OWNERS
from lakehouse_assets.failures import mapped_errors
from lakehouse_assets.resources import LakeStore
from lakehouse_assets.scored import scored


@asset(
    name="triage",
    deps=[scored],
    code_version="1",
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
        events = EventLog(lake.settings, lake.objects)
        events.start()
        try:
            filler = TriageFiller(
                TriageQueue(lake.objects), events.append_sync, most_open=lake.settings.triage_max_open
            )
            now = utc_now()
            sources = TriageSources(lake.objects, lake.read_location, lake.work_dir)
            report = filler.fill(sources.items(now), now)
        finally:
            events.stop()
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
