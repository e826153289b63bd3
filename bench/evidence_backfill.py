"""A year of daily evidence of every stream (4,380 partitions), backfilled through the Dagster assets, then once more.

As a backfill does it, one run makes 31 days of a stream, checks among them; the instance is the platform's, SQLite on
the disk, and the store a real one. Beside each run the same asset is run with a body that only adds the same metadata,
and with checks that do not look: that is Dagster's own time for its events, and what the platform takes is the
difference. The second pass finds every day as it is. Launching a process for each run is not in these times: runs are
made in this one.

    python bench/evidence_backfill.py [--days 365] [--lines 3]
"""

# No postponed annotations here: Dagster reads the context class from the signature.

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from _verdict import tell_ratio  # noqa: E402

from lakehouse.adapters.evidence_lake import CURRENT  # noqa: E402
from lakehouse.adapters.objects import S3ObjectStore  # noqa: E402
from lakehouse.evidence.transforms import TRANSFORMS  # noqa: E402
from lakehouse.settings import load_settings  # noqa: E402
from lakehouse_assets.evidence import evidence_assets, evidence_key, raw_streams  # noqa: E402
from lakehouse_assets.evidence_checks import evidence_checks  # noqa: E402
from lakehouse_assets.home import open_instance  # noqa: E402
from lakehouse_assets.partitions import days_partitions  # noqa: E402
from lakehouse_assets.resources import LakeStore  # noqa: E402
from lakehouse_assets.trajectories import agent_trajectories  # noqa: E402
from tests.dagster_lake import lake_environ, lake_store  # noqa: E402
from tests.servers import store_server  # noqa: E402

GOLDEN = ROOT / "tests" / "golden" / "evidence"
FIRST_DAY, GOLDEN_DAY = date(2025, 6, 1), "2026-03-04"
DAYS_A_RUN, MAX_OVERHEAD_MS = 31, 50.0


@dataclass
class Pass:
    """Seconds of a pass (of which this process used the processor), and what its events say."""

    seconds: float = 0.0
    processor_s: float = 0.0
    partitions: int = 0
    memo_hits: int = 0
    failures: int = 0

    @property
    def ms(self) -> float:
        """Milliseconds for a partition."""
        return 1000 * self.seconds / max(1, self.partitions)

    @property
    def processor_ms(self) -> float:
        """Milliseconds of the processor for a partition."""
        return 1000 * self.processor_s / max(1, self.partitions)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--lines", type=int, default=3)
    asked = parser.parse_args()
    days = [FIRST_DAY + timedelta(days=number) for number in range(asked.days)]
    with tempfile.TemporaryDirectory(prefix="bench-backfill-") as name, store_server(Path(name) / "store") as server:
        objects = server.objects()
        put_year(objects, days, asked.lines)
        return measure(Path(name), objects, days, asked.lines)


def measure(folder: Path, objects: S3ObjectStore, days: Sequence[date], lines: int) -> int:
    """Run everything; the exit status says whether the limits hold."""
    store, bare_folder = lake_store(objects, folder / "data"), folder / "bare"
    total = len(days) * len(TRANSFORMS)
    print(f"{total:,} partitions of {lines} lines, {DAYS_A_RUN} days a run")
    passes = {name: Pass() for name in ("first", "Dagster alone", "second")}
    with (
        open_instance(load_settings(lake_environ(objects, folder / "data"), env_file=None)) as instance,
        open_instance(load_settings(lake_environ(objects, bare_folder), env_file=None)) as bare_instance,
    ):
        run(passes["first"], "evidence/audits", days[:1], instance, store)  # loads what is loaded once
        passes = {name: Pass() for name in passes}
        for key, part in runs(days):
            run(passes["first"], key, part, instance, store)
            run(passes["Dagster alone"], key, part, bare_instance, store, is_bare=True)
        print(f"  first pass {passes['first'].seconds:.0f} s")
        for key, part in runs(days):
            run(passes["second"], key, part, instance, store)
    first, bare, second = passes.values()
    for name, one in passes.items():
        print(
            f"  {name:14} {one.seconds:7.1f} s  {one.ms:6.1f} ms a partition, {one.processor_ms:5.1f} of the processor"
        )
    serving = store.lake.evidence_index.read().partitions[CURRENT].counts["serves"]
    overhead_ms = first.ms - bare.ms
    print(f"  of the first, beyond Dagster's own {overhead_ms:.1f} ms a partition; {serving:,} records serve")
    tell_ratio("time a partition over Dagster's own", first.ms / bare.ms, more_is_better=False)
    checks = [
        (f"a partition takes {overhead_ms:.1f} ms beyond Dagster's own (at most {MAX_OVERHEAD_MS:g})",
         overhead_ms <= MAX_OVERHEAD_MS),
        (f"{first.partitions:,} partitions made, none failed", first.partitions == total and not first.failures),
        (f"every line is a record that serves ({serving:,})", serving == total * lines),
        (f"second pass: {second.memo_hits:,} memo hits of {total:,} in {second.seconds:.0f} s",
         second.memo_hits == total and not second.failures),
        ("second pass takes less than the first", second.seconds < first.seconds),
    ]  # fmt: skip
    for text, is_met in checks:
        print(f"{'PASS' if is_met else 'FAIL'}  {text}")
    return 0 if all(is_met for _, is_met in checks) else 1


def runs(days: Sequence[date]) -> Iterator[tuple[str, Sequence[date]]]:
    """The runs of a backfill: for each stream, some days each."""
    for begin in range(0, len(days), DAYS_A_RUN):
        for stream in TRANSFORMS:
            yield f"evidence/{stream}", days[begin : begin + DAYS_A_RUN]


def run(
    counted: Pass,
    key: str,
    days: Sequence[date],
    instance: dg.DagsterInstance,
    store: LakeStore,
    *,
    is_bare: bool = False,
) -> None:
    """One run; adds its time and what its events say."""
    job = (BARE_JOBS if is_bare else JOBS).resolve_job_def(job_name(key))
    tags = {
        "dagster/asset_partition_range_start": days[0].isoformat(),
        "dagster/asset_partition_range_end": days[-1].isoformat(),
    }
    began_s, processor_s = time.perf_counter(), time.process_time()
    result = job.execute_in_process(instance=instance, tags=tags, resources={"store": store}, raise_on_error=False)
    counted.seconds += time.perf_counter() - began_s
    counted.processor_s += time.process_time() - processor_s
    metadata = [event.metadata for event in result.asset_materializations_for_node(key.replace("/", "__"))]
    counted.partitions += len(metadata)
    counted.failures += not result.success
    counted.failures += sum(not said.passed for said in result.get_asset_check_evaluations())
    counted.memo_hits += sum(bool(one["is_memo_hit"].value) for one in metadata)


def job_name(key: str) -> str:
    return key.replace("/", "_of_")


def bare(stream: str) -> dg.AssetsDefinition:
    """An asset of a stream whose body only adds metadata, as much as a day of evidence has."""
    is_imported = stream == "agent_trajectories"

    @dg.asset(
        key=evidence_key(stream),
        deps=[dg.AssetDep(agent_trajectories) if is_imported else dg.AssetDep(dg.AssetKey(["raw", stream]))],
        partitions_def=days_partitions,
        backfill_policy=dg.BackfillPolicy.multi_run(DAYS_A_RUN),
    )
    def evidence(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        from lakehouse_assets.evidence_metadata import table_schema

        numbers = {
            name: dg.MetadataValue.int(3) for name in ("dagster/row_count", "in", "new", "corrected", "duplicate")
        }
        paths = {name: dg.MetadataValue.path(f"s3://bucket/{'a' * 80}") for name in ("receipt", "dagster/uri")}
        for day in context.partition_keys:
            said: dict[str, Any] = {
                **numbers,
                **paths,
                "quarantined": dg.MetadataValue.int(0),
                "bytes": dg.MetadataValue.int(10_000),
                "is_memo_hit": dg.MetadataValue.bool(False),
                "dagster/column_schema": dg.MetadataValue.table_schema(table_schema()),
            }
            context.add_asset_metadata(said, partition_key=day)
        return dg.MaterializeResult()

    return evidence


def bare_checks(stream: str) -> list[dg.AssetChecksDefinition]:
    """As many checks as a stream's evidence has, which pass without a look."""

    def check(number: int) -> dg.AssetChecksDefinition:
        @dg.asset_check(asset=evidence_key(stream), name=f"check_{number}", partitions_def=days_partitions)
        def passes() -> dg.AssetCheckResult:
            return dg.AssetCheckResult(passed=True)

        return passes

    return [check(number) for number in range(len(evidence_checks()) // len(TRANSFORMS))]


def jobs() -> list[Any]:
    return [
        dg.define_asset_job(job_name(f"evidence/{stream}"), dg.AssetSelection.assets(evidence_key(stream)))
        for stream in TRANSFORMS
    ]


JOBS = dg.Definitions(
    [*evidence_assets, *raw_streams], asset_checks=evidence_checks(), jobs=jobs(), resources={"store": LakeStore()}
)
BARE_JOBS = dg.Definitions(
    [bare(stream) for stream in TRANSFORMS],
    asset_checks=[check for stream in TRANSFORMS for check in bare_checks(stream)],
    jobs=jobs(),
)


def put_year(objects: S3ObjectStore, days: Sequence[date], lines: int) -> None:
    """A raw object for each stream and day, of lines as the golden files have them."""
    with ThreadPoolExecutor(8) as pool:
        for stream in TRANSFORMS:
            templates = fitting_lines(stream)
            bodies = {f"raw/{stream}/dt={day}/a.jsonl": lines_of(stream, day, templates, lines) for day in days}
            list(pool.map(lambda item: objects.put(*item), bodies.items()))


def fitting_lines(stream: str) -> list[str]:
    """The golden lines of a stream that became records."""
    records = json.loads((GOLDEN / f"{stream}.json").read_bytes())["records"]
    numbers = {record["provenance"]["line"] for record in records}
    lines = (GOLDEN / f"{stream}.jsonl").read_text().splitlines()
    return [line for number, line in enumerate(lines, start=1) if number in numbers]


def lines_of(stream: str, day: date, templates: Sequence[str], count: int) -> bytes:
    made = []
    for number in range(count):
        said = json.loads(templates[number % len(templates)].replace(GOLDEN_DAY, day.isoformat()))
        said["run_id"] = f"{stream}/{day}/{number}"
        made.append(json.dumps(said) + "\n")
    return "".join(made).encode()


if __name__ == "__main__":
    sys.exit(main())
