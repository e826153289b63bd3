"""The assets `corpus/<name>`: one for each declaration in corpora/, built by a child process.

Belongs here: the assets, what they depend on, when they are rebuilt. Not here: their checks (see corpus_checks.py), the
child (see corpus_child.py), what the UI shows (see corpus_metadata.py).
"""

# No postponed annotations here: Dagster reads the config class from the signature.

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dagster import (
    AssetDep,
    AssetExecutionContext,
    AssetKey,
    AssetsDefinition,
    AssetSelection,
    AutomationCondition,
    AutomationConditionSensorDefinition,
    Config,
    DefaultSensorStatus,
    Failure,
    MaterializeResult,
    PipesSubprocessClient,
    SpecificPartitionsPartitionMapping,
    StaticPartitionsDefinition,
    asset,
)
from dagster._core.errors import DagsterPipesExecutionError
from pydantic import Field

from lakehouse import errors
from lakehouse.adapters.corpus_files import Declared
from lakehouse.errors import LakehouseError
from lakehouse.retrieval.corpus import CorpusDeclaration, part_names
from lakehouse_assets.corpus_child import CODE_VERSION
from lakehouse_assets.corpus_metadata import corpus_metadata, data_version
from lakehouse_assets.dataset import OWNERS, dataset
from lakehouse_assets.failures import mapped_errors
from lakehouse_assets.processes import PROJECT
from lakehouse_assets.resources import LakeStore

GROUP = "corpora"
POOL = "lance"
"""One build or upkeep of a table at a time, see `limit_pools`."""
CHILD = "lakehouse_assets.corpus_child"

# Like `eager`, and also when the declaration changed; a dataset that is not there yet is waited for. What `eager`
# forgets is a change that comes while a build runs: here only a request answers it. `corpora_behind` in
# jobs/retrieval.py looks after what falls between two ticks.
REBUILD = (
    (
        AutomationCondition.newly_missing()
        | AutomationCondition.any_deps_updated()
        | AutomationCondition.code_version_changed()
    ).since(AutomationCondition.newly_requested())
    & ~AutomationCondition.any_deps_missing()
    & ~AutomationCondition.any_deps_in_progress()
    & ~AutomationCondition.in_progress()
).with_label("its dataset or declaration changed")

corpora_automation = AutomationConditionSensorDefinition(
    "corpora",
    target=AssetSelection.groups(GROUP),
    minimum_interval_seconds=15,
    default_status=DefaultSensorStatus.RUNNING,
)


class CorpusConfig(Config):
    """What an operator may decide for one run."""

    full: bool = Field(False, description="Make new files and embed every row again.")


def corpus_key(name: str) -> AssetKey:
    """The asset of a corpus."""
    return AssetKey(["corpus", name])


def corpus_assets(declared: Sequence[Declared]) -> list[AssetsDefinition]:
    """The assets of some declarations; that of a file that cannot be read fails and says why."""
    return [_asset(one) for one in declared]


def _asset(declared: Declared) -> AssetsDefinition:
    declaration = declared.declaration
    parts = part_names(1 if declaration is None else declaration.partitions)

    @asset(
        key=corpus_key(declared.name),
        deps=_deps(declaration),
        partitions_def=StaticPartitionsDefinition(parts) if len(parts) > 1 else None,
        code_version=_code_version(declaration),
        description=_description(declared),
        group_name=GROUP,
        kinds={"lance", "s3"},
        owners=OWNERS,
        tags={"layer": "corpus"},
        pool=POOL,
        # Files of the user may not be there, and nothing tells of their changes: those corpora are built by hand.
        automation_condition=REBUILD if declaration is not None and declaration.dataset is not None else None,
    )
    def corpus(
        context: AssetExecutionContext, config: CorpusConfig, store: LakeStore, child: PipesSubprocessClient
    ) -> MaterializeResult[None]:
        with mapped_errors(context.instance, context.run.run_id):
            declared.require()
            part = parts.index(context.partition_key) if context.has_partition_key else 0
            report = build_in_child(context, store, child, declared.file, part=part, is_full=config.full)
        return MaterializeResult(
            metadata=corpus_metadata(report, bucket=store.lake.settings.s3_bucket), data_version=data_version(report)
        )

    return corpus


def build_in_child(
    context: AssetExecutionContext,
    store: LakeStore,
    child: PipesSubprocessClient,
    file: Path,
    *,
    part: int,
    is_full: bool,
) -> Mapping[str, Any]:
    """Build one part of a corpus in a process of its own; gives its report.

    Raises:
        LakehouseError: What the build met.
        Failure: The process was killed, or failed by a fault of its own.
    """
    command = [sys.executable, "-m", CHILD, str(file), str(part), *(["--full"] if is_full else [])]
    environ = {**(store.environ or {}), "PYTHONPATH": str(PROJECT)}
    # Pipes reads members that an asset's own context warns of.
    try:
        done = child.run(context=context.op_execution_context, command=command, env=environ)
    except DagsterPipesExecutionError as error:
        raise Failure(
            description=f"the process that builds {file.stem!r} ended too early ({error}). Code -9: it was killed, "
            "mostly by the system for lack of memory; other codes: stderr of this step says why. What was built before "
            "serves on: materialize it again",
            allow_retries=False,
        ) from error
    (message,) = done.get_custom_messages()
    if "error" in message:
        raise _error(message["error"])
    report: Mapping[str, Any] = message["report"]
    return report


def _error(met: Mapping[str, Any]) -> LakehouseError:
    kind = getattr(errors, met["type"], LakehouseError)
    made: LakehouseError = kind(met["detail"], **met["fields"])
    return made


def _deps(declaration: CorpusDeclaration | None) -> list[AssetDep]:
    if declaration is None or declaration.dataset is None:
        return []
    return [AssetDep(dataset, partition_mapping=SpecificPartitionsPartitionMapping([declaration.dataset]))]


def _code_version(declaration: CorpusDeclaration | None) -> str:
    if declaration is None:
        return CODE_VERSION
    # The name of the default embedder is a setting; it is not read here.
    return f"{CODE_VERSION}-{declaration.fingerprint(declaration.embedder or 'default')[:12]}"


def _description(declared: Declared) -> str:
    if declared.declaration is None:
        return f"Cannot be built: {declared.problem}"
    what = declared.declaration.description or f"The corpus {declared.name}."
    return f"{what} Declared in {declared.file.parent.name}/{declared.file.name}."
