"""The assets of corpora: built in a child on the real store, with lineage, checks, receipts, automation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import orjson
import pytest

from lakehouse.adapters.corpus_files import read_folder
from lakehouse.adapters.lance_tables import LanceTables
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.retrieval.live_table import LiveTable
from lakehouse.storage.objects import list_all
from lakehouse_assets.corpora import corpus_key
from lakehouse_assets.corpus_checks import judge_fragments, judge_rows
from lakehouse_assets.definitions import build_defs
from lakehouse_assets.failures import REFUSED_TAG
from lakehouse_assets.home import limit_pools
from tests.corpora import MANIFEST_COLUMNS, CorpusDesk, row, rows
from tests.dagster_lake import lake_store
from tests.servers import silent_server

NOTES = """\
name: notes
source: {dataset: notes}
id: id
text: "{title}"
metadata: {tags: {split: ","}, email: }
embedder: static
"""


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral(str(tmp_path)) as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "corpora"
    made.mkdir()
    (made / "notes.yaml").write_text(NOTES)
    return made


class Assets:
    """The definitions on a test's bucket and folder of declarations."""

    def __init__(self, instance: dg.DagsterInstance, objects: S3ObjectStore, folder: Path, **changes: str) -> None:
        self.instance = instance
        self.folder = folder
        self.store = lake_store(objects, folder.parent, **changes)

    @property
    def definitions(self) -> dg.Definitions:
        return build_defs(self.store, corpora=self.folder)

    def build(
        self, name: str = "notes", *, partition: str | None = None, config: Mapping[str, Any] | None = None
    ) -> dg.ExecuteInProcessResult:
        job = self.definitions.resolve_job_def(f"corpus_{name}")
        return job.execute_in_process(
            instance=self.instance,
            partition_key=partition,
            raise_on_error=False,
            run_config={"ops": {f"corpus__{name}": {"config": dict(config or {})}}},
        )

    def event(self, name: str = "notes") -> dg.AssetMaterialization:
        event = self.instance.get_latest_materialization_event(corpus_key(name))
        assert event is not None
        assert event.asset_materialization is not None
        return event.asset_materialization


@pytest.fixture
def assets(instance: dg.DagsterInstance, objects: S3ObjectStore, folder: Path) -> Assets:
    return Assets(instance, objects, folder)


def failure_of(result: dg.ExecuteInProcessResult, name: str = "notes") -> dict[str, Any]:
    failure = result.failure_data_for_node(f"corpus__{name}")
    assert failure is not None
    assert failure.user_failure_data is not None
    data = failure.user_failure_data
    return {"description": data.description, **{k: v.value for k, v in data.metadata.items()}}


def test_corpus_is_built_shown_checked_and_has_its_receipt(
    assets: Assets, objects: S3ObjectStore, tmp_path: Path
) -> None:
    desk = CorpusDesk(objects, tmp_path)
    desk.put_rows([*rows(1, 2, 3), row(4, title=" ")])
    result = assets.build()
    assert result.success
    shown = {name: value.value for name, value in assets.event().metadata.items()}
    expected = {
        "dagster/row_count": 3, "new": 3, "changed": 0, "unchanged": 0, "deleted": 0, "embedded": 3, "refused": 1,
        "embedder": "static", "fragments": 1, "is_changed": True, "source_rows": 4,
    }  # fmt: skip
    assert {key: shown[key] for key in expected} == expected
    assert shown["dagster/uri"] == f"s3://{objects.bucket}/lance/notes.lance"
    assert shown["peak_rss_mib"] > 50
    assert sorted(desk.stored()) == ["n1", "n2", "n3"]
    assert {e.check_name: e.passed for e in result.get_asset_check_evaluations()} == {
        "rows_match_source": True, "few_fragments": True
    }  # fmt: skip
    receipt = orjson.loads(objects.get(f"receipts/corpus/notes/{result.run_id}.json").body)
    assert receipt["counts"] == {"in": 4, "new": 3, "corrected": 0, "duplicate": 0, "quarantined": 1, "out": 3}
    assert [i["key"].split("/")[0] for i in receipt["inputs"]] == ["datasets", "datasets"]
    assert receipt["ok"] is True


def test_build_again_is_the_same_data_version_and_no_new_table_version(
    assets: Assets, objects: S3ObjectStore, tmp_path: Path
) -> None:
    desk = CorpusDesk(objects, tmp_path)
    desk.put_rows(rows(1, 2))
    assert assets.build().success
    first = assets.event()
    assert assets.build().success
    again = assets.event()
    assert again.metadata["is_changed"].value is False
    assert again.metadata["version"].value == first.metadata["version"].value
    version = "dagster/data_version"
    assert (first.tags or {})[version] == (again.tags or {})[version]
    desk.put_rows(rows(1, 2, 3))
    assert assets.build().success
    assert (assets.event().tags or {})[version] != (first.tags or {})[version]
    uri = desk.table().live.uri
    assert assets.build(config={"full": True}).success
    assert desk.table().live.uri != uri


def test_lineage_leads_from_the_dataset_to_the_corpus(assets: Assets) -> None:
    graph = assets.definitions.resolve_asset_graph()
    node = graph.get(corpus_key("notes"))
    assert node.parent_keys == {dg.AssetKey("dataset")}
    assert node.partition_mappings[dg.AssetKey("dataset")] == dg.SpecificPartitionsPartitionMapping(["notes"])
    assert node.pools == {"lance"}
    assert node.code_version is not None
    (assets.folder / "notes.yaml").write_text(NOTES.replace("{title}", "{title} {tags}"))
    changed = assets.definitions.resolve_asset_graph().get(corpus_key("notes"))
    assert changed.code_version != node.code_version


def test_missing_dataset_is_a_failure_that_is_not_tried_again(assets: Assets, instance: dg.DagsterInstance) -> None:
    result = assets.build()
    assert not result.success
    failure = failure_of(result)
    assert failure["status"] == 404
    assert "notes.yaml: source.dataset" in failure["description"]
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.tags[REFUSED_TAG] == "404"


def test_broken_declaration_is_an_asset_that_says_why_and_hides_no_other(assets: Assets) -> None:
    (assets.folder / "broken.yaml").write_text("name: broken\nsource: [")
    result = assets.build("broken")
    assert not result.success
    failure = failure_of(result, "broken")
    assert failure["status"] == 400
    assert "broken.yaml" in failure["description"]
    assert "not YAML" in failure["description"]


def test_definitions_load_without_the_folder(tmp_path: Path) -> None:
    graph = build_defs(corpora=tmp_path / "absent").resolve_asset_graph()
    assert not [key for key in graph.get_all_asset_keys() if key.path[0] == "corpus"]


def test_store_that_never_answers_is_retried_then_fails(
    instance: dg.DagsterInstance, objects: S3ObjectStore, folder: Path
) -> None:
    with silent_server() as port:
        changes = {
            "LAKEHOUSE_S3_ENDPOINT": f"http://127.0.0.1:{port}",
            "LAKEHOUSE_S3_READ_TIMEOUT_S": "0.2",
            "LAKEHOUSE_S3_MAX_ATTEMPTS": "1",
        }
        result = Assets(instance, objects, folder, **changes).build()
    assert not result.success
    assert [e.event_type for e in result.all_events].count(dg.DagsterEventType.STEP_UP_FOR_RETRY) == 2


def test_killed_child_is_one_failed_step(assets: Assets, objects: S3ObjectStore, tmp_path: Path) -> None:
    class Killed(dg.PipesSubprocessClient):
        def run(self, *, command: Any, **more: Any) -> Any:
            program = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
            return super().run(command=[command[0], "-c", program], **more)

    CorpusDesk(objects, tmp_path).put_rows(rows(1))
    definitions = assets.definitions
    result = dg.materialize(
        [a for a in definitions.assets or [] if isinstance(a, dg.AssetsDefinition) and corpus_key("notes") in a.keys],
        instance=assets.instance,
        resources={"store": assets.store, "child": Killed()},
        raise_on_error=False,
    )
    assert not result.success
    failure = str(result.failure_data_for_node("corpus__notes"))
    assert "code -9" in failure
    assert "lack of memory" in failure
    assert "materialize it again" in failure


def test_parts_are_partitions(assets: Assets, objects: S3ObjectStore, tmp_path: Path) -> None:
    (assets.folder / "notes.yaml").write_text(NOTES + "partitions: 2\n")
    desk = CorpusDesk(objects, tmp_path)
    desk.put_rows(rows(*range(10)))
    for part in ("p000", "p001"):
        assert assets.build(partition=part).success
    assert len(desk.stored()) == 10
    receipts = [info.key for info in list_all(objects, "receipts/corpus/")]
    assert sorted(key.split("/")[2] for key in receipts) == ["notes.p000", "notes.p001"]
    assert assets.event().partition == "p001"


class Automation:
    """Evaluates the conditions as the sensor does, tick by tick."""

    def __init__(self, assets: Assets) -> None:
        self._assets = assets
        self._cursor: Any = None

    def requested(self) -> set[str]:
        result = dg.evaluate_automation_conditions(
            defs=self._assets.definitions,
            instance=self._assets.instance,
            asset_selection=dg.AssetSelection.groups("corpora"),
            cursor=self._cursor,
            evaluation_time=datetime.now(UTC),
        )
        self._cursor = result.cursor
        keys = [corpus_key(d.name) for d in read_folder(self._assets.folder)]
        return {key.path[-1] for key in keys if result.get_num_requested(key)}


def dataset_event(name: str) -> dg.AssetMaterialization:
    return dg.AssetMaterialization("dataset", partition=name)


def test_change_of_the_dataset_asks_for_the_corpus(assets: Assets, objects: S3ObjectStore, tmp_path: Path) -> None:
    (assets.folder / "others.yaml").write_text(NOTES.replace("notes", "others"))
    (assets.folder / "filed.yaml").write_text(
        NOTES.replace("notes", "filed").replace("{dataset: filed}", "{files: [a.csv]}")
    )
    automation = Automation(assets)
    assert automation.requested() == set()  # no dataset is there yet
    CorpusDesk(objects, tmp_path).put_rows(rows(1))
    assets.instance.add_dynamic_partitions("datasets", ["notes"])
    assets.instance.report_runless_asset_event(dataset_event("notes"))
    assert automation.requested() == {"notes"}
    assert automation.requested() == set()
    assert assets.build().success
    assert automation.requested() == set()
    assets.instance.add_dynamic_partitions("datasets", ["unrelated"])
    assets.instance.report_runless_asset_event(dataset_event("unrelated"))
    assert automation.requested() == set()
    assets.instance.report_runless_asset_event(dataset_event("notes"))
    assert automation.requested() == {"notes"}
    assert automation.requested() == set()
    (assets.folder / "notes.yaml").write_text(NOTES.replace("{title}", "{title} {tags}"))
    assert automation.requested() == {"notes"}


def test_one_writer_of_tables_at_a_time(tmp_path: Path) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as real:
        limit_pools(real)
        limits = {limit.name: limit.limit for limit in real.event_log_storage.get_pool_limits()}
        assert limits == {"lance": 1}
        real.event_log_storage.set_concurrency_slots("lance", 3)  # an operator's choice stays
        limit_pools(real)
        assert {p.name: p.limit for p in real.event_log_storage.get_pool_limits()} == {"lance": 3}


def test_check_of_rows_tells_lost_rows_from_a_newer_dataset() -> None:
    built = {"all": {"rows": 3, "source_rows": 4, "refused": 1}}
    live = LiveTable(uri="lance/a.lance", version=1, key="id", info={"built": built})
    assert judge_rows(live, stored=3, source_rows=4).passed
    assert judge_rows(live, stored=3, source_rows=None).passed
    newer = judge_rows(live, stored=3, source_rows=9)
    assert (newer.passed, newer.severity) == (False, dg.AssetCheckSeverity.WARN)
    lost = judge_rows(live, stored=2, source_rows=4)
    assert (lost.passed, lost.severity) == (False, dg.AssetCheckSeverity.ERROR)


def test_check_of_fragments_warns_of_many() -> None:
    few = LiveTable(uri="lance/a.lance", version=1, key="id", rows=10, fragments=3)
    many = LiveTable(uri="lance/a.lance", version=1, key="id", rows=10, fragments=100)
    assert judge_fragments(few).passed
    assert not judge_fragments(many).passed
    assert judge_fragments(many).severity == dg.AssetCheckSeverity.WARN


def test_marks_of_personal_columns_reach_the_table(assets: Assets, objects: S3ObjectStore, tmp_path: Path) -> None:
    assert any(c.pii for c in MANIFEST_COLUMNS)
    CorpusDesk(objects, tmp_path).put_rows(rows(1))
    assert assets.build().success
    table = LanceTables(objects.location, objects).open("notes")
    assert table is not None
    assert table.info["pii_columns"] == ["email"]
