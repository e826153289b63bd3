"""The asset `fold_back`: accepted runs and outcomes become playbook and pathway entries of the running API.

Belongs here: the asset and its metadata. Not here: the rules (see lakehouse/adapters/fold_back.py).
"""

# No postponed annotations here: Dagster reads the config class from the signature.

from dagster import AssetExecutionContext, Config, MaterializeResult, asset
from pydantic import Field

from lakehouse.adapters.evidence_materializer import RunFacts
from lakehouse_assets.dataset import OWNERS
from lakehouse_assets.failures import mapped_errors
from lakehouse_assets.resources import LakeStore
from lakehouse_assets.scored import scored
from lakehouse_assets.source_version import source_version


class FoldBackConfig(Config):
    """What a run may do."""

    dry_run: bool = Field(False, description="Only report what would be put into memory and withdrawn.")


@asset(
    name="fold_back",
    deps=[scored],
    code_version="1",
    group_name="distillation",
    kinds={"lance", "s3"},
    owners=OWNERS,
    tags={"layer": "memory"},
    pool="evidence",
)
def fold_back(context: AssetExecutionContext, config: FoldBackConfig, store: LakeStore) -> MaterializeResult[None]:
    """Memory of what went well and what did not: the next search and the next answer use it."""
    with mapped_errors(context.instance, context.run.run_id), store.lake.memory() as memory:
        run = RunFacts(context.run.run_id, source_version())
        report = store.lake.fold_back.run(memory, run, is_dry=config.dry_run)
    return MaterializeResult(
        metadata={
            "put": report.put,
            "refused": report.refused,
            "withdrawn": report.withdrawn,
            "holds": report.holds,
            "dry_run": report.is_dry,
        }
    )
