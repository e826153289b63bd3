"""Retrieval: jobs that build corpora, and the upkeep of every Lance table with its schedules.

Belongs here: the asset `optimize`, its job and schedules, a job for each corpus. Not here: what upkeep does (see
lakehouse/adapters/lance_upkeep.py), when corpora are rebuilt (see lakehouse_assets/corpora.py).
"""

# No postponed annotations here: Dagster reads the context class from the signature.

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any

from dagster import (
    AssetExecutionContext,
    AssetKey,
    AssetSelection,
    DagsterInstance,
    DefaultScheduleStatus,
    MaterializeResult,
    RunRequest,
    RunsFilter,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SkipReason,
    asset,
    define_asset_job,
    schedule,
)
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from lakehouse.adapters.corpus_context import SettingsEmbedders
from lakehouse.adapters.corpus_files import Declared
from lakehouse.adapters.corpus_source import dataset_fingerprint
from lakehouse.adapters.lance_search import MIN_ROWS
from lakehouse.adapters.lance_table import LanceTable
from lakehouse.adapters.lance_tables import list_tables
from lakehouse.adapters.lance_upkeep import needs_optimizing
from lakehouse.counted import counted
from lakehouse.errors import LakehouseError, NotFound
from lakehouse.retrieval.corpus import CorpusDeclaration
from lakehouse.retrieval.corpus_state import parts_behind
from lakehouse.retrieval.index_memory import hot_index_bytes
from lakehouse.retrieval.live_table import BrokenPointer, LiveTable
from lakehouse_assets.corpora import GROUP, POOL, corpus_key
from lakehouse_assets.dataset import OWNERS
from lakehouse_assets.failures import mapped_errors
from lakehouse_assets.partitions import tables_partitions
from lakehouse_assets.resources import LakeConnection, LakeStore
from lakehouse_assets.run_statuses import UNFINISHED

JOB_PREFIX = "corpus_"
EARLY = 2
"""A pointer does not tell how long texts are: an index is made when half the memory would be taken."""
NEW_SHARE = 0.2
"""An index is made anew when so many of the rows came after it."""


@asset(
    name="optimize",
    partitions_def=tables_partitions,
    code_version="1",
    group_name="housekeeping",
    kinds={"lance", "s3"},
    owners=OWNERS,
    tags={"layer": "corpus"},
    pool=POOL,
)
def optimize(context: AssetExecutionContext, store: LakeStore) -> MaterializeResult[None]:
    """Upkeep of one Lance table: small files compacted, indexes brought up to date, old versions removed."""
    name = context.partition_key
    with mapped_errors(context.instance, context.run.run_id):
        table = store.lake.tables.open(name)
        if table is None:
            raise NotFound(f"there is no table {name!r}; delete its partition", name=name)
        report = table.optimize(history=timedelta(days=store.lake.settings.history_days))
        total = total_bytes(live for _, live in _pointers(store.lake))
        index = keep_index(table, total=total, budget_bytes=store.lake.settings.index_memory_bytes)
    return MaterializeResult(metadata={**report, "rows": table.count(), **index})


def keep_index(table: LanceTable, *, total: int, budget_bytes: int) -> dict[str, Any]:
    """Give a corpus that a process may have no memory for indexes of Lance's own; anew when it has grown much."""
    if not is_index_due(table.live, total=total, budget_bytes=budget_bytes):
        return {}
    made = table.build_index()
    if table.info.get("has_text", True):
        from lakehouse.adapters.lance_text import build_text_index  # stands on Arrow, which takes its time

        build_text_index(table)
    return {f"index_{key}": value for key, value in made.items()}


def is_index_due(live: LiveTable, *, total: int, budget_bytes: int) -> bool:
    """Whether a table lacks an index, or has one of when it was much smaller.

    Which corpora a process has memory for depends on the order in which they are asked for; so once not all of them
    fit, each has an index.

    Args:
        live: The table's pointer.
        total: What all corpora together would take in memory.
        budget_bytes: The memory of a process for them.
    """
    if EARLY * total <= budget_bytes or live.rows < MIN_ROWS or not live.info.get("dimension"):
        return False
    made_for = int(live.info.get("index", {}).get("rows", 0))
    return not made_for or live.rows - made_for > NEW_SHARE * live.rows


def total_bytes(tables: Iterable[LiveTable | None]) -> int:
    """What hot indexes of the corpora among some tables would take together, about."""
    corpora = [live for live in tables if live is not None and live.info.get("dimension")]
    return sum(hot_index_bytes(live.rows, int(live.info["dimension"])) for live in corpora)


optimize_job = define_asset_job(
    "optimize_tables",
    AssetSelection.assets(optimize),
    description="Compact Lance tables and bring their indexes up to date.",
)


def corpus_jobs(names: Sequence[str]) -> list[UnresolvedAssetJobDefinition]:
    """A job for each corpus, with its checks."""
    return [
        define_asset_job(
            f"{JOB_PREFIX}{name}",
            AssetSelection.assets(corpus_key(name)),
            description=f"Bring the corpus {name} up to date with its source.",
        )
        for name in names
    ]


def corpora_behind(declared: Sequence[Declared]) -> ScheduleDefinition:
    """The schedule that looks after corpora which are behind their dataset or declaration.

    Automation rebuilds them within seconds; this one finds what it missed: a change between two of its ticks, a run
    that failed, a dataset that a restored bucket brought along.
    """
    wanted = [one.declaration for one in declared if one.declaration is not None and one.declaration.dataset]

    @schedule(
        name="corpora_behind",
        target=AssetSelection.groups(GROUP),
        cron_schedule="*/10 * * * *",
        execution_timezone="UTC",
        default_status=DefaultScheduleStatus.RUNNING,
    )
    def behind(context: ScheduleEvaluationContext, store: LakeStore) -> list[RunRequest] | SkipReason:
        try:
            parts = [(d, part) for d in wanted for part in _parts_behind(store.lake, d)]
        except LakehouseError as error:
            return SkipReason(f"the store cannot be read now: {error.detail}")
        busy = _assets_in_work(context.instance)
        hour = f"{context.scheduled_execution_time:%Y-%m-%dT%H}"
        requests = [_request(d, part, hour) for d, part in parts if corpus_key(d.name) not in busy]
        return requests or SkipReason(f"{counted(len(parts), 'corpus part', 'is')} behind, none that is not in work")

    return behind


def _parts_behind(lake: LakeConnection, declaration: CorpusDeclaration) -> list[str]:
    """The parts that a build would find work in.

    None while the dataset is not there, the table is damaged, or its vectors have drifted and nobody says it is known.
    """
    manifest = lake.catalog.find(str(declaration.dataset))
    if manifest is None or lake.drift.gate.open_drift_of(declaration.name) is not None:
        return []
    try:
        live = lake.live_table(declaration.name)
    except NotFound:
        live = None
    except BrokenPointer:
        return []
    embedder = SettingsEmbedders(lake.settings).name_of(declaration.embedder)
    return parts_behind(declaration, live, embedder=embedder, source_fingerprint=dataset_fingerprint(manifest))


def _request(declaration: CorpusDeclaration, part: str, hour: str) -> RunRequest:
    return RunRequest(
        run_key=f"{declaration.name}.{part}@{hour}",
        asset_selection=[corpus_key(declaration.name)],
        partition_key=part if declaration.partitions > 1 else None,
    )


def _assets_in_work(instance: DagsterInstance) -> set[AssetKey]:
    """Assets of runs that have not ended."""
    runs = instance.get_runs(RunsFilter(statuses=list(UNFINISHED)))
    chosen = {key for run in runs for key in run.asset_selection or ()}
    return chosen | {corpus_key(run.job_name.removeprefix(JOB_PREFIX)) for run in runs}


@schedule(
    name="optimize_by_fragments",
    job=optimize_job,
    cron_schedule="*/10 * * * *",
    execution_timezone="UTC",
    default_status=DefaultScheduleStatus.RUNNING,
)
def optimize_by_fragments(context: ScheduleEvaluationContext, store: LakeStore) -> list[RunRequest] | SkipReason:
    """Look at every table's pointer; those in many fragments are compacted, those that lack an index get it."""
    budget = store.lake.settings.index_memory_bytes
    return requests(
        context,
        store.lake,
        lambda live, total: (
            needs_optimizing(live.fragments, live.rows) or is_index_due(live, total=total, budget_bytes=budget)
        ),
        once_per=lambda live: live.revision,
    )


@schedule(
    name="optimize_daily",
    job=optimize_job,
    cron_schedule="41 3 * * *",
    execution_timezone="UTC",
    default_status=DefaultScheduleStatus.RUNNING,
)
def optimize_daily(context: ScheduleEvaluationContext, store: LakeStore) -> list[RunRequest] | SkipReason:
    """Every table, for its old versions."""
    day = f"{context.scheduled_execution_time:%Y-%m-%d}"
    return requests(context, store.lake, lambda *_: True, once_per=lambda _: day)


retrieval_schedules: Sequence[ScheduleDefinition] = (optimize_by_fragments, optimize_daily)


def requests(
    context: ScheduleEvaluationContext,
    lake: LakeConnection,
    is_due: Callable[[LiveTable, int], bool],
    *,
    once_per: Callable[[LiveTable], str],
) -> list[RunRequest] | SkipReason:
    """Runs for the tables that are due, whose partitions are added and those of dropped tables removed.

    Args:
        context: The tick.
        lake: The lake.
        is_due: Whether a table needs a run; it is told what all corpora would take in memory.
        once_per: While this stays the same a table is asked for once, however long its run waits or if it fails.
    """
    try:
        pointers = dict(_pointers(lake))
    except LakehouseError as error:
        return SkipReason(f"the store cannot be read now: {error.detail}")
    instance, partitions = context.instance, str(tables_partitions.name)
    known = set(instance.get_dynamic_partitions(partitions))
    if new := sorted(pointers.keys() - known):
        instance.add_dynamic_partitions(partitions, new)
    for name in known - pointers.keys():
        instance.delete_dynamic_partition(partitions, name)
    total = total_bytes(pointers.values())
    due = {name: live for name, live in pointers.items() if live is not None and is_due(live, total)}
    if not due:
        return SkipReason(f"none of {len(pointers)} tables needs it")
    return [RunRequest(run_key=f"{name}@{once_per(live)}", partition_key=name) for name, live in due.items()]


def _pointers(lake: LakeConnection) -> Iterator[tuple[str, LiveTable | None]]:
    """Every table's pointer, None for a damaged one."""
    for name in list_tables(lake.objects):
        try:
            yield name, lake.live_table(name)
        except NotFound:
            continue  # dropped meanwhile
        except BrokenPointer:
            yield name, None
