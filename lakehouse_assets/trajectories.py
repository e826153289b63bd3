"""The asset `agent_trajectories`: files of published and foreign runs in the bucket, imported as raw lines.

Belongs here: the asset, its check, its receipt. Not here: importing (see lakehouse/adapters/trajectory_import.py), what
is shown of it (see trajectories_metadata.py), evidence made of the lines.
"""

# No postponed annotations here: Dagster reads the context class from the signature.

from collections.abc import Iterator
from datetime import datetime

from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetExecutionContext,
    AssetSpec,
    MaterializeResult,
    asset,
)

from lakehouse.adapters.trajectory_import import Imported, import_job
from lakehouse.adapters.trajectory_objects import FetchedFiles, read_folder
from lakehouse.adapters.trajectory_writer import known_imports
from lakehouse.clock import utc_now
from lakehouse.counted import counted
from lakehouse.errors import BadInput
from lakehouse.receipts.receipt import Receipt, ReceiptCounts, ReceiptItem, write_receipt
from lakehouse.trajectories.formats import FORMATS
from lakehouse.trajectories.published import Finding
from lakehouse_assets.dataset import OWNERS
from lakehouse_assets.failures import mapped_errors
from lakehouse_assets.resources import LakeConnection, LakeStore
from lakehouse_assets.source_version import source_version
from lakehouse_assets.trajectories_metadata import import_metadata

CODE_VERSION = "1"
PARTITION = "all"
CHECK = "every_file_is_imported"

trajectory_files = AssetSpec(
    "trajectory_files",
    description="Files that users put under `files/trajectories/<format>/`: benchmarks, logs of calls, spans.",
    group_name="lake",
    kinds={"s3", "json"},
    owners=OWNERS,
    tags={"layer": "landing"},
)


@asset(
    name="agent_trajectories",
    deps=[trajectory_files],
    check_specs=[AssetCheckSpec(CHECK, asset="agent_trajectories")],
    code_version=CODE_VERSION,
    group_name="lake",
    kinds={"json", "s3"},
    owners=OWNERS,
    tags={"layer": "raw"},
    pool="ingest",
)
def agent_trajectories(context: AssetExecutionContext, store: LakeStore) -> MaterializeResult:  # type: ignore[type-arg]  # Dagster takes a result with checks only without its argument
    """Raw lines of runs that others have made: one object for each file, written once."""
    started_at = utc_now()
    with mapped_errors(context.instance, context.run.run_id):
        done, findings = import_all(store.lake, now=started_at)
        receipt = receipt_of(done, run_id=context.run.run_id, started_at=started_at)
        write_receipt(store.lake.objects, receipt)
    return MaterializeResult(metadata=import_metadata(done, findings), check_results=[judge_files(done)])


def import_all(lake: LakeConnection, *, now: datetime) -> tuple[list[Imported], list[Finding]]:
    """Import what lies in the folders of all formats and was not imported before.

    Returns:
        What came of each file, and published figures held against the rows.

    Raises:
        StoreUnavailable: The store does not answer.
    """
    done = list(_imported(lake, now=now))
    return done, list(_checked(lake, done))


def judge_files(done: list[Imported]) -> AssetCheckResult:
    """Whether all files were taken, and all in them."""
    failed = [one.error for one in done if one.error]
    refused = sum(one.summary.refused for one in done)
    return AssetCheckResult(
        check_name=CHECK,
        passed=not failed and not refused,
        severity=AssetCheckSeverity.ERROR if failed else AssetCheckSeverity.WARN,
        description="; ".join(failed[:5]) or (f"{counted(refused, 'element', 'was')} refused" if refused else None),
        metadata={"failed": len(failed), "refused": refused},
    )


def receipt_of(done: list[Imported], *, run_id: str, started_at: datetime) -> Receipt:
    """The receipt of a run: files in, raw objects out; files that were imported before give no rows."""
    summaries = [one.summary for one in done]
    new, duplicate = sum(s.runs for s in summaries), sum(s.duplicates for s in summaries)
    refused = sum(s.refused for s in summaries)
    errors = tuple(one.error for one in done if one.error)
    return Receipt(
        asset="agent_trajectories",
        partition=PARTITION,
        run_id=run_id,
        code_version=CODE_VERSION,
        git_commit=source_version(),
        started_at=started_at,
        ended_at=utc_now(),
        inputs=tuple(ReceiptItem(one.file, one.sha256, _rows(one)) for one in done if one.sha256),
        outputs=tuple(ReceiptItem(o.key, o.lines_sha256, o.summary.runs) for o in done if o.key and o.is_new),
        counts=ReceiptCounts(
            taken=new + duplicate + refused, new=new, duplicate=duplicate, quarantined=refused, out=new
        ),
        errors=errors,
        ok=not errors,
    )


def _imported(lake: LakeConnection, *, now: datetime) -> Iterator[Imported]:
    known = known_imports(lake.objects)
    for of in FORMATS.values():
        folder = read_folder(lake.objects, of)
        for key in folder.plan.unknown:
            yield Imported(key, error=f"{key} is not a file of {of.name}, by its name; see docs/guides/trajectories.md")
        for job in folder.plan.jobs:
            if folder.origin is None:
                yield Imported(job.name, error=f"{job.name}: {folder.problem}")
                continue
            with FetchedFiles(lake.objects, lake.work_dir) as files:
                yield import_job(
                    of,
                    job,
                    folder.origin,
                    files.open,
                    objects=lake.objects,
                    known=known,
                    folder=lake.work_dir,
                    now=now,
                )


def _checked(lake: LakeConnection, done: list[Imported]) -> Iterator[Finding]:
    """Findings of formats of which something new came in."""
    new = {one.file for one in done if one.is_new}
    for of in FORMATS.values():
        if of.check is None or not any(key.startswith(f"files/trajectories/{of.name}/") for key in new):
            continue
        with FetchedFiles(lake.objects, lake.work_dir) as files:
            try:
                yield from of.check(read_folder(lake.objects, of).plan, files.open)
            except BadInput:
                continue  # a file that is broken was told of by its import, or is no run


def _rows(one: Imported) -> int | None:
    known = one.key is not None and not one.is_new
    return None if known else one.summary.runs + one.summary.duplicates + one.summary.refused
