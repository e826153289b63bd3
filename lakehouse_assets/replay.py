"""The assets `replay` and `promotion_watch`: past tasks asked again at night, and whether what was promoted holds.

Belongs here: the assets and their metadata. Not here: what is tried, and what follows (see
lakehouse/adapters/replay_nightly.py, promotion.py), when (see jobs/replay.py).
"""

# No postponed annotations here: Dagster reads the context class from the signature.

import asyncio

from dagster import AssetExecutionContext, MaterializeResult, MetadataValue, asset

from lakehouse.replay.verdict import verdict_text
from lakehouse_assets.dataset import OWNERS
from lakehouse_assets.failures import mapped_errors
from lakehouse_assets.resources import LakeStore
from lakehouse_assets.scored import scored

GROUP = "replay"


@asset(
    name="replay",
    deps=[scored],
    code_version="1",
    group_name=GROUP,
    kinds={"parquet", "s3"},
    owners=OWNERS,
    tags={"layer": "replay"},
    pool="replay",
)
def replay(context: AssetExecutionContext, store: LakeStore) -> MaterializeResult[None]:
    """Past tasks under several arms, with a written verdict; a proposal that is surely better is made live."""
    with mapped_errors(context.instance, context.run.run_id):
        night = asyncio.run(store.lake.nightly.run())
    verdict = night.verdict
    return MaterializeResult(
        metadata={
            "batch": night.batch_id or "",
            "skipped": night.skipped or "",
            "proposed": night.proposed,
            "verdict": "" if verdict is None else verdict["verdict"],
            "promoted": night.promoted is not None,
            "report": MetadataValue.md("" if verdict is None else verdict_text(verdict)),
        }
    )


@asset(
    name="promotion_watch",
    deps=[scored],
    code_version="1",
    group_name=GROUP,
    kinds={"s3"},
    owners=OWNERS,
    tags={"layer": "replay"},
    pool="replay",
)
def promotion_watch(context: AssetExecutionContext, store: LakeStore) -> MaterializeResult[None]:
    """Outcomes of what was promoted: a config whose outcomes fell below what was expected is taken back."""
    with mapped_errors(context.instance, context.run.run_id):
        looked = store.lake.nightly.promotions.watch()
    told = [f"- {record['promotion_id']}: {decision.verdict} ({decision.reasons[0]})" for record, decision in looked]
    return MaterializeResult(
        metadata={
            "watched": len(looked),
            "rolled_back": sum(decision.verdict == "roll_back" for _, decision in looked),
            "report": MetadataValue.md("\n".join(told)),
        }
    )
