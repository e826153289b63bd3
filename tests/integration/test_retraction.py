"""`lakehouse retract` on the real store: what is retracted serves no more, wherever it has come, and stays away."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import orjson
import pyarrow as pa
import pytest

from lakehouse.adapters.audit import Auditor
from lakehouse.adapters.corpus_retraction import take_out_of_corpora
from lakehouse.adapters.distill_build import Build
from lakehouse.adapters.erasure import Eraser
from lakehouse.adapters.evidence_lake import SUPERSEDED_BY, add_relations, open_lake
from lakehouse.adapters.lance_tables import LanceTables
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.adapters.retracted_runs import TABLE, RetractedRuns
from lakehouse.adapters.retraction import Followers, Retractor
from lakehouse.catalog.partitioned import PartitionedTable
from lakehouse.catalog.retractions import Kind, Retraction, RetractionList
from lakehouse.clock import utc_now
from lakehouse.distillation.parameters import read_parameters
from lakehouse.errors import Unavailable
from lakehouse.lineage.retracted import RetractionReport
from lakehouse.storage.objects import list_all
from lakehouse_assets.resources import LakeStore
from tests.api import api_settings, clean_environ, running_api
from tests.commands import run_command
from tests.dagster_lake import lake_environ
from tests.lineage import ACCEPTED, FIRST, RAW, RUN, bring_up_to_date, make_lake, raw_lines, trajectory
from tests.retrieving import STATIC
from tests.tokens import write_tokens_file

SERVING = "SELECT run_id FROM evidence ORDER BY 1"


def away(_: object) -> int:
    raise Unavailable("nobody answers")


def retractor(
    store: LakeStore, *, fold_back: Callable[[object], int] = lambda _: 0, held_out: Path | None = None
) -> Retractor:
    lake = store.lake
    runs = RetractedRuns(lake.objects, lake.read_location, work_dir=lake.work_dir)
    followers = Followers(lake.evidence_index, lake.scored, lake.exports, fold_back, held_out=held_out)
    return Retractor(lake.objects, lake.read_location, runs, followers, work_dir=lake.work_dir)


def entry(value: str, kind: Kind = "run") -> Retraction:
    return Retraction(kind, value, "asked for", "ops", utc_now())


def retract(store: LakeStore, value: str, kind: Kind = "run", **options: object) -> RetractionReport:
    return retractor(store, **options).retract(entry(value, kind), RUN)  # type: ignore[arg-type]


def rows(store: LakeStore, sql: str) -> list[str]:
    lake = store.lake
    with open_lake(lake.read_location, lake.work_dir) as engine:
        scored = PartitionedTable(lake.objects, "scored").read()
        add_relations(engine, lake.objects.bucket, lake.evidence_index.read(), scored)
        return [row[0] for row in engine.execute(sql).fetchall()]


def holds(objects: S3ObjectStore, prefix: str, text: bytes) -> list[str]:
    """Keys of JSON and JSON lines that have a text."""
    found = (info.key for info in list_all(objects, prefix))
    return [key for key in found if not key.endswith((".parquet", ".png")) and text in objects.get(key).body]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def store(objects: S3ObjectStore, tmp_path: Path) -> LakeStore:
    return make_lake(objects, tmp_path, kinds=())


@pytest.fixture
def built(objects: S3ObjectStore, tmp_path: Path) -> LakeStore:
    return make_lake(objects, tmp_path, kinds=("sft", "preference"))


def test_retracted_run_serves_nowhere_and_its_builds_are_made_anew(built: LakeStore, objects: S3ObjectStore) -> None:
    before = dict(PartitionedTable(objects, "builds").read().partitions)
    assert holds(objects, "exports/", b"Number 1:")
    planned = retractor(built).plan(entry(ACCEPTED))
    assert sum(place.key.startswith("exports/") for place in planned.places) == 2
    report = retract(built, ACCEPTED)
    assert ACCEPTED not in rows(built, SERVING)
    assert ACCEPTED not in rows(built, "SELECT run_id FROM scored")
    assert len(rows(built, SERVING)) == 12
    assert set(report.builds) == set(before)
    builds = PartitionedTable(objects, "builds").read().partitions
    for entry_, made in report.builds.items():
        superseded = builds[entry_].file(SUPERSEDED_BY)
        assert superseded is not None
        assert superseded.key == made
        assert not list_all_keys(objects, f"exports/{entry_}/")
        assert list_all_keys(objects, f"exports/{entry_.partition('/')[0]}/{made}/")
    assert holds(objects, "exports/", b"Number 1:") == []
    assert report.open_places == []
    receipt = orjson.loads(objects.get(report.receipt).body)
    assert receipt["ok"]
    assert f"{RAW}:2" in [item["key"] for item in receipt["inputs"]]
    assert [one for one in Auditor(objects, objects.location, work_dir=built.lake.work_dir).audit(is_full=True).findings
            if one.severity == "problem"] == []  # fmt: skip


def list_all_keys(objects: S3ObjectStore, prefix: str) -> list[str]:
    return [info.key for info in list_all(objects, prefix)]


def test_replay_of_everything_does_not_bring_it_back(store: LakeStore, objects: S3ObjectStore) -> None:
    retract(store, ACCEPTED)
    objects.put(f"raw/agent_trajectories/dt={FIRST}/again.jsonl", trajectory(1, says="Once more."))
    for info in list(list_all(objects, "catalog/tables/evidence")):
        objects.delete(info.key)
    bring_up_to_date(store)
    assert ACCEPTED not in rows(store, SERVING)
    assert rows(store, f"SELECT DISTINCT status FROM evidence_index WHERE run_id = '{ACCEPTED}'") == ["retracted"]


def test_subject_takes_every_run_that_speaks_of_it_those_to_come_too(store: LakeStore, objects: S3ObjectStore) -> None:
    report = retract(store, "certificate 15838", "subject")  # 2 * 7919
    assert report.runs == ("bench/task-2/2",)
    assert "bench/task-2/2" not in rows(store, SERVING)
    late = trajectory(30, says="She has Certificate\n15838, too.") + trajectory(31, says="certificate 158380")
    objects.put(f"raw/agent_trajectories/dt={FIRST}/late.jsonl", late)
    bring_up_to_date(store)
    serving = rows(store, SERVING)
    assert "bench/task-2/30" not in serving
    assert "bench/task-3/31" in serving
    assert rows(store, "SELECT run_id FROM evidence_index WHERE status = 'retracted' ORDER BY 1") == [
        "bench/task-2/2", "bench/task-2/30",
    ]  # fmt: skip
    kept = PartitionedTable(objects, TABLE).read().partitions["current"]
    assert b"certificate" not in orjson.dumps([file.key for file in kept.files])


def test_second_subject_is_looked_for_in_what_was_there(store: LakeStore) -> None:
    retract(store, "certificate 15838", "subject")
    report = retract(store, "task-3", "subject")
    assert set(report.runs) == {"bench/task-3/3", "bench/task-3/7", "bench/task-3/11"}
    assert not {run for run in rows(store, SERVING) if "task-3" in run or run == "bench/task-2/2"}


def test_dry_run_says_the_same_and_changes_nothing(store: LakeStore, objects: S3ObjectStore) -> None:
    before = {info.key: info.etag for info in list_all(objects, "")}
    planned = retractor(store).plan(entry(ACCEPTED))
    assert planned.is_dry
    assert {f"{RAW}:2", f"scored/dt={FIRST}/"} <= {place.key for place in planned.places}
    assert {info.key: info.etag for info in list_all(objects, "")} == before


def test_what_could_not_be_reached_is_left_to_the_operator(
    store: LakeStore, objects: S3ObjectStore, tmp_path: Path
) -> None:
    held_out = tmp_path / "held-out.jsonl"
    held_out.write_bytes(orjson.dumps({"text": "nothing that is like any of it"}) + b"\n")
    params = read_parameters({"kind": "sft"})
    store.lake.exports.export(params, RUN, held_out=held_out)
    report = retract(store, ACCEPTED, fold_back=away)
    assert {place.key.partition("/")[0] for place in report.open_places} == {"exports", "memory of the API"}
    receipt = orjson.loads(objects.get(report.receipt).body)
    assert (receipt["ok"], len(receipt["errors"])) == (False, 2)
    assert holds(objects, "exports/", b"Number 1:") == []


def test_build_with_a_file_held_out_is_made_anew_with_it(store: LakeStore, tmp_path: Path) -> None:
    held_out = tmp_path / "held-out.jsonl"
    held_out.write_bytes(orjson.dumps({"text": "nothing that is like any of it"}) + b"\n")
    done = store.lake.exports.export(read_parameters({"kind": "sft"}), RUN, held_out=held_out)
    report = retract(store, ACCEPTED, held_out=held_out)
    assert report.builds[f"sft/{done.manifest.build_id}"] is not None
    assert report.open_places == []


def test_build_that_began_before_and_is_named_behind_a_retraction_is_made_once_more(
    store: LakeStore, objects: S3ObjectStore
) -> None:
    exports = store.lake.exports
    began = []

    def meanwhile(_: Build) -> None:
        if not began:
            began.append(True)
            retract(store, ACCEPTED)

    done = exports.export(read_parameters({"kind": "sft"}), RUN, on_build=meanwhile)
    assert holds(objects, "exports/", b"Number 1:") == []
    [kept] = [name for name, one in PartitionedTable(objects, "builds").read().partitions.items()
              if one.file(SUPERSEDED_BY) is None]  # fmt: skip
    assert kept == f"sft/{done.manifest.build_id}"
    assert list_all_keys(objects, done.prefix)


def test_chunks_leave_every_corpus_that_they_were_loaded_into(objects: S3ObjectStore) -> None:
    tables = LanceTables(objects.location, objects)
    schema = pa.schema([pa.field("id", pa.string(), nullable=False), pa.field("metadata", pa.string())])
    for name in ("distilled", "another"):
        told = [(f"{run}#{n}", {"run_id": run, "source_key": RAW}) for run in ("a/1", "a/12") for n in range(2)]
        rows = [*told, ("mine", {"run_id": "a/1"}), ("none", None)]
        columns = {
            "id": [row_id for row_id, _ in rows],
            "metadata": [None if said is None else orjson.dumps(said).decode() for _, said in rows],
        }
        tables.create(name, schema, info={"kind": "corpus"}).append(pa.table(columns, schema=schema))
    places = list(take_out_of_corpora(objects, ["a/1"]))
    assert [(place.key, place.is_open) for place in places] == [("lance/another", False), ("lance/distilled", False)]
    left = tables.open("distilled")
    assert left is not None
    assert sorted(id_ for batch in left.scan(["id"]) for id_ in batch.column("id").to_pylist()) == [
        "a/12#0", "a/12#1", "mine", "none",
    ]  # fmt: skip
    assert list(take_out_of_corpora(objects, ["a/1"])) == []


def test_run_that_is_not_there_yet_will_not_serve(store: LakeStore, objects: S3ObjectStore) -> None:
    report = retract(store, "bench/task-0/40")
    assert [place.key for place in report.places] == ["memory of the API"]
    objects.put(f"raw/agent_trajectories/dt={FIRST}/late.jsonl", trajectory(40) + trajectory(44))
    bring_up_to_date(store)
    assert "bench/task-0/40" not in rows(store, SERVING)
    assert "bench/task-0/44" in rows(store, SERVING)


def test_retraction_that_was_killed_goes_on_where_it_was(store: LakeStore, objects: S3ObjectStore) -> None:
    RetractionList(objects).add(entry(ACCEPTED))  # killed right behind the list
    report = retract(store, ACCEPTED)
    assert not report.is_new
    assert ACCEPTED not in rows(store, SERVING)


def test_erased_line_is_in_no_byte_that_the_platform_reaches(store: LakeStore, objects: S3ObjectStore) -> None:
    lake = store.lake
    marked = raw_lines()[1].rstrip(b"\n")
    prefixes = ("evidence/agent_trajectories/", "quarantine/evidence/")
    before = {info.key for prefix in prefixes for info in list_all(objects, prefix)}
    eraser = Eraser(objects, lake.evidence, work_dir=lake.work_dir)
    report = retractor(store).retract(entry(ACCEPTED), RUN, eraser=eraser)
    lines = objects.get(RAW).body.split(b"\n")
    assert len(lines) == len(raw_lines()) + 1
    assert orjson.loads(lines[1]) == {"erased": next(p.sha256 for p in report.places if p.what == "was erased")}
    assert lines[0] + b"\n" == raw_lines()[0]
    assert marked not in objects.get(RAW).body
    assert holds(objects, "", b"certificate 7919 ") == []
    there = {info.key for prefix in prefixes for info in list_all(objects, prefix)}
    gone = before - there
    assert {key.partition("/")[0] for key in gone} == {"evidence", "quarantine"}
    assert all(f"/dt={FIRST}/" in key for key in gone)
    assert rows(store, f"SELECT status FROM evidence_index WHERE run_id = '{ACCEPTED}'") == []
    assert len(rows(store, SERVING)) == 12
    left = {place.key for place in report.open_places}
    assert {"backups", "files/ and landing/", "catalog/retractions.json"} <= left
    report_of_audit = Auditor(objects, objects.location, work_dir=lake.work_dir).audit(is_full=True)
    assert [one for one in report_of_audit.findings if one.severity == "problem"] == []


def test_command_asks_and_says_what_is_left(store: LakeStore, objects: S3ObjectStore, tmp_path: Path) -> None:
    def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        environ = {**clean_environ(), **lake_environ(objects, tmp_path), "LAKEHOUSE_API_PORT": "9"}
        return run_command("retract", *arguments, environ=environ, cwd=tmp_path, stdin=stdin)

    assert run(ACCEPTED).returncode == 2
    declined = run(ACCEPTED, "--reason", "asked for", stdin="n\n")
    assert declined.returncode == 1
    assert f"{RAW}:2" in declined.stdout
    assert RetractionList(objects).read() == ()
    done = run(ACCEPTED, "--reason", "asked for", "--yes", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    said = orjson.loads(done.stdout)
    assert (said["runs"], said["is_dry"]) == ([ACCEPTED], False)
    erased = run(ACCEPTED, "--reason", "asked for", "--yes", "--erase")
    assert erased.returncode == 1
    assert "\n  backups hold it" in erased.stdout.partition("left to you:")[2]
    [kept] = RetractionList(objects).read()
    assert (kept.value, kept.reason) == (ACCEPTED, "asked for")
    mistyped = run("no-such-run", "--reason", "asked for", "--yes")
    assert mistyped.returncode == 0  # lines of it may come later
    assert "nothing made of it was found; it stays on the list" in mistyped.stdout


@pytest.mark.anyio
async def test_lineage_of_a_retracted_run_says_when_by_whom_and_why(
    store: LakeStore, objects: S3ObjectStore, tmp_path: Path
) -> None:
    retract(store, ACCEPTED)
    retract(store, "certificate 7919", "subject")  # occurs in the same run
    tokens = write_tokens_file(tmp_path / "tokens.json", reader=["read"])
    async with running_api(api_settings(objects, tmp_path / "api", tokens_file=tokens, **STATIC)) as api:
        async with api.client() as client:
            [run] = (await client.get(f"/v1/lineage/{ACCEPTED}")).json()["runs"]
            [other] = (await client.get("/v1/lineage/bench/task-2/2")).json()["runs"]
        async with api.client(token="reader") as reader:
            masked = (await reader.get(f"/v1/lineage/{ACCEPTED}")).json()["runs"][0]["retractions"]
    assert [(one["kind"], one["by"], one["reason"]) for one in run["retractions"]] == [
        ("run", "ops", "asked for"), ("subject", "ops", "asked for")
    ]  # fmt: skip
    assert run["retractions"][0]["at"].startswith(f"{utc_now():%Y}")
    assert {one["reason"] for one in masked} == {"[masked]"}
    assert other["retractions"] == []
