"""The assets `drift/<kind>`: a report of yesterday each, and the check that keeps corpora from being built of drift.

Belongs here: the assets, what an operator may decide, their metadata and checks. Not here: comparing (see
lakehouse/adapters/drift_desk.py), when drift stops builds (see lakehouse/drift/freeze.py), schedules (jobs/drift.py).
"""

# No postponed annotations here: Dagster reads the config class from the signature.

import base64
from collections.abc import Sequence
from datetime import date
from typing import Any

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    AssetDep,
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    Config,
    MaterializeResult,
    MetadataValue,
    asset,
    asset_check,
)
from pydantic import Field

from lakehouse.drift.finding import KINDS, Kind
from lakehouse.drift.report import DriftReport
from lakehouse.drift.rule_file import default_rules
from lakehouse.errors import BadInput
from lakehouse_assets.dataset import OWNERS
from lakehouse_assets.failures import mapped_errors
from lakehouse_assets.resources import LakeConnection, LakeStore
from lakehouse_assets.scored import scored

GROUP = "drift"
CHECK = "no_open_drift"
_MOST_PNG = 100 << 10
_SAID = {
    "scorer": "The same runs, scored by the rules of today and by those of the baseline.",
    "playbook": "How often the playbook moves a search, what it gains over the hold-out arm, how much of it is stale.",
    "embedding": "Vectors of corpora against a sample of the baseline; neighbours, where the model was changed.",
    "audit": "The metrics of the full audits of a day against the baseline of audits.",
    "outcome": "Outcome, latency and cost of each model version against the baseline.",
}


class DriftConfig(Config):
    """What an operator may decide for one report."""

    day: str = Field("", description="The day, YYYY-MM-DD; empty: yesterday (UTC).")


def drift_key(kind: Kind) -> AssetKey:
    """The asset of a kind."""
    return AssetKey(["drift", kind])


def _asset(kind: Kind) -> AssetsDefinition:
    @asset(
        key=drift_key(kind),
        deps=[AssetDep(scored)] if kind in ("scorer", "outcome") else [],
        code_version=default_rules().version,
        description=_SAID[kind],
        group_name=GROUP,
        kinds={"s3"},
        owners=OWNERS,
        tags={"layer": "drift"},
        pool="evidence",
    )
    def drift(context: AssetExecutionContext, config: DriftConfig, store: LakeStore) -> MaterializeResult[None]:
        with mapped_errors(context.instance, context.run.run_id):
            done = store.lake.drift.run(kind, _day(config.day))
            metadata = _metadata(done.report, store.lake, is_new=done.is_new)
        return MaterializeResult(metadata=metadata)

    return drift


def _check(kind: Kind) -> AssetChecksDefinition:
    @asset_check(
        asset=drift_key(kind),
        name=CHECK,
        blocking=True,
        description=f"No drift of {kind} is confirmed that nobody has acknowledged.",
    )
    def no_open_drift(context: AssetCheckExecutionContext, store: LakeStore) -> AssetCheckResult:
        with mapped_errors(context.instance, context.run.run_id):
            shut = store.lake.drift.gate.open_drift(kind)
            latest = store.lake.drift.reports.latest(kind)
        if shut is not None:
            return AssetCheckResult(
                passed=False,
                severity=AssetCheckSeverity.ERROR,
                description=f"{shut}; corpora wait for: lakehouse drift acknowledge {kind} --by WHO --why REASON",
                metadata={"findings": list(shut.findings), "confirmed_by": shut.confirmed_by},
            )
        # What is not confirmed yet is told and stops nothing; neither does what was acknowledged.
        is_new = latest is not None and latest.verdict == "drift" and latest.confirmed_by is None
        return AssetCheckResult(
            passed=not is_new,
            severity=AssetCheckSeverity.WARN,
            description=f"drift on {latest.day}, not confirmed yet" if latest is not None and is_new else None,
        )

    return no_open_drift


drift_assets: Sequence[AssetsDefinition] = [_asset(kind) for kind in KINDS]
drift_checks: Sequence[AssetChecksDefinition] = [_check(kind) for kind in KINDS]
drift_keys: Sequence[AssetKey] = [drift_key(kind) for kind in KINDS]


def _metadata(report: DriftReport, lake: LakeConnection, *, is_new: bool) -> dict[str, MetadataValue[Any]]:
    metadata: dict[str, MetadataValue[Any]] = {
        "dagster/uri": MetadataValue.path(f"s3://{lake.objects.bucket}/{report.prefix}report.json"),
        "day": MetadataValue.text(report.day.isoformat()),
        "status": MetadataValue.text(report.status),
        "verdict": MetadataValue.text(report.verdict or "none"),
        "confirmed_by": MetadataValue.text(report.confirmed_by or "nothing"),
        "is_new": MetadataValue.bool(is_new),
        "report": MetadataValue.md(report.to_markdown()),
    }
    key = f"{report.prefix}effects.png"
    if report.findings and lake.objects.head(key) is not None:
        png = lake.objects.get(key).body
        if len(png) < _MOST_PNG:
            metadata["chart"] = MetadataValue.md(f"![effects](data:image/png;base64,{base64.b64encode(png).decode()})")
    return metadata


def _day(text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadInput(f"{text[:40]!r} is not a day; write YYYY-MM-DD") from None
