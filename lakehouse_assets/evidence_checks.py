"""Checks of the assets `evidence/<stream>`: accounts balance, the schema is the declared one, few lines were refused.

Belongs here: the checks. Not here: what makes a line unfit (see lakehouse/evidence).
"""

# No postponed annotations here: Dagster reads the context class from the signature.

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

from dagster import AssetCheckExecutionContext, AssetCheckResult, AssetChecksDefinition, AssetCheckSeverity, asset_check

from lakehouse.adapters.evidence_lake import open_lake
from lakehouse.adapters.evidence_materializer import EVIDENCE, QUARANTINE, TABLE
from lakehouse.adapters.evidence_raw import unread_keys
from lakehouse.adapters.parquet_inspection import inspect_parquet
from lakehouse.catalog.partitioned import Partition, PartitionedTable
from lakehouse.counted import counted
from lakehouse.evidence.days import unread_remedy
from lakehouse.evidence.transforms import TRANSFORMS
from lakehouse.query.quoting import quote_text
from lakehouse.tables.reserved import RESERVED_VIEWS
from lakehouse_assets.evidence import evidence_key
from lakehouse_assets.failures import mapped_errors
from lakehouse_assets.partitions import days_partitions
from lakehouse_assets.resources import LakeConnection, LakeStore

_SHOWN = 20
_MOST_ROWS = 2_000_000


def evidence_checks() -> list[AssetChecksDefinition]:
    """The checks of all streams."""
    return [check for stream in TRANSFORMS for check in _checks(stream)]


def _checks(stream: str) -> Iterator[AssetChecksDefinition]:
    key = evidence_key(stream)

    @asset_check(asset=key, partitions_def=days_partitions)
    def rows_balance(context: AssetCheckExecutionContext, store: LakeStore) -> AssetCheckResult:
        """Every line is new, corrected, duplicate, quarantined or left out, and the files hold as many rows."""
        with mapped_errors(context.instance, context.run.run_id):
            partitions = partitions_of(store.lake, stream, context.partition_keys)
            return _result([said for day, one in partitions.items() for said in unbalanced(day, one)])

    @asset_check(asset=key, partitions_def=days_partitions, blocking=True)
    def schema_as_declared(context: AssetCheckExecutionContext, store: LakeStore) -> AssetCheckResult:
        """Every file has the columns of EvidenceRecord v1, and the rows that the manifest says."""
        with mapped_errors(context.instance, context.run.run_id):
            return _result(misshapen(store.lake, partitions_of(store.lake, stream, context.partition_keys)))

    @asset_check(asset=key, partitions_def=days_partitions)
    def few_lines_are_quarantined(context: AssetCheckExecutionContext, store: LakeStore) -> AssetCheckResult:
        """The share of lines that did not fit is under its limit (`evidence_max_quarantined_share`)."""
        with mapped_errors(context.instance, context.run.run_id):
            limit = store.lake.settings.evidence_max_quarantined_share
            partitions = partitions_of(store.lake, stream, context.partition_keys)
            return _result([said for day, one in partitions.items() for said in too_many_refused(day, one, limit)])

    @asset_check(asset=key, partitions_def=days_partitions)
    def no_duplicate_runs(context: AssetCheckExecutionContext, store: LakeStore) -> AssetCheckResult:
        """No run has two records in a day."""
        with mapped_errors(context.instance, context.run.run_id):
            return _result(doubled(store.lake, partitions_of(store.lake, stream, context.partition_keys)))

    @asset_check(asset=key, partitions_def=days_partitions)
    def every_object_is_read(context: AssetCheckExecutionContext, store: LakeStore) -> AssetCheckResult:
        """Nothing lies among the day's raw objects whose name says that it is no JSON lines."""
        with mapped_errors(context.instance, context.run.run_id):
            return _result(unread(store.lake, stream, context.partition_keys), severity=AssetCheckSeverity.WARN)

    yield from (rows_balance, schema_as_declared, few_lines_are_quarantined, no_duplicate_runs, every_object_is_read)


def partitions_of(lake: LakeConnection, stream: str, days: Sequence[str]) -> dict[str, Partition]:
    """The days that have evidence or have refused lines, by name."""
    manifest = PartitionedTable(lake.objects, TABLE + stream).read()
    return {day: manifest.partitions[day] for day in days if day in manifest.partitions}


def unbalanced(day: str, partition: Partition) -> Iterator[str]:
    """What does not add up in a day's accounts."""
    counts = partition.counts
    parts = ("new", "corrected", "duplicate", "quarantined", "left_out")
    if counts["in"] != sum(counts.get(name, 0) for name in parts):
        yield f"{day}: {counted(counts['in'], 'line')} came in, {', '.join(f'{counts.get(n, 0)} {n}' for n in parts)}"
    for role, name in ((EVIDENCE, "out"), (QUARANTINE, "quarantined")):
        file = partition.file(role)
        rows = 0 if file is None else file.rows
        if rows != counts[name]:
            yield f"{day}: the file of {role} has {counted(rows, 'row')}, the accounts say {counts[name]}"


def too_many_refused(day: str, partition: Partition, limit: float) -> Iterator[str]:
    """Whether more of a day's lines did not fit than may."""
    refused, came = partition.counts["quarantined"], partition.counts["in"]
    if refused > limit * came:
        yield f"{day}: {refused} of {counted(came, 'line')} did not fit ({refused / came:.1%}, at most {limit:.1%})"


def misshapen(lake: LakeConnection, partitions: dict[str, Partition]) -> list[str]:
    """Files whose columns or rows are not those that were declared."""
    files = [(day, file) for day, one in partitions.items() if (file := one.file(EVIDENCE)) is not None]
    declared = tuple((name, type_.replace('"', "")) for name, type_ in RESERVED_VIEWS["evidence"].items())
    problems = []
    for (day, file), held in zip(files, inspect_parquet(lake.read_location, [f.key for _, f in files]), strict=True):
        found = tuple((name, type_.replace('"', "")) for name, type_ in held.columns)
        if found != declared:
            wrong = next(
                (f"{f} instead of {d}" for f, d in zip(found, declared, strict=False) if f != d), "their number"
            )
            problems.append(f"{day}: columns of {file.key} are not as declared: {wrong}")
        if held.row_count != file.rows:
            problems.append(f"{day}: {file.key} holds {counted(held.row_count, 'row')}, the manifest says {file.rows}")
    return problems


def doubled(lake: LakeConnection, partitions: dict[str, Partition]) -> list[str]:
    """Runs that have two records in one day."""
    day_of = {file.key: day for day, one in partitions.items() if (file := one.file(EVIDENCE)) is not None}
    sizes = {file.key: file.rows for one in partitions.values() if (file := one.file(EVIDENCE)) is not None}
    problems = []
    at = f"s3://{lake.objects.bucket}/"
    lake.work_dir.mkdir(parents=True, exist_ok=True)
    with open_lake(lake.read_location, lake.work_dir) as engine:
        for keys in _together(sizes):
            files = ", ".join(quote_text(at + key) for key in keys)
            rows = engine.execute(
                f"SELECT filename, run_id FROM read_parquet([{files}], filename = true, hive_partitioning = false)"
                f" GROUP BY ALL HAVING count(*) > 1 ORDER BY ALL LIMIT {_SHOWN}"
            ).fetchall()
            problems += [f"{day_of[name.removeprefix(at)]}: run {run!r} has two records" for name, run in rows]
    return problems


def unread(lake: LakeConnection, stream: str, days: Sequence[str]) -> list[str]:
    """Days that hold objects whose lines are not read, each with their names and what to do."""
    keys = {day: unread_keys(lake.objects, stream, date.fromisoformat(day)) for day in days}
    return [f"{day}: {unread_remedy(found)}" for day, found in keys.items() if found]


def _together(sizes: Mapping[str, int]) -> Iterator[list[str]]:
    """Small files in one query, for each takes its time; so many that their rows can be compared in memory."""
    keys: list[str] = []
    rows = 0
    for key, size in sizes.items():
        if keys and rows + size > _MOST_ROWS:
            yield keys
            keys, rows = [], 0
        keys.append(key)
        rows += size
    if keys:
        yield keys


def _result(problems: Sequence[str], *, severity: AssetCheckSeverity = AssetCheckSeverity.ERROR) -> AssetCheckResult:
    return AssetCheckResult(
        passed=not problems,
        severity=severity,
        description="; ".join(problems[:5]) or None,
        metadata={"problems": list(problems[:_SHOWN])} if problems else {},
    )
