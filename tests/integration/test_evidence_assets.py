"""The assets `evidence/<stream>`, their checks and receipts, the index and SQL over it, on the real store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.evidence import evidence_behind, evidence_index_behind, streams_behind
from lakehouse.adapters.evidence_lake import add_relations, open_lake
from lakehouse.adapters.evidence_materializer import RunFacts
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.storage.objects import list_all
from lakehouse_assets.evidence import evidence_assets, evidence_index, evidence_key, raw_streams
from lakehouse_assets.evidence_checks import doubled, evidence_checks, misshapen, unbalanced
from lakehouse_assets.resources import LakeStore
from tests.dagster_lake import lake_store

DAYS = ("2026-03-01", "2026-03-02", "2026-03-03")
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral(str(tmp_path)) as made:
        yield made


def line(run_id: str, day: str, *, second: int = 0, **fields: object) -> bytes:
    said = {"run_id": run_id, "recorded_at": f"{day}T10:00:{second:02d}.000000Z", "action": "sql", "status": "ok"}
    return orjson.dumps({**said, **fields}, option=orjson.OPT_APPEND_NEWLINE)


def put(objects: S3ObjectStore, day: str, part: str, lines: Sequence[bytes], stream: str = "audits") -> None:
    objects.put(f"raw/{stream}/dt={day}/{part}.jsonl", b"".join(lines))


def materialize(
    instance: dg.DagsterInstance, store: LakeStore, first: str, last: str | None = None, stream: str = "audits"
) -> dg.ExecuteInProcessResult:
    tags = {}
    if last is not None:
        tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
    return dg.materialize(
        [*evidence_assets, *raw_streams, *evidence_checks()],
        selection=dg.AssetSelection.assets(evidence_key(stream)),
        partition_key=first if last is None else None,
        tags=tags,
        instance=instance,
        resources={"store": store},
        raise_on_error=False,
    )


def checks_of(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {e.check_name: e.passed for e in result.get_asset_check_evaluations()}


def served(store: LakeStore, folder: Path, sql: str) -> list[tuple[object, ...]]:
    lake = store.lake
    with open_lake(lake.read_location, folder) as engine:
        add_relations(engine, lake.objects.bucket, lake.evidence_index.read())
        return engine.execute(sql).fetchall()


def receipts(objects: S3ObjectStore) -> list[dict[str, object]]:
    found = list_all(objects, "receipts/evidence/audits/")
    return [orjson.loads(objects.get(info.key).body) for info in found]


def test_days_of_a_range_become_evidence_that_is_served(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    for number, day in enumerate(DAYS):
        put(objects, day, "a", [line(f"run-{number}-{n}", day) for n in range(3)])
    store = lake_store(objects, tmp_path)
    result = materialize(instance, store, DAYS[0], DAYS[-1])
    assert result.success
    assert set(checks_of(result).values()) == {True}
    events = result.asset_materializations_for_node("evidence__audits")
    by_day = {event.partition: event.metadata for event in events}
    assert set(by_day) == set(DAYS)
    assert by_day[DAYS[0]]["new"].value == 3
    assert by_day[DAYS[0]]["is_memo_hit"].value is False
    assert served(store, tmp_path, "SELECT count(*), count(DISTINCT run_id) FROM evidence") == [(9, 9)]
    written = receipts(objects)
    assert [(one["partition"], one["counts"]["in"], one["ok"]) for one in written] == [(d, 3, True) for d in DAYS]  # type: ignore[index]


def test_second_run_over_the_same_lines_is_memo_hits_only(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    put(objects, DAYS[0], "a", [line("run-1", DAYS[0])])
    store = lake_store(objects, tmp_path)
    materialize(instance, store, DAYS[0])
    before = {info.key for info in list_all(objects, "")}
    result = materialize(instance, store, DAYS[0], DAYS[-1])
    assert result.success
    metadata = [e.metadata for e in result.asset_materializations_for_node("evidence__audits")]
    assert all(one["is_memo_hit"].value for one in metadata)
    [new] = {info.key for info in list_all(objects, "")} - before
    rolled_up = orjson.loads(objects.get(new).body)
    assert rolled_up["memo_hits"] == 3
    assert rolled_up["partition"] == f"{DAYS[0]}_{DAYS[-1]}"


def test_late_lines_make_their_own_day_anew_and_no_other(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    for day in DAYS:
        put(objects, day, "a", [line(f"of-{day}", day)])
    store = lake_store(objects, tmp_path)
    materialize(instance, store, DAYS[0], DAYS[-1])
    put(objects, DAYS[1], "late", [line("late", DAYS[1])])
    assert [str(day) for day in streams_behind(store.lake, None)] == [DAYS[1]]
    result = materialize(instance, store, DAYS[0], DAYS[-1])
    events = result.asset_materializations_for_node("evidence__audits")
    assert {e.partition: e.metadata["is_memo_hit"].value for e in events} == {
        DAYS[0]: True,
        DAYS[1]: False,
        DAYS[2]: True,
    }
    assert served(store, tmp_path, "SELECT count(*) FROM evidence") == [(4,)]
    assert streams_behind(store.lake, None) == {}


def test_line_that_corrects_one_of_another_day_serves_and_the_history_stays(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    put(objects, DAYS[0], "a", [line("run", DAYS[0], subject="first"), line("other", DAYS[0])])
    put(objects, DAYS[1], "a", [line("run", DAYS[1], subject="second")])
    put(objects, DAYS[2], "a", [line("other", DAYS[0])])  # the very same line again
    store = lake_store(objects, tmp_path)
    materialize(instance, store, DAYS[0], DAYS[-1])
    rows = served(store, tmp_path, "SELECT run_id, input_text FROM evidence ORDER BY 1")
    assert rows == [("other", "sql"), ("run", "sql second")]
    statuses = served(store, tmp_path, "SELECT run_id, status FROM evidence_index ORDER BY ALL")
    assert statuses == [("other", "duplicate"), ("other", "serves"), ("run", "corrected"), ("run", "serves")]


def test_too_many_lines_that_do_not_fit_fail_the_check_and_not_the_day(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    put(objects, DAYS[0], "a", [line("run", DAYS[0]), b"{broken\n"])
    store = lake_store(objects, tmp_path)
    result = materialize(instance, store, DAYS[0])
    assert result.success
    assert {name for name, passed in checks_of(result).items() if not passed} == {"few_lines_are_quarantined"}
    assert served(store, tmp_path, "SELECT run_id FROM evidence") == [("run",)]
    [refused] = list_all(objects, "quarantine/evidence/")
    assert orjson.loads(objects.get(refused.key).body)["line"] == 2


def test_objects_that_are_not_read_fail_the_check_and_are_told_each_hour(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    store = lake_store(objects, tmp_path)
    put(objects, DAYS[0], "a", [line("r1", DAYS[0])])
    objects.put(f"raw/audits/dt={DAYS[0]}/b.jsonl.zst", b"x")
    objects.put(f"raw/audit/dt={DAYS[0]}/c.jsonl", b"{}\n")
    result = materialize(instance, store, DAYS[0])
    assert result.success
    assert {name for name, passed in checks_of(result).items() if not passed} == {"every_object_is_read"}
    with dg.build_schedule_context(instance=instance, scheduled_execution_time=NOON, resources={"store": store}) as on:
        evidence_behind(on)
    said = capfd.readouterr().err
    assert f"1 object is not read: 'raw/audits/dt={DAYS[0]}/b.jsonl.zst'" in said
    assert "1 folder is not read, for there is no such stream: raw/audit/" in said


def test_day_whose_raw_objects_are_gone_keeps_its_evidence_and_says_so(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    put(objects, DAYS[0], "a", [line("run", DAYS[0])])
    store = lake_store(objects, tmp_path)
    materialize(instance, store, DAYS[0])
    objects.delete(f"raw/audits/dt={DAYS[0]}/a.jsonl")
    result = materialize(instance, store, DAYS[0])
    assert result.success
    [event] = result.asset_materializations_for_node("evidence__audits")
    assert event.metadata["lost_raw_objects"].value == [f"raw/audits/dt={DAYS[0]}/a.jsonl"]
    assert served(store, tmp_path, "SELECT run_id FROM evidence") == [("run",)]


def test_run_that_finds_all_days_made_sees_to_the_index_that_a_killed_one_left(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    put(objects, DAYS[0], "a", [line("run", DAYS[0])])
    store = lake_store(objects, tmp_path)
    list(store.lake.evidence.materialize("audits", [date.fromisoformat(DAYS[0])], RunFacts("killed")))
    with dg.build_schedule_context(instance, scheduled_execution_time=NOON, resources={"store": store}) as context:
        assert isinstance(evidence_index_behind(context), dg.RunRequest)
        materialize(instance, store, DAYS[0])
        assert isinstance(evidence_index_behind(context), dg.SkipReason)
    assert served(store, tmp_path, "SELECT run_id FROM evidence") == [("run",)]


def test_days_behind_are_asked_for_again_each_hour_and_days_that_are_no_partition_never(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    for day in (DAYS[0], "2199-01-01", "2024-12-31"):
        put(objects, day, "a", [line("run", DAYS[0])])
    store = lake_store(objects, tmp_path)
    keys = []
    for at in (NOON, NOON + timedelta(hours=1)):
        with dg.build_schedule_context(instance, scheduled_execution_time=at, resources={"store": store}) as context:
            [asked] = evidence_behind(context)
            assert asked.partition_key == DAYS[0]
            keys.append(asked.run_key)
    assert len(set(keys)) == 2


def test_checks_find_runs_with_two_records_and_accounts_that_do_not_balance(
    objects: S3ObjectStore, tmp_path: Path
) -> None:
    lake = lake_store(objects, tmp_path).lake
    for number, day in enumerate(DAYS):
        put(objects, day, "a", [line("run", day), line(f"other-{number}", day)])
    results = list(lake.evidence.materialize("audits", [date.fromisoformat(day) for day in DAYS], RunFacts("r")))
    whole = {one.day.isoformat(): one.partition for one in results if one.partition is not None}
    assert (doubled(lake, whole), misshapen(lake, whole)) == ([], [])
    spoiled = whole[DAYS[1]]
    file = spoiled.files[0]
    (tmp_path / "whole.parquet").write_bytes(objects.get(file.key).body)
    rows = pq.read_table(tmp_path / "whole.parquet")
    pq.write_table(pa.concat_tables([rows, rows.slice(0, 1)]), tmp_path / "twice.parquet")
    objects.put("evidence/audits/twice.parquet", tmp_path / "twice.parquet")
    twice = replace(spoiled, files=(replace(file, key="evidence/audits/twice.parquet"),))
    assert doubled(lake, {**whole, DAYS[1]: twice}) == [f"{DAYS[1]}: run 'run' has two records"]
    assert "holds 3 rows, the manifest says 2" in misshapen(lake, {DAYS[1]: twice})[0]
    assert list(unbalanced("d", spoiled)) == []
    assert len(list(unbalanced("d", replace(spoiled, counts={**spoiled.counts, "in": 9, "out": 1})))) == 2


def test_index_asset_tells_what_serves(instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path) -> None:
    put(objects, DAYS[0], "a", [line("run", DAYS[0])])
    store = lake_store(objects, tmp_path)
    materialize(instance, store, DAYS[0])
    result = dg.materialize([evidence_index], instance=instance, resources={"store": store})
    [event] = result.asset_materializations_for_node("evidence_index")
    assert event.metadata["serves"].value == 1
