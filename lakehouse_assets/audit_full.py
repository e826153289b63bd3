"""The asset `audit_full`: the audit of the whole platform, its report in the UI, a check that no phase failed.

Belongs here: the asset, what an operator may decide, its metadata and check. Not here: the audit (see
lakehouse/adapters/audit_full.py), schedules (see jobs/audit.py), audit lines of other runs (see audit.py).
"""

# No postponed annotations here: Dagster reads the config class from the signature.

from typing import Any

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetExecutionContext,
    AssetKey,
    Config,
    MaterializeResult,
    MetadataValue,
    asset,
)
from pydantic import Field

from lakehouse.audit.report import FullReport
from lakehouse.errors import BadInput
from lakehouse_assets.dataset import OWNERS
from lakehouse_assets.failures import mapped_errors
from lakehouse_assets.processes import PROJECT
from lakehouse_assets.resources import LakeConnection, LakeStore
from lakehouse_assets.source_version import source_version

CHECK = "no_phase_failed"
KEY = AssetKey("audit_full")


class AuditConfig(Config):
    """What an operator may decide for one audit."""

    phases: list[int] = Field([], description="Numbers of the phases that are made; empty: all, 0 to 7.")
    set_baseline: bool = Field(False, description="Hold later audits against the metrics of this one, if it is sound.")


@asset(
    key=KEY,
    check_specs=[AssetCheckSpec(CHECK, asset=KEY)],
    code_version="1",
    group_name="housekeeping",
    kinds={"s3"},
    owners=OWNERS,
    pool="evidence",
)
def audit_full(context: AssetExecutionContext, config: AuditConfig, store: LakeStore) -> MaterializeResult:  # type: ignore[type-arg]  # Dagster takes a result with checks only without its argument
    """Set-up, contracts, evidence, scores, exports, receipts, acceptance, live replay: the report of a whole audit."""
    with mapped_errors(context.instance, context.run.run_id):
        report, key = _audited(store.lake, config, run_id=context.run.run_id)
    return MaterializeResult(metadata=_metadata(report, key, store.lake), check_results=[_check(report)])


def _audited(lake: LakeConnection, config: AuditConfig, *, run_id: str) -> tuple[FullReport, str]:
    from lakehouse.adapters.audit_full import ALL, FullAuditor
    from lakehouse.adapters.audit_full_parts import AuditParts
    from lakehouse.adapters.evidence_materializer import RunFacts

    parts = AuditParts(
        settings=lake.settings,
        store=lake.objects,
        location=lake.read_location,
        work_dir=lake.work_dir,
        materializer=lake.evidence,
        index=lake.evidence_index,
        scored=lake.scored,
        exports=lake.exports,
        run=RunFacts(run_id, source_version()),
        api=lake.api,
        openapi=PROJECT / "docs" / "reference" / "openapi.json",
    )
    if config.set_baseline and config.phases:
        raise BadInput("a baseline is of all phases; leave `phases` empty")
    auditor = FullAuditor(parts)
    report = auditor.audit(config.phases or ALL)
    key = auditor.keep(report, actor="dagster", client="dagster")
    if config.set_baseline:
        auditor.set_baseline(report, by="dagster")
    return report, key


def _check(report: FullReport) -> AssetCheckResult:
    failed = {
        one.phase.name: [f"{check.name}: {check.what}" for check in one.checks if check.verdict == "fail"]
        for one in report.phases
        if one.verdict == "fail"
    }
    return AssetCheckResult(
        check_name=CHECK,
        passed=report.is_sound,
        severity=AssetCheckSeverity.ERROR,
        metadata={"failed": MetadataValue.json(failed)},
    )


def _metadata(report: FullReport, key: str, lake: LakeConnection) -> dict[str, MetadataValue[Any]]:
    return {
        "audit_id": MetadataValue.text(report.audit_id),
        "dagster/uri": MetadataValue.path(f"s3://{lake.objects.bucket}/{key}"),
        "phases": MetadataValue.json({one.phase.name: one.verdict for one in report.phases}),
        "metrics": MetadataValue.json(report.metrics),
        "report": MetadataValue.md(report.to_markdown()),
    }
