"""`lakehouse audit` on the real store: what is planted is found and named, and a sound lake has no problem."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from lakehouse.adapters.audit import Auditor
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.adapters.receipt_archive import compact_receipts
from lakehouse.catalog.manifest import Column
from lakehouse.catalog.partitioned import PartitionedTable
from lakehouse.clock import utc_now
from lakehouse.lineage.findings import AuditReport
from lakehouse.storage.objects import list_all
from tests.api import clean_environ
from tests.commands import run_command
from tests.dagster_lake import commit, lake_environ, put_parquet
from tests.lineage import ACCEPTED, FIRST, RAW, bodies_of, make_lake, mended, raw_lines
from tests.servers import StoreServer

COLUMNS = {"a": "BIGINT"}


@pytest.fixture(scope="module")
def whole(store_process: StoreServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3ObjectStore]:
    """A bucket with one lake for all tests here."""
    store = store_process.objects(bucket="audit")
    make_lake(store, tmp_path_factory.mktemp("audit"))
    commit(store, "people", (Column("a", "BIGINT"),), put_parquet(store, "people", COLUMNS, [(1,), (2,)]))
    yield store
    store_process.drop_bucket("audit")


@pytest.fixture(scope="module")
def bodies(whole: S3ObjectStore) -> dict[str, bytes]:
    """What lies in the lake, by key."""
    return bodies_of(whole)


@pytest.fixture
def objects(whole: S3ObjectStore, bodies: dict[str, bytes]) -> Iterator[S3ObjectStore]:
    """The lake, mended after each test."""
    with mended(whole, bodies) as lake:
        yield lake


def audit(objects: S3ObjectStore, folder: Path, *, is_full: bool = False) -> AuditReport:
    return Auditor(objects, objects.location, work_dir=folder).audit(is_full=is_full)


def problems(report: AuditReport) -> set[tuple[str, str]]:
    return {(one.check, one.key) for one in report.findings if one.severity == "problem"}


def flip(objects: S3ObjectStore, key: str) -> None:
    """Turn one bit in the middle of an object."""
    body = bytearray(objects.get(key).body)
    body[len(body) // 2] ^= 1
    objects.put(key, bytes(body))


def one_of(objects: S3ObjectStore, table: str, role: str, partition: str | None = None) -> str:
    for name, found in PartitionedTable(objects, table).read().partitions.items():
        file = found.file(role)
        if file is not None and partition in (None, name):
            return file.key
    raise AssertionError(role)


@pytest.mark.parametrize("is_full", [False, True])
def test_sound_lake_has_no_finding(objects: S3ObjectStore, tmp_path: Path, is_full: bool) -> None:
    report = audit(objects, tmp_path, is_full=is_full)
    assert [one for one in report.findings if one.check != "orphans"] == []
    assert report.is_sound
    assert report.looked_at["lines"] == 13
    assert ("bytes" in report.looked_at) is is_full
    assert report.looked_at["receipts"] >= 5


def test_receipts_that_were_moved_together_are_looked_at_too(objects: S3ObjectStore, tmp_path: Path) -> None:
    looked = audit(objects, tmp_path).looked_at["receipts"]
    done = compact_receipts(objects, tmp_path, now=utc_now() + timedelta(days=2), least=1)
    assert done.moved == looked
    report = audit(objects, tmp_path, is_full=True)
    assert problems(report) == set()
    assert report.looked_at["receipts"] == looked


def test_flipped_byte_of_a_raw_line_is_found_in_a_sample(objects: S3ObjectStore, tmp_path: Path) -> None:
    objects.put(RAW, b"".join(raw_lines()).replace(b"Number 1:", b"Number 7:"))
    report = audit(objects, tmp_path)
    assert problems(report) == {("lines", f"{RAW}:2")}
    assert not report.is_sound
    assert ACCEPTED in report.to_markdown()
    assert ("bytes", RAW) in problems(audit(objects, tmp_path, is_full=True))


@pytest.mark.parametrize(
    ("table", "role"),
    [
        ("evidence/agent_trajectories", "evidence"),
        ("scored", "scored"),
        ("builds", "README.md"),
        ("evidence_index", "excluded"),
    ],
)
def test_flipped_byte_of_a_file_is_found_in_full(objects: S3ObjectStore, tmp_path: Path, table: str, role: str) -> None:
    key = one_of(objects, table, role)
    flip(objects, key)
    assert ("bytes", key) in problems(audit(objects, tmp_path, is_full=True))


@pytest.mark.parametrize(
    ("table", "role"),
    [
        ("evidence/agent_trajectories", "evidence"),
        ("evidence/agent_trajectories", "quarantine"),
        ("scored", "scored"),
        ("builds", "provenance.parquet"),
        ("evidence_index", "index"),
    ],
)
def test_object_that_was_removed_is_named(objects: S3ObjectStore, tmp_path: Path, table: str, role: str) -> None:
    key = one_of(objects, table, role)
    objects.delete(key)
    assert ("manifests", key) in problems(audit(objects, tmp_path))


def test_data_file_of_a_dataset_and_manifest_of_a_build_are_named(objects: S3ObjectStore, tmp_path: Path) -> None:
    [data] = [info.key for info in list_all(objects, "datasets/people/")]
    [*_, build] = [info.key for info in list_all(objects, "exports/sft/") if info.key.endswith("/manifest.json")]
    objects.delete(data)
    objects.put(build, objects.get(build).body.replace(b'"README.md"', b'"READYOU.md"'))
    assert {("manifests", data), ("manifests", build)} <= problems(audit(objects, tmp_path))


def test_raw_object_that_is_gone_breaks_its_chain(objects: S3ObjectStore, tmp_path: Path) -> None:
    objects.delete(RAW)
    found = problems(audit(objects, tmp_path))
    assert ("chains", RAW) in found
    assert ("lines", f"{RAW}:2") in found


def receipt_of_evidence(objects: S3ObjectStore) -> str:
    return PartitionedTable(objects, "evidence/agent_trajectories").read().partitions[str(FIRST)].receipt


@pytest.mark.parametrize(
    "forge",
    [
        lambda said: said["outputs"][0].update(sha256="0" * 64),
        lambda said: said["outputs"][0].update(rows=99),
        lambda said: said["counts"].update({"in": 99}),
        lambda said: said["counts"].update({"in": 14, "new": 13}),
        lambda said: said.update(outputs=[]),
        lambda said: said.update(run_id="another"),
        lambda said: said.update(schema="receipt.v9"),
    ],
)
def test_forged_receipt_is_named(objects: S3ObjectStore, tmp_path: Path, forge) -> None:  # type: ignore[no-untyped-def]
    key = receipt_of_evidence(objects)
    said = orjson.loads(objects.get(key).body)
    forge(said)
    objects.put(key, orjson.dumps(said))
    assert problems(audit(objects, tmp_path)) == {("receipts", key)}


def test_receipt_that_nobody_asked_for_is_held_against_manifests(objects: S3ObjectStore, tmp_path: Path) -> None:
    key = receipt_of_evidence(objects)
    said = {**orjson.loads(objects.get(key).body), "run_id": "forged"}
    said["outputs"][0]["sha256"] = "f" * 64
    forged = key.rpartition("/")[0] + "/forged.json"
    objects.put(forged, orjson.dumps(said))
    assert problems(audit(objects, tmp_path)) == {("receipts", forged)}


def test_build_of_runs_that_serve_no_more_is_named(objects: S3ObjectStore, tmp_path: Path) -> None:
    from lakehouse.adapters.evidence_index import EvidenceIndex

    EvidenceIndex(objects, objects.location, work_dir=tmp_path, retracted=lambda: [ACCEPTED]).refresh()
    found = problems(audit(objects, tmp_path))
    assert {check for check, _ in found} == {"chains"}
    assert {key.rpartition("/")[0] for _, key in found} == {"exports/sft", "exports/preference"}


def test_damaged_manifest_is_a_finding_and_the_rest_goes_on(objects: S3ObjectStore, tmp_path: Path) -> None:
    objects.put("catalog/tables/scored.json", b"{")
    objects.put("catalog/manifests/people.json", b"{")
    report = audit(objects, tmp_path)
    assert {("manifests", "catalog/tables/scored.json"), ("manifests", "catalog/manifests/people.json")} <= problems(
        report
    )
    assert report.looked_at["lines"] == 13


def test_object_that_nothing_names_is_a_notice(objects: S3ObjectStore, tmp_path: Path) -> None:
    objects.put("evidence/audits/dt=2026-01-01/left.parquet", b"left")
    report = audit(objects, tmp_path)
    assert report.is_sound
    assert "orphans" in {one.check for one in report.findings if one.severity == "notice"}


def test_empty_bucket_is_sound(store_process: StoreServer, tmp_path: Path) -> None:
    empty = store_process.objects(bucket="audit-empty")
    assert audit(empty, tmp_path, is_full=True).is_sound
    store_process.drop_bucket("audit-empty")


def test_command_keeps_its_report_and_exits_by_it(objects: S3ObjectStore, tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environ = {**clean_environ(), **lake_environ(objects, tmp_path)}
        return run_command("audit", *arguments, environ=environ, cwd=tmp_path)

    sound = run()
    assert (sound.returncode, sound.stderr) == (0, "")
    assert "Nothing is wrong." in sound.stdout
    objects.delete(RAW)
    wrong = run("--full", "--json")
    assert wrong.returncode == 1
    report = orjson.loads(wrong.stdout)
    stored = objects.get(f"audits/{report['audit_id']}/report.json").body
    assert orjson.loads(stored) == report
    assert RAW in objects.get(f"audits/{report['audit_id']}/report.md").body.decode()
