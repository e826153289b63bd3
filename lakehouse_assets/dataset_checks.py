"""Checks of the asset `dataset`: the files hold what the manifest says, and nothing shrank unnoticed.

Belongs here: the checks and the rule on shrinking. Not here: validation before publishing (see lakehouse/ingest).
"""

# No postponed annotations here: Dagster reads the context class from the signature.

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from dagster import AssetCheckExecutionContext, AssetCheckResult, AssetChecksDefinition, AssetCheckSeverity, asset_check

from lakehouse.adapters.parquet_inspection import ParquetContent, inspect_parquet
from lakehouse.catalog.manifest import Manifest
from lakehouse.counted import counted
from lakehouse.errors import Gone, NotFound
from lakehouse_assets.dataset import dataset
from lakehouse_assets.failures import mapped_errors
from lakehouse_assets.partitions import datasets_partitions
from lakehouse_assets.resources import LakeConnection, LakeStore

LARGE_SHRINK = 0.5
_WIDENED = ("BIGINT", "DOUBLE")


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found of one dataset; empty `problem` means that all is well."""

    name: str
    problem: str = ""
    is_severe: bool = True


@asset_check(asset=dataset, partitions_def=datasets_partitions)
def row_count_matches_manifest(context: AssetCheckExecutionContext, store: LakeStore) -> AssetCheckResult:
    """The Parquet footers add up to the manifest's row count."""
    with mapped_errors(context.instance, context.run.run_id):
        return result_of(check_each(store.lake, context.partition_keys, check_row_count))


@asset_check(asset=dataset, partitions_def=datasets_partitions)
def types_as_declared(context: AssetCheckExecutionContext, store: LakeStore) -> AssetCheckResult:
    """Every file has the manifest's columns with the manifest's types, in order."""
    with mapped_errors(context.instance, context.run.run_id):
        return result_of(check_each(store.lake, context.partition_keys, check_types))


@asset_check(asset=dataset, partitions_def=datasets_partitions)
def no_silent_shrink(context: AssetCheckExecutionContext, store: LakeStore) -> AssetCheckResult:
    """Rows do not go while their sources stay; losing half of them with a new source is a warning."""
    with mapped_errors(context.instance, context.run.run_id):
        return result_of([check_shrink(store.lake, name) for name in context.partition_keys])


dataset_checks: Sequence[AssetChecksDefinition] = (row_count_matches_manifest, types_as_declared, no_silent_shrink)


def check_each(
    lake: LakeConnection, names: Sequence[str], check: Callable[[Manifest, Sequence[ParquetContent]], Finding]
) -> list[Finding]:
    """Check some datasets against what their files hold; the files of all are read in one go."""
    manifests = [lake.catalog.get(name) for name in names]
    contents = iter(inspect_parquet(lake.read_location, [o.key for m in manifests for o in m.objects]))
    return [check(manifest, list(islice(contents, len(manifest.objects)))) for manifest in manifests]


def check_row_count(manifest: Manifest, contents: Sequence[ParquetContent]) -> Finding:
    """Compare the rows that each data file holds with those the manifest claims for it."""
    for claimed, held in zip(manifest.objects, contents, strict=True):
        if held.row_count != claimed.row_count:
            problem = f"{claimed.key} holds {counted(held.row_count, 'row')}, the manifest says {claimed.row_count}"
            return Finding(manifest.name, problem)
    return Finding(manifest.name)


def check_types(manifest: Manifest, contents: Sequence[ParquetContent]) -> Finding:
    """Compare the columns of each data file with the manifest's.

    A file of an earlier schema may lack columns, and have narrower types: the view reads it by name.
    """
    declared = tuple((c.name, c.type) for c in manifest.columns)
    for data_object, held in zip(manifest.objects, contents, strict=True):
        is_earlier = f"/{manifest.schema_fingerprint}/" not in data_object.key
        if is_earlier and _fits(held.columns, dict(declared)):
            continue
        if held.columns != declared:
            differing = [f"{a} instead of {b}" for a, b in zip(held.columns, declared, strict=False) if a != b]
            problem = "; ".join(differing) or "another number of columns"
            return Finding(manifest.name, f"{data_object.key}: {problem}")
    return Finding(manifest.name)


def _fits(held: Sequence[tuple[str, str]], declared: dict[str, str]) -> bool:
    """Whether a file's columns are some of the declared ones, with their types or ones that were widened since."""
    return all(declared.get(name) in (kind, "VARCHAR") or (kind, declared.get(name)) == _WIDENED for name, kind in held)


def check_shrink(lake: LakeConnection, name: str) -> Finding:
    """Compare the live version with its parent, when that can still be read."""
    manifest = lake.catalog.get(name)
    if manifest.parent_version is None or manifest.previous_deleted_at is not None:
        return Finding(name)
    try:
        return judge_shrink(lake.catalog.get(name, version=manifest.parent_version), manifest)
    except (Gone, NotFound):
        return Finding(name)


def judge_shrink(before: Manifest, now: Manifest) -> Finding:
    """Decide whether a version lost rows that nobody took away.

    A source that went or changed explains a loss. Rows lost while every source stayed are a fault; a loss of half
    the rows or more with an explanation is worth a warning.
    """
    lost = before.row_count - now.row_count
    if lost <= 0:
        return Finding(now.name)
    said = f"version {now.version} has {counted(now.row_count, 'row')}, version {before.version} had {before.row_count}"
    if {_source(o) for o in before.objects} <= {_source(o) for o in now.objects}:
        return Finding(now.name, f"{said}, although every source of it is still there")
    if lost >= before.row_count * LARGE_SHRINK:
        return Finding(now.name, f"{said}: a source was replaced or removed", is_severe=False)
    return Finding(now.name)


def result_of(findings: Sequence[Finding]) -> AssetCheckResult:
    """One result for all partitions of a run; it fails as severely as the worst of them."""
    bad = [f for f in findings if f.problem]
    is_severe = any(f.is_severe for f in bad)
    return AssetCheckResult(
        passed=not bad,
        severity=AssetCheckSeverity.ERROR if is_severe or not bad else AssetCheckSeverity.WARN,
        description="; ".join(f"{f.name}: {f.problem}" for f in bad) or None,
        metadata={"datasets": len(findings), "failing": len(bad)},
    )


def _source(data_object: object) -> tuple[object, ...]:
    return tuple(getattr(data_object, part) for part in ("source_sha256", "source_key", "source_etag"))
