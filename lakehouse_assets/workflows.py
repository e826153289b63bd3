"""The asset `workflow_batch`: a workflow over a batch of inputs, each a run of the running API, with its rows.

Belongs here: the asset, its config, metadata and receipt. Not here: the batch (see
lakehouse/adapters/workflow_batches.py), workflows (see lakehouse/workflow).
"""

# No postponed annotations here: Dagster reads the config class from the signature.

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dagster import AssetExecutionContext, Config, MaterializeResult, asset
from pydantic import Field

from lakehouse.adapters.workflow_batches import BatchResult, run_batch
from lakehouse.client.problems import LakehouseApiError, LakehouseConnectionError
from lakehouse.clock import utc_now
from lakehouse.errors import BadInput, TimedOut, Unavailable
from lakehouse.receipts.receipt import Receipt, ReceiptCounts, ReceiptItem, write_receipt
from lakehouse_assets.dataset import OWNERS
from lakehouse_assets.failures import mapped_errors
from lakehouse_assets.resources import LakeConnection, LakeStore
from lakehouse_assets.source_version import source_version

NAME = "workflow_batch"
CODE_VERSION = "1"
_HOW = "give both `workflow` and `inputs` in the launchpad, or in the run's config"


class WorkflowBatchConfig(Config):
    """What is run over what; where neither is given, nothing is: "materialize all" has no batch to name."""

    workflow: str = Field("", description="Name of a workflow that the API has.")
    inputs: str = Field("", description="Key of JSON lines under `files/workflows/`, each an object of inputs.")


@asset(
    name=NAME,
    code_version=CODE_VERSION,
    group_name="lake",
    kinds={"json", "s3"},
    owners=OWNERS,
    tags={"layer": "workflows"},
    pool="evidence",
    output_required=False,
)
def workflow_batch(
    context: AssetExecutionContext, config: WorkflowBatchConfig, store: LakeStore
) -> Iterator[MaterializeResult[None]]:
    """Runs of a workflow, one for each line of inputs: the API runs them, and each node is a raw line as always."""
    started_at = utc_now()
    if not config.workflow and not config.inputs:
        context.log.info(f"no batch was asked for, so nothing was run: {_HOW}")
        return
    with mapped_errors(context.instance, context.run.run_id):
        if not config.workflow or not config.inputs:
            raise BadInput(f"{'inputs' if config.workflow else 'workflow'} is missing: {_HOW}")
    with mapped_errors(context.instance, context.run.run_id), _runner(store.lake, config.workflow) as run:
        done = run_batch(
            store.lake.objects, config.inputs, run, work_dir=store.lake.work_dir, name=context.run.run_id[:8]
        )
        counts = ReceiptCounts(taken=done.lines, new=done.succeeded, quarantined=done.failed, out=done.lines)
        receipt = Receipt(
            asset=NAME,
            partition=config.workflow,
            run_id=context.run.run_id,
            code_version=CODE_VERSION,
            git_commit=source_version(),
            started_at=started_at,
            ended_at=utc_now(),
            inputs=(ReceiptItem(done.source, done.source_sha256, done.lines),),
            outputs=(ReceiptItem(done.results, done.results_sha256, done.lines),),
            counts=counts,
            errors=done.errors,
            ok=not done.failed,
        )
        write_receipt(store.lake.objects, receipt)
    yield MaterializeResult(metadata=batch_metadata(done))


def batch_metadata(done: BatchResult) -> dict[str, Any]:
    """What the UI shows of a batch."""
    return {
        "dagster/row_count": done.lines,
        "succeeded": done.succeeded,
        "failed": done.failed,
        "results": done.results,
        "errors": list(done.errors),
    }


@contextmanager
def _runner(lake: LakeConnection, workflow: str) -> Iterator[Any]:
    """What runs a workflow on inputs, in the API of this installation."""
    from lakehouse.client import Client

    with Client(lake.api.url, lake.api.token) as client:

        def run(given: Mapping[str, Any]) -> Mapping[str, Any]:
            try:
                return client.workflow.run(workflow, given)
            except LakehouseApiError as error:
                if error.status in (400, 413):
                    raise BadInput(error.detail) from None
                if error.status == TimedOut.status:
                    raise TimedOut(error.detail) from None
                raise Unavailable(f"the API did not run {workflow!r}: {error.detail}") from None
            except LakehouseConnectionError as error:
                raise Unavailable(f"no API answers, and it is what runs workflows: {error}") from None

        yield run
