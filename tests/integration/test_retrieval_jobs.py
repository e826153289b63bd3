"""Upkeep of Lance tables and of corpora that are behind: what the schedules ask for, what the runs do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from jobs.retrieval import (
    corpora_behind,
    keep_index,
    optimize,
    optimize_by_fragments,
    optimize_daily,
    total_bytes,
)
from lakehouse.adapters.corpus_files import read_folder
from lakehouse.adapters.lance_tables import LanceTables
from lakehouse.adapters.lance_upkeep import MANY_FRAGMENTS
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.clock import new_id
from lakehouse.retrieval.live_table import live_key
from lakehouse.tables.corpus import corpus_schema
from lakehouse_assets.corpora import corpus_key
from tests.contract.test_lance_search import ROWS, make, matrix
from tests.corpora import CorpusDesk, drifted, rows
from tests.dagster_lake import lake_store
from tests.lance_rows import DIMENSION, corpus_rows
from tests.servers import silent_server

NOTES = 'name: notes\nsource: {dataset: notes}\nid: id\ntext: "{title}"\nmetadata: [email]\nembedder: static\n'
NOON = datetime(2026, 1, 2, 12, 10, tzinfo=UTC)


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    home = tmp_path / "home"
    home.mkdir()
    with dg.DagsterInstance.local_temp(str(home)) as made:  # a schedule's context needs one that can be opened again
        yield made


def tick(
    schedule: dg.ScheduleDefinition, instance: dg.DagsterInstance, store: object, at: datetime = NOON
) -> list[dg.RunRequest]:
    with dg.build_schedule_context(instance, scheduled_execution_time=at, resources={"store": store}) as context:
        result = schedule(context)
    return [] if isinstance(result, dg.SkipReason) else result


def make_table(objects: S3ObjectStore, name: str, commits: int) -> None:
    info = {"kind": "index", "dimension": DIMENSION}
    table = LanceTables(objects.location, objects).create(name, corpus_schema(DIMENSION), info=info)
    for number in range(commits):
        table.append(corpus_rows([f"{number}"]))


def test_tables_in_many_fragments_are_asked_for_once_and_compacted(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    store = lake_store(objects, tmp_path)
    assert tick(optimize_by_fragments, instance, store) == []
    make_table(objects, "few", 2)
    make_table(objects, "many", MANY_FRAGMENTS + 1)
    objects.put(live_key("broken"), b"{damaged")
    requested = tick(optimize_by_fragments, instance, store)
    assert [r.partition_key for r in requested] == ["many"]
    assert tick(optimize_by_fragments, instance, store)[0].run_key == requested[0].run_key
    assert set(instance.get_dynamic_partitions("lance_tables")) == {"few", "many", "broken"}
    result = dg.materialize([optimize], partition_key="many", instance=instance, resources={"store": store})
    assert result.success
    (event,) = result.get_asset_materialization_events()
    shown = {k: v.value for k, v in event.step_materialization_data.materialization.metadata.items()}
    assert (shown["fragments_before"], shown["fragments"], shown["rows"]) == (MANY_FRAGMENTS + 1, 1, MANY_FRAGMENTS + 1)
    assert tick(optimize_by_fragments, instance, store) == []


def test_every_table_is_asked_for_once_a_day_and_dropped_ones_go(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    store = lake_store(objects, tmp_path)
    make_table(objects, "a", 1)
    make_table(objects, "b", 1)
    first, again = (tick(optimize_daily, instance, store) for _ in range(2))
    assert {r.run_key for r in first} == {r.run_key for r in again}
    LanceTables(objects.location, objects).drop("b")
    later = tick(optimize_daily, instance, store, datetime(2026, 1, 3, 3, 41, tzinfo=UTC))
    assert [r.partition_key for r in later] == ["a"]
    assert later[0].run_key not in {r.run_key for r in first}
    assert instance.get_dynamic_partitions("lance_tables") == ["a"]


def test_store_that_is_away_skips_the_tick(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    with silent_server() as port:
        changes = {
            "LAKEHOUSE_S3_ENDPOINT": f"http://127.0.0.1:{port}",
            "LAKEHOUSE_S3_READ_TIMEOUT_S": "0.2",
            "LAKEHOUSE_S3_MAX_ATTEMPTS": "1",
        }
        store = lake_store(objects, tmp_path, **changes)
        with dg.build_schedule_context(instance, scheduled_execution_time=NOON, resources={"store": store}) as context:
            skipped = optimize_daily(context)
    assert isinstance(skipped, dg.SkipReason)
    assert "store cannot be read" in str(skipped.skip_message)


def test_table_that_was_dropped_fails_its_run_without_retry(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    instance.add_dynamic_partitions("lance_tables", ["gone"])
    result = dg.materialize(
        [optimize],
        partition_key="gone",
        instance=instance,
        resources={"store": lake_store(objects, tmp_path)},
        raise_on_error=False,
    )
    assert not result.success
    assert dg.DagsterEventType.STEP_UP_FOR_RETRY not in [e.event_type for e in result.all_events]


def test_table_over_the_budget_gets_an_index_and_a_new_one_when_it_has_grown(objects: S3ObjectStore) -> None:
    table = make(objects, matrix(ROWS))
    total = total_bytes([table.live])
    assert keep_index(table, total=total, budget_bytes=2 * total) == {}
    assert keep_index(table, total=total, budget_bytes=total)["index_kind"] == "ivf_sq"
    assert {index["name"] for index in table.stats()["indexes"]} == {"vector_ivf", "text_terms"}
    assert keep_index(table, total=total, budget_bytes=total) == {}


def test_corpora_that_are_behind_are_asked_for_once_an_hour(
    instance: dg.DagsterInstance, objects: S3ObjectStore, tmp_path: Path
) -> None:
    folder = tmp_path / "corpora"
    folder.mkdir()
    (folder / "notes.yaml").write_text(NOTES)
    (folder / "missing.yaml").write_text(NOTES.replace("notes", "missing"))
    (folder / "broken.yaml").write_text("name: [")
    store, desk = lake_store(objects, tmp_path), CorpusDesk(objects, tmp_path)
    schedule = corpora_behind(read_folder(folder))
    assert tick(schedule, instance, store) == []
    desk.put_rows(rows(1))
    (request,) = tick(schedule, instance, store)
    assert (request.asset_selection, request.partition_key) == ([corpus_key("notes")], None)
    assert tick(schedule, instance, store)[0].run_key == request.run_key
    later = tick(schedule, instance, store, NOON.replace(hour=13))
    assert later[0].run_key != request.run_key
    # Built by whoever it was, it is not behind.
    declaration = read_folder(folder)[2].require()
    desk.embedders.fakes["static"] = desk.embedders.fakes["fake"]
    desk.build(declaration)
    assert tick(schedule, instance, store) == []
    desk.put_rows(rows(1, 2))
    assert len(tick(schedule, instance, store)) == 1
    # One that its build would refuse is not asked for.
    gate = drifted(objects, "notes")
    assert tick(schedule, instance, store) == []
    gate.acknowledge("embedding", by="dana", why="known")
    assert len(tick(schedule, instance, store)) == 1
    run = instance.add_run(dg.DagsterRun("corpus_notes", run_id=new_id(), status=dg.DagsterRunStatus.STARTED))
    assert tick(schedule, instance, store) == []
    instance.delete_run(run.run_id)
    desk.build(declaration)
    (folder / "notes.yaml").write_text(NOTES.replace("{title}", "{title} {tags}") + "partitions: 2\n")
    requested = tick(corpora_behind(read_folder(folder)), instance, store)
    assert [r.partition_key for r in requested] == ["p000", "p001"]
