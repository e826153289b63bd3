"""The assets `scored` and `export/<kind>` on the real store: verdicts of days, late outcomes, corpora that are kept."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import dagster as dg
import orjson
import pytest

from lakehouse.adapters.evidence_lake import add_relations, open_lake
from lakehouse.adapters.evidence_materializer import RunFacts
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.catalog.partitioned import PartitionedTable
from lakehouse.client import Client
from lakehouse.storage.objects import list_all
from lakehouse_assets.exports import export_assets, export_key
from lakehouse_assets.resources import LakeStore
from lakehouse_assets.scored import scored, verdicts_are_steady
from tests.api import TOKEN, api_process
from tests.dagster_lake import lake_store

FIRST, SECOND, THIRD = date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 3)
RUN = RunFacts("run-of-a-test")


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral(str(tmp_path)) as made:
        yield made


def trajectory(number: int, day: date, *, reward: float | None) -> bytes:
    task = f"task-{number % 4}"
    line = {
        "run_id": f"bench/{task}/{number}",
        "task_id": task,
        "recorded_at": f"{day}T10:00:00.000000Z",
        "messages": [
            {"role": "user", "content": f"Who can weld on {task}, and by when would they be on site?"},
            {"role": "assistant", "content": f"Number {number}: somebody with certificate {number * 7919} and a van."},
        ],
        "reward": reward,
        "model": "m",
        "source": "bench",
        "licence": "MIT",
    }
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def outcome(of: str, day: date, score: float) -> bytes:
    line = {"run_id": f"outcome-{of}", "recorded_at": f"{day}T12:00:00.000000Z", "outcome_of": of, "score": score}
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def put(objects: S3ObjectStore, stream: str, day: date, lines: list[bytes], part: str = "a") -> None:
    objects.put(f"raw/{stream}/dt={day}/{part}.jsonl", b"".join(lines))


def bring_up_to_date(store: LakeStore) -> None:
    for stream in ("agent_trajectories", "outcomes", "audits"):
        list(store.lake.evidence.materialize(stream, [FIRST, SECOND, THIRD], RUN))
    store.lake.evidence_index.refresh()


def scores(store: LakeStore, folder: Path) -> dict[str, str]:
    lake = store.lake
    with open_lake(lake.read_location, folder) as engine:
        add_relations(
            engine, lake.objects.bucket, lake.evidence_index.read(), PartitionedTable(lake.objects, "scored").read()
        )
        return dict(engine.execute("SELECT run_id, score FROM scored").fetchall())


@pytest.fixture
def store(objects: S3ObjectStore, tmp_path: Path) -> LakeStore:
    put(objects, "agent_trajectories", FIRST, [trajectory(n, FIRST, reward=float(n % 2)) for n in range(8)])
    put(objects, "agent_trajectories", SECOND, [trajectory(n, SECOND, reward=None) for n in range(8, 12)])
    made = lake_store(objects, tmp_path)
    bring_up_to_date(made)
    return made


def test_scores_follow_rewards_and_the_day_is_asked_for_once(store: LakeStore, tmp_path: Path) -> None:
    assert store.lake.scored.behind() == [FIRST, SECOND]
    done = store.lake.scored.score(RUN)
    assert [one.day for one in done] == [FIRST, SECOND]
    found = scores(store, tmp_path)
    assert {found[f"bench/task-{n % 4}/{n}"] for n in range(1, 8, 2)} == {"accepted"}
    assert {found[f"bench/task-{n % 4}/{n}"] for n in range(0, 8, 2)} == {"rejected"}
    assert store.lake.scored.behind() == []
    assert store.lake.scored.score(RUN) == []


def test_days_of_many_records_are_scored_in_portions(
    store: LakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lakehouse.adapters.scored_days._ROWS_AT_ONCE", 8)
    assert [one.day for one in store.lake.scored.score(RUN)] == [FIRST, SECOND]
    assert len(scores(store, tmp_path)) == 12
    assert store.lake.scored.behind() == []


def test_day_without_runs_leaves_no_file_behind(store: LakeStore, objects: S3ObjectStore) -> None:
    put(objects, "outcomes", THIRD, [outcome("nobody", THIRD, 1.0)])
    bring_up_to_date(store)
    assert {one.day: one.partition.files for one in store.lake.scored.score(RUN)}[THIRD] == ()
    assert not list(list_all(objects, f"scored/dt={THIRD}/"))
    assert store.lake.scored.behind() == []


def test_scores_that_were_asked_for_before_there_was_evidence_come_with_it(
    objects: S3ObjectStore, tmp_path: Path
) -> None:
    store = lake_store(objects, tmp_path)
    assert store.lake.scored.score(RUN) == []
    put(objects, "agent_trajectories", FIRST, [trajectory(n, FIRST, reward=1.0) for n in range(2)])
    bring_up_to_date(store)
    assert [one.day for one in store.lake.scored.score(RUN)] == [FIRST]
    assert set(scores(store, tmp_path).values()) == {"accepted"}


def test_late_outcome_scores_the_day_of_its_run_and_no_other(
    store: LakeStore, objects: S3ObjectStore, tmp_path: Path
) -> None:
    store.lake.scored.score(RUN)
    before = scores(store, tmp_path)
    put(objects, "outcomes", THIRD, [outcome("bench/task-0/8", THIRD, 1.0)])
    bring_up_to_date(store)
    assert store.lake.scored.behind() == [SECOND, THIRD]
    assert {one.day: one.is_changed for one in store.lake.scored.score(RUN)}[SECOND]
    after = scores(store, tmp_path)
    changed = {run: score for run, score in after.items() if before.get(run) != score}
    assert changed == {"bench/task-0/8": "accepted"}


def test_asset_scores_its_day_and_the_others_stay_owed(
    instance: dg.DagsterInstance, store: LakeStore, tmp_path: Path
) -> None:
    result = dg.materialize(
        [scored, verdicts_are_steady], partition_key=str(FIRST), instance=instance, resources={"store": store}
    )
    assert result.success
    [event] = result.asset_materializations_for_node("scored")
    assert (event.metadata["accepted"].value, event.metadata["rejected"].value) == (4, 4)
    assert len(scores(store, tmp_path)) == 8
    assert store.lake.scored.behind() == [SECOND]


def test_corpora_are_kept_once_and_named_by_what_they_are_made_of(
    instance: dg.DagsterInstance, store: LakeStore, objects: S3ObjectStore
) -> None:
    store.lake.scored.score(RUN)

    def build() -> dg.ExecuteInProcessResult:
        return dg.materialize(list(export_assets), instance=instance, resources={"store": store})

    result = build()
    assert result.success
    made = {
        kind: result.asset_materializations_for_node(f"export__{kind}")[0].metadata
        for kind in ("sft", "preference", "rag")
    }
    assert made["sft"]["dagster/row_count"].value == 4
    assert int(str(made["preference"]["dagster/row_count"].value)) > 0
    prefix = f"exports/sft/{made['sft']['build_id'].value}/"
    names = {info.key.removeprefix(prefix) for info in list_all(objects, prefix)}
    assert {"manifest.json", "README.md"} <= names
    before = {info.key: info.etag for info in list_all(objects, "exports/")}
    again = build()
    assert not again.asset_materializations_for_node("export__sft")[0].metadata["is_new"].value
    assert {info.key: info.etag for info in list_all(objects, "exports/")} == before
    assert export_key("sft") == dg.AssetKey(["export", "sft"])


def test_accepted_answers_are_searchable_as_a_corpus(
    instance: dg.DagsterInstance, store: LakeStore, objects: S3ObjectStore, tmp_path: Path
) -> None:
    store.lake.scored.score(RUN)
    result = dg.materialize(
        list(export_assets),
        selection=dg.AssetSelection.assets(export_key("rag")),
        instance=instance,
        resources={"store": store},
    )
    [event] = result.asset_materializations_for_node("export__rag")
    assert event.metadata["corpus"].value == "distilled"
    assert event.metadata["corpus_rows"].value == 4
    with api_process(objects, tmp_path / "api") as api, Client(api.url, TOKEN) as client:
        found = client.search("number 3: certificate 23757 and a van", ["distilled"], k=1)["results"]
    assert found[0]["metadata"]["run_id"] == "bench/task-3/3"
