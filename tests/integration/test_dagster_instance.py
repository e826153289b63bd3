"""What Dagster loads and where it lives: definitions, workspace files, the home, the daemon's lock, dead runs."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster._core.storage.tags import BACKFILL_ID_TAG
from dagster._utils.tags import TagConcurrencyLimitsCounter

from lakehouse.clock import utc_now
from lakehouse.errors import Conflict
from lakehouse.evidence.transforms import TRANSFORMS
from lakehouse.settings import Settings, load_settings, process_environ
from lakehouse_assets.catching_up import TAGS, waiting
from lakehouse_assets.daemon import only_one
from lakehouse_assets.dataset import dataset
from lakehouse_assets.definitions import build_defs
from lakehouse_assets.home import make_dagster_home, open_instance
from lakehouse_assets.processes import LOCATION, MODULE, dagster_commands, is_daemon_ready
from lakehouse_assets.run_history import delete_run, runs_to_purge
from lakehouse_assets.sensor_ticks import judge_ticks, tick_ages
from tests.dagster_lake import some_job

ROOT = Path(__file__).resolve().parents[2]


def settings_in(folder: Path, **changes: str) -> Settings:
    return load_settings({"LAKEHOUSE_DATA_DIR": str(folder), **changes}, env_file=None)


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral(str(tmp_path)) as made:
        yield made


@pytest.mark.parametrize("tags", [{BACKFILL_ID_TAG: "b"}, TAGS], ids=["backfill", "catching up"])
def test_many_runs_leave_a_slot_to_what_somebody_starts(tmp_path: Path, tags: Mapping[str, str]) -> None:
    with open_instance(settings_in(tmp_path)) as instance:
        queue = instance.get_concurrency_config().run_queue_config
        assert queue is not None
        backfilled = [
            instance.create_run_for_job(some_job(), status=dg.DagsterRunStatus.NOT_STARTED, tags=dict(tags))
            for _ in range(2)
        ]
        by_hand = instance.create_run_for_job(some_job(), status=dg.DagsterRunStatus.NOT_STARTED)
    counter = TagConcurrencyLimitsCounter(queue.tag_concurrency_limits, backfilled[:1])
    assert queue.max_concurrent_runs > len(backfilled[:1])
    assert (counter.is_blocked(backfilled[1]), counter.is_blocked(by_hand)) == (True, False)


def test_day_that_waits_is_not_asked_for_again(instance: dg.DagsterInstance) -> None:
    for day, status in (("2026-03-01", dg.DagsterRunStatus.NOT_STARTED), ("2026-03-02", dg.DagsterRunStatus.STARTED)):
        tags = {"dagster/schedule_name": "scores_behind", "dagster/partition": day}
        instance.create_run_for_job(some_job(), status=status, tags=tags)
    assert waiting(instance, "scores_behind") == {"2026-03-01"}
    assert waiting(instance, "evidence_behind") == frozenset()


def test_definitions_load_and_name_everything() -> None:
    repository = build_defs().get_repository_def()
    streams = set(TRANSFORMS)
    assert {key.to_user_string() for key in repository.asset_graph.get_all_asset_keys()} == {
        "landing", "dataset", "corpus/workers", "corpus/notes", "corpus/occupations", "optimize", "audit_full",
        "garbage", "receipts", "retention", "run_history", "trajectory_files", "agent_trajectories",
        *(f"raw/{stream}" for stream in streams - {"agent_trajectories"}),
        *(f"evidence/{stream}" for stream in streams),
        "evidence_index", "scored", "export/sft", "export/preference", "export/rag", "fold_back", "triage",
        "workflow_batch",
        "replay", "promotion_watch",
        "drift/scorer", "drift/playbook", "drift/embedding", "drift/audit", "drift/outcome",
    }  # fmt: skip
    assert {sensor.name for sensor in repository.sensor_defs} >= {"landing", "catalog", "run_failure", "corpora"}
    assert {schedule.name for schedule in repository.schedule_defs} == {
        "audit_daily",
        "audit_weekly",
        "compact_receipts_daily",
        "corpora_behind",
        "drift_daily",
        "evidence_behind",
        "evidence_index_behind",
        "fold_back_hourly",
        "gc_daily",
        "optimize_by_fragments",
        "optimize_daily",
        "promotion_watch_hourly",
        "purge_runs_weekly",
        "replay_nightly",
        "retention_daily",
        "scores_behind",
        "triage_quarter_hourly",
        "watch_hourly",
    }
    assert {job.name for job in repository.get_all_jobs()} >= {
        "ingest", "corpus_workers", "optimize_tables", "gc", "purge_runs", "watch", "audit_everything",
    }  # fmt: skip
    dg.Definitions.validate_loadable(build_defs())


def test_every_asset_has_a_code_version_and_an_owner() -> None:
    for key, node in ((n.key, n) for n in build_defs().resolve_asset_graph().asset_nodes if n.is_materializable):
        assert node.code_version, key
        assert node.owners, key


def test_backfill_of_datasets_goes_in_chunks() -> None:
    assert dataset.backfill_policy == dg.BackfillPolicy.multi_run(31)
    assert build_defs().executor is dg.in_process_executor


def test_importing_the_definitions_connects_to_nothing_and_reads_no_setting() -> None:
    program = f"""
import socket, sys
def refuse(*a, **k): raise AssertionError("network at import")
socket.socket.connect = refuse
import {MODULE}
assert not {{"boto3", "duckdb", "pyarrow", "lancedb", "pandas"}} & set(sys.modules), "heavy import"
"""
    environ = process_environ(LAKEHOUSE_NO_SUCH_SETTING="1")
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, cwd=ROOT, env=environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("said", ["absolute", "relative", "unsaid"])
def test_corpora_are_those_of_the_folder_that_the_setting_names(tmp_path: Path, said: str) -> None:
    folder = tmp_path / ("corpora" if said == "unsaid" else "declared")
    folder.mkdir()
    (folder / "mine.yaml").write_text("name: mine\nsource: {dataset: mine}\nid: id\ntext: '{t}'\nembedder: static\n")
    named = {"absolute": {"LAKEHOUSE_CORPORA_DIR": str(folder)}, "relative": {"LAKEHOUSE_CORPORA_DIR": "declared"}}
    program = f"""
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.definitions.reconstruct import initialize_repository_def_from_pointer
repository = initialize_repository_def_from_pointer(ModuleCodePointer("{MODULE}", "defs", None))
print([key.path[1] for key in repository.asset_graph.get_all_asset_keys() if key.path[0] == "corpus"])
"""
    environ = process_environ(PYTHONPATH=str(ROOT), **named.get(said, {}))
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, cwd=tmp_path, env=environ, capture_output=True, text=True
    )
    assert done.stdout == "['mine']\n", done.stderr[-2000:]


def test_workspace_yaml_and_dg_toml_agree() -> None:
    (entry,) = yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"]
    project = tomllib.loads((ROOT / "dg.toml").read_text())["project"]
    assert entry["python_module"]["module_name"] == project["code_location_target_module"] == MODULE
    assert entry["python_module"]["location_name"] == project["code_location_name"] == LOCATION
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    assert not {"dagster", "dg"} & set(tools)


def test_home_is_made_once_and_read_by_dagster(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    home = make_dagster_home(settings)
    written_at = (home / "dagster.yaml").stat().st_mtime_ns
    assert make_dagster_home(settings) == home
    assert (home / "dagster.yaml").stat().st_mtime_ns == written_at
    with open_instance(settings) as instance:
        assert not instance.telemetry_enabled
        assert not instance.nux_enabled
        assert instance.run_monitoring_enabled
        assert instance.run_retries_enabled
        config = instance.get_concurrency_config()
        assert config.run_queue_config is not None
        assert config.run_queue_config.max_concurrent_runs == 2
        assert config.pool_config.default_pool_limit == 2


def test_postgres_url_stays_out_of_the_home(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, LAKEHOUSE_DAGSTER_POSTGRES_URL="postgresql://u:secret@localhost/d")
    text = (make_dagster_home(settings) / "dagster.yaml").read_text()
    assert "secret" not in text
    assert yaml.safe_load(text)["storage"]["postgres"]["postgres_url"] == {"env": "LAKEHOUSE_DAGSTER_POSTGRES_URL"}
    assert dagster_commands(settings)[0].env["LAKEHOUSE_DAGSTER_POSTGRES_URL"].startswith("postgresql://u:secret")


def test_instance_opened_by_many_at_the_same_time_is_whole(tmp_path: Path) -> None:
    program = (
        "from lakehouse.settings import load_settings\nfrom lakehouse_assets.home import open_instance\n"
        "with open_instance(load_settings()) as i: print(len(i.all_asset_keys()))"
    )
    environ = process_environ(LAKEHOUSE_DATA_DIR=str(tmp_path))

    def open_it(_: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", program], check=False, env=environ, capture_output=True, text=True, cwd=ROOT
        )

    with ThreadPoolExecutor(2) as pool:
        for done in pool.map(open_it, range(2)):
            assert done.stdout == "0\n", done.stderr[-2000:]


def test_second_daemon_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    with only_one(tmp_path):
        assert not is_daemon_ready(tmp_path)
        with pytest.raises(Conflict, match="already serves"), only_one(tmp_path):
            pass
        (tmp_path / "daemon.ready").touch()
        assert is_daemon_ready(tmp_path)
    assert not is_daemon_ready(tmp_path)
    with only_one(tmp_path):
        pass


def test_sensor_without_a_young_tick_fails_the_check(tmp_path: Path) -> None:
    with dg.instance_for_test(temp_dir=str(tmp_path)) as whole:
        assert tick_ages(whole) == {"landing": None, "catalog": None, "run_failure": None}
    assert not judge_ticks({"landing": 1.0, "run_failure": None}).passed
    assert not judge_ticks({"landing": 1.0, "run_failure": 301.0}).passed
    assert judge_ticks({"landing": 1.0, "run_failure": 20.0}).passed


def test_purge_keeps_what_made_the_latest_of_anything(instance: dg.DagsterInstance) -> None:
    @dg.asset(partitions_def=dg.StaticPartitionsDefinition(["a", "b"]))
    def thing() -> None: ...

    runs = [dg.materialize([thing], instance=instance, partition_key=p).run_id for p in ("a", "a", "b", "b")]

    old = runs_to_purge(instance, before=utc_now())
    assert set(old) == {runs[0], runs[2]}
    assert instance.get_runs_count() == 4
    for run_id in old:
        delete_run(instance, run_id)
    assert {r.run_id for r in instance.get_runs()} == {runs[1], runs[3]}


def test_purged_run_leaves_nothing_on_the_disk(tmp_path: Path) -> None:
    @dg.asset
    def thing() -> None:
        print("captured")

    with open_instance(settings_in(tmp_path)) as whole:
        old, new = (dg.materialize([thing], instance=whole).run_id for _ in range(2))
        named = [p for p in tmp_path.rglob("*") if old in p.name]
        assert len(named) >= 2, "its events and its output"
        assert runs_to_purge(whole, before=utc_now()) == [old]
        delete_run(whole, old)
        assert [p for p in tmp_path.rglob("*") if old in p.name] == []
        assert whole.get_run_by_id(new) is not None
        assert runs_to_purge(whole, before=utc_now()) == []
