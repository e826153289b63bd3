"""`lakehouse audit full` on the real store: a sound lake passes, and for every phase something makes it fail."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import orjson
import pytest

from lakehouse.adapters.audit_baselines import CURRENT, VERSIONS, AuditBaselines
from lakehouse.adapters.audit_full import ALL, FullAuditor
from lakehouse.adapters.audit_full_parts import AuditParts
from lakehouse.adapters.evidence_materializer import EvidenceMaterializer, RunFacts
from lakehouse.adapters.evidence_raw import list_days
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.audit.contract import ApiAddress
from lakehouse.audit.report import FullReport
from lakehouse.audit.results import Check
from lakehouse.catalog.manifest import Column
from lakehouse.errors import BadInput
from lakehouse.evidence.days import RawObject
from lakehouse.retrieval.config_store import ConfigStore
from lakehouse.storage.objects import ObjectInfo, list_all
from lakehouse_api.app import create_app
from lakehouse_assets.audit_full import AuditConfig, audit_full
from tests.api import TOKEN, api_settings, clean_environ, serving
from tests.commands import run_command
from tests.dagster_lake import commit, lake_environ, lake_store, put_parquet
from tests.fakes.scripted_http import Reply, scripted_http
from tests.lineage import RAW, bodies_of, make_lake, mended
from tests.servers import StoreServer, free_port_block, silent_server

OPENAPI = Path(__file__).resolve().parents[2] / "docs" / "reference" / "openapi.json"
COLUMNS = {"a": "BIGINT"}
SETTINGS = {
    "LAKEHOUSE_EVIDENCE_MAX_QUARANTINED_SHARE": "0.3",  # a line of the lake's first day does not fit
    "LAKEHOUSE_PLAYBOOK_EMBEDDER": "static",  # which is there at once
    "LAKEHOUSE_DISK_REFUSE_PERCENT": "99.9",
    "LAKEHOUSE_DISK_DEGRADED_PERCENT": "99.9",
}


@pytest.fixture(scope="module")
def whole(store_process: StoreServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3ObjectStore]:
    """A bucket with one lake for all tests here."""
    store = store_process.objects(bucket="audit-full")
    make_lake(store, tmp_path_factory.mktemp("lake"), kinds=("sft", "preference", "rag"))
    commit(store, "people", (Column("a", "BIGINT"),), put_parquet(store, "people", COLUMNS, [(1,), (2,)]))
    ConfigStore(store).publish("search", {"k": 10}, by="test")
    yield store
    store_process.drop_bucket("audit-full")


@pytest.fixture(scope="module")
def bodies(whole: S3ObjectStore) -> dict[str, bytes]:
    """What lies in the lake, by key."""
    return bodies_of(whole)


@pytest.fixture
def lake(whole: S3ObjectStore, bodies: dict[str, bytes]) -> Iterator[S3ObjectStore]:
    """The lake, mended after each test."""
    with mended(whole, bodies) as lake:
        yield lake


def parts_of(store: S3ObjectStore, folder: Path, *, api: str | None = None, **settings: str) -> AuditParts:
    """What an audit works on, by default without an API."""
    found = lake_store(store, folder, **{**SETTINGS, **settings}).lake
    return AuditParts(
        settings=found.settings, store=store, location=store.location, work_dir=folder / "work",
        materializer=found.evidence, index=found.evidence_index, scored=found.scored, exports=found.exports,
        run=RunFacts("run-of-an-audit"), api=ApiAddress(api or "http://127.0.0.1:9", TOKEN), openapi=OPENAPI,
    )  # fmt: skip


def audit(parts: AuditParts, *only: int) -> FullReport:
    return FullAuditor(parts).audit(only or ALL)


def verdicts(report: FullReport) -> dict[str, str]:
    return {one.phase.name: one.verdict for one in report.phases}


def failed(report: FullReport, phase: int) -> dict[str, str]:
    """The checks of a phase that failed, with what was found; no other phase may have failed."""
    others = [one.phase.name for one in report.phases if one.verdict == "fail" and one.phase.number != phase]
    assert others == []
    assert report.is_sound is not bool([one for one in report.phases[phase].checks if one.verdict == "fail"])
    return {one.name: one.what for one in report.phases[phase].checks if one.verdict == "fail"}


def flip(store: S3ObjectStore, key: str) -> None:
    """Turn one bit in the middle of an object."""
    body = bytearray(store.get(key).body)
    body[len(body) // 2] ^= 1
    store.put(key, bytes(body))


def change(store: S3ObjectStore, key: str, edit: Callable[[dict], object]) -> None:  # type: ignore[type-arg]
    """Edit a JSON document behind the platform's back."""
    document = orjson.loads(store.get(key).body)
    edit(document)
    store.put(key, orjson.dumps(document))


def run(lake: S3ObjectStore, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command."""
    environ = {**clean_environ(), **lake_environ(lake, folder, **SETTINGS, LAKEHOUSE_API_PORT="9")}
    return run_command("audit", "full", *arguments, environ=environ, cwd=folder)


def test_sound_lake_passes_and_its_audit_is_kept_told_and_the_baseline(lake: S3ObjectStore, tmp_path: Path) -> None:
    done = run(lake, tmp_path, "--set-baseline", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    report = orjson.loads(done.stdout)
    assert {one["name"]: one["verdict"] for one in report["phases"] if one["name"] != "replay"} == dict.fromkeys(
        ("setup", "contracts", "materialize", "score", "exports", "receipts", "acceptance"), "pass"
    ), done.stdout
    metrics = {f"{one['name']}.{m['name']}": m["value"] for one in report["phases"] for m in one["metrics"]}
    assert metrics["materialize.quarantined_share"] == round(1 / 15, 6)
    assert metrics["score.runs"] == 13
    assert metrics["acceptance.asked_again_gain_low"] > 0.1
    assert metrics["exports.sft_samples"] > 0

    audit_id = report["audit_id"]
    assert orjson.loads(lake.get(f"audits/{audit_id}/report.json").body) == report
    assert lake.get(f"audits/{audit_id}/report.md").body.decode().startswith(f"# Audit {audit_id}\n")
    assert orjson.loads(lake.get(f"audits/{audit_id}/receipts.json").body)["is_sound"] is True
    baseline = AuditBaselines(lake).current()
    assert baseline is not None
    assert (baseline.audit_id, baseline.version, baseline.metrics) == (audit_id, 1, metrics)

    again = audit(parts_of(lake, tmp_path), 2)  # which makes evidence of the line that tells of the audit
    assert again.metrics["materialize.days_behind"] == 1
    assert again.baseline == baseline
    [line] = [info.key for info in list_all(lake, "raw/audits/")]
    said = orjson.loads(lake.get(line).body)
    assert (said["run_id"], said["action"], said["status"]) == (audit_id, "audit.full", "ok")
    assert [info.key for info in list_all(lake, "evidence/audits/")]
    assert not [info.key for info in list_all(lake, "quarantine/evidence/") if "/audits-" in info.key]


def test_flipped_byte_fails_receipts_and_the_command_exits_with_1(lake: S3ObjectStore, tmp_path: Path) -> None:
    flip(lake, RAW)
    wrong = run(lake, tmp_path, "--phase", "5", "--json")
    assert wrong.returncode == 1
    report = orjson.loads(wrong.stdout)
    assert [one["name"] for one in report["phases"] if one["verdict"] == "fail"] == ["receipts"]
    assert RAW in lake.get(f"audits/{report['audit_id']}/report.md").body.decode()
    assert RAW in lake.get(f"audits/{report['audit_id']}/receipts.md").body.decode()


def test_empty_store_fails_nothing_and_says_what_could_not_be_looked_at(objects: S3ObjectStore, tmp_path: Path) -> None:
    report = audit(parts_of(objects, tmp_path))
    assert verdicts(report) == {
        "setup": "pass", "contracts": "skip", "materialize": "skip", "score": "skip", "exports": "skip",
        "receipts": "skip", "acceptance": "pass", "replay": "skip",
    }, report.to_markdown()  # fmt: skip
    assert all(check.what for one in report.phases for check in one.checks if check.verdict == "skip")
    assert list(list_all(objects, "")) == []


class CarelessStore(S3ObjectStore):
    """A store that takes conditional writes and ignores the condition."""

    def put(
        self, key: str, body: bytes | Path, *, if_match: str | None = None, if_absent: bool = False,
        content_type: str = "application/octet-stream",
    ) -> ObjectInfo:  # fmt: skip
        del if_match, if_absent
        return super().put(key, body, content_type=content_type)


def test_store_that_ignores_conditions_fails_the_setup(objects: S3ObjectStore, tmp_path: Path) -> None:
    parts = replace(parts_of(objects, tmp_path), store=CarelessStore(objects.location))
    assert "If-Match" in failed(audit(parts, 0), 0)["it keeps conditions"]


def test_what_doctor_finds_and_a_full_disk_fail_the_setup(objects: S3ObjectStore, tmp_path: Path) -> None:
    parts = parts_of(objects, tmp_path, LAKEHOUSE_DISK_REFUSE_PERCENT="0.01", LAKEHOUSE_DISK_DEGRADED_PERCENT="0.01")
    found = FullAuditor(parts, more_setup=lambda: [Check("doctor: api", "fail", "it died", "lakehouse up")]).audit([0])
    assert failed(found, 0).keys() == {"the disk has room", "doctor: api"}
    assert "lakehouse up" in found.to_markdown()


def test_store_that_is_away_fails_the_setup_and_the_others_say_so(objects: S3ObjectStore, tmp_path: Path) -> None:
    away = S3ObjectStore(replace(objects.location, endpoint=f"http://127.0.0.1:{free_port_block(1)}", max_attempts=1))
    report = audit(replace(parts_of(objects, tmp_path), store=away))
    assert failed(report, 0).keys() == {"the store answers"}
    assert {one.checks[0].what for one in report.phases[1:]} == {"the store does not answer"}


@pytest.mark.parametrize(
    ("key", "edit", "check"),
    [
        ("catalog/manifests/people.json", lambda d: d.pop("columns"), "manifests of datasets"),
        ("catalog/tables/scored.json", lambda d: d.pop("partitions"), "manifests of tables"),
        ("catalog/manifests/people.json", lambda d: d.update(format_version=99), "versions of stored formats"),
        ("config/search/1.json", lambda d: d["config"].update(k=-1), "live configs"),
    ],
)
def test_stored_document_that_cannot_be_read_fails_the_contracts(
    lake: S3ObjectStore, tmp_path: Path, key: str, edit: Callable[[dict], object], check: str  # type: ignore[type-arg]
) -> None:  # fmt: skip
    change(lake, key, edit)
    assert check in failed(audit(parts_of(lake, tmp_path), 1), 1)


def test_live_api_keeps_the_contract(objects: S3ObjectStore, tmp_path: Path) -> None:
    app = create_app(api_settings(objects, tmp_path / "api", sql_workers=1))
    described = tmp_path / "openapi.json"
    described.write_bytes(orjson.dumps(app.openapi()))
    with serving(app) as url:
        report = audit(replace(parts_of(objects, tmp_path, api=url), openapi=described), 1)
        wrong_token = replace(parts_of(objects, tmp_path), api=ApiAddress(url, "wrong"))
        refused = failed(audit(wrong_token, 1), 1)
    assert verdicts(report)["contracts"] == "pass", report.to_markdown()
    checks = {one.name: one.verdict for one in report.phases[1].checks}
    assert [checks[name] for name in ("the routes of the contract", "the API is as described")] == ["pass", "pass"]
    assert checks["answers of the contract"] == "pass"
    assert "answers 401" in refused["the routes of the contract"]


def test_api_of_another_program_fails_the_contracts(objects: S3ObjectStore, tmp_path: Path) -> None:
    document = orjson.loads(OPENAPI.read_bytes())
    del document["paths"]["/v1/sql"]
    document["paths"]["/v1/embed"]["post"]["responses"].pop("503")
    document["paths"]["/v1/surprise"] = {"get": {"responses": {}}}
    headers = {"Content-Type": "application/json"}
    with scripted_http(Reply(200, orjson.dumps(document), headers), Reply(200, b"{}", headers)) as liar:
        found = failed(audit(parts_of(objects, tmp_path, api=liar.url), 1), 1)
    assert "POST /v1/sql is not there" in found["the routes of the contract"]
    for said in (
        "POST /v1/sql is described and not",
        "GET /v1/surprise is served and not",
        "POST /v1/embed answers oth",
    ):
        assert said in found["the API is as described"]
    assert "nothing else is: GET /v1/catalog answers 200, not 401" in found["answers of the contract"]


def test_api_that_hangs_or_breaks_off_fails_the_contracts(
    objects: S3ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lakehouse.adapters.audit_full_contracts._TIMEOUT_S", 0.2)
    with silent_server() as port:
        found = failed(audit(parts_of(objects, tmp_path, api=f"http://127.0.0.1:{port}"), 1), 1)
    assert "breaks off" in found["the routes of the contract"]


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"paths": 3}', b'{"paths": {"/x": []}}'])
def test_what_is_no_api_fails_the_contracts(objects: S3ObjectStore, tmp_path: Path, body: bytes) -> None:
    with scripted_http(Reply(200, body, {"Content-Type": "text/html"})) as other:
        found = failed(audit(parts_of(objects, tmp_path, api=other.url), 1), 1)
    assert found == {"the routes of the contract": f"{other.url}/openapi.json answers no OpenAPI document"}


def test_run_log_whose_first_line_does_not_fit_is_no_fault_of_the_contracts(
    objects: S3ObjectStore, tmp_path: Path
) -> None:
    objects.put(RAW, b"{broken\n")
    assert failed(audit(parts_of(objects, tmp_path), 1), 1) == {}


def test_raw_object_that_is_gone_fails_materialize(lake: S3ObjectStore, tmp_path: Path) -> None:
    lake.delete(RAW)
    lake.put(RAW.replace("a.jsonl", "b.jsonl"), b'{"run_id": "other"}\n')
    assert RAW in failed(audit(parts_of(lake, tmp_path), 2), 2)["raw lines become evidence"]


def test_many_lines_that_do_not_fit_fail_materialize(lake: S3ObjectStore, tmp_path: Path) -> None:
    parts = parts_of(lake, tmp_path, LAKEHOUSE_EVIDENCE_MAX_QUARANTINED_SHARE="0.01")
    assert "1 of 13 lines" in failed(audit(parts, 2), 2)["few lines do not fit"]


def test_manifest_of_other_bytes_fails_materialize(lake: S3ObjectStore, tmp_path: Path) -> None:
    def edit(document: dict) -> None:  # type: ignore[type-arg]
        for partition in document["partitions"].values():
            partition["files"][0]["sha256"] = "0" * 64

    change(lake, "catalog/tables/evidence/agent_trajectories.json", edit)
    found = failed(audit(parts_of(lake, tmp_path), 2), 2)
    assert found["days made again have the same bytes"].startswith("agent_trajectories of 2026-03-02: evidence")


class Forgetful(EvidenceMaterializer):
    """Always behind: what it has made is no memo to it."""

    def behind(self, stream: str, days: Sequence[date] | None = None) -> dict[date, list[RawObject]]:  # type: ignore[override]
        return dict(list_days(self._store, stream, days))


def test_days_that_stay_behind_fail_materialize(lake: S3ObjectStore, tmp_path: Path) -> None:
    parts = replace(parts_of(lake, tmp_path), materializer=Forgetful(lake, work_dir=tmp_path / "work"))
    found = failed(audit(parts, 2), 2)
    assert "agent_trajectories of 2026-03-01 is behind once more" in found["a second pass has nothing to do"]


def test_scores_that_evidence_does_not_give_fail_score(lake: S3ObjectStore, tmp_path: Path) -> None:
    key = "catalog/tables/scored.json"
    change(lake, key, lambda d: d["partitions"]["2026-03-01"].update(fingerprint="0" * 64))
    found = failed(audit(parts_of(lake, tmp_path), 3), 3)
    assert "2026-03-01" in found["scoring again gives the same"]
    assert failed(audit(parts_of(lake, tmp_path), 3), 3) == {}, "they were put right"


def test_damaged_file_of_scores_fails_score_and_the_audit_goes_on(lake: S3ObjectStore, tmp_path: Path) -> None:
    [key] = [info.key for info in list_all(lake, "scored/dt=2026-03-01/")]
    lake.put(key, b"no Parquet")
    report = audit(parts_of(lake, tmp_path), 3, 6)
    assert "it broke off" in failed(report, 3)["the phase"]
    assert verdicts(report)["acceptance"] == "pass"


def test_flipped_byte_of_a_build_fails_exports(lake: S3ObjectStore, tmp_path: Path) -> None:
    key = next(info.key for info in list_all(lake, "exports/sft/") if info.key.endswith("train.parquet"))
    flip(lake, key)
    [(check, what)] = failed(audit(parts_of(lake, tmp_path), 4), 4).items()
    assert check.startswith("sft: ")
    assert what.startswith(f"{key} has other bytes (of ")


def test_search_config_in_which_playbooks_have_no_say_fails_acceptance(lake: S3ObjectStore, tmp_path: Path) -> None:
    ConfigStore(lake).publish("search", {"playbook": {"boost": 0.0}}, by="test")
    found = failed(audit(parts_of(lake, tmp_path), 6), 6)
    assert "+0.000" in found["names asked for in other words are found better"]


def test_search_config_in_which_playbooks_shout_fails_acceptance(lake: S3ObjectStore, tmp_path: Path) -> None:
    ConfigStore(lake).publish("search", {"playbook": {"boost": 100.0, "max_distance": 2.0, "top_k": 1}}, by="test")
    assert "names never recorded are not found worse" in failed(audit(parts_of(lake, tmp_path), 6), 6)


def test_failed_audit_is_no_baseline_and_a_damaged_one_is_replaced(objects: S3ObjectStore, tmp_path: Path) -> None:
    objects.put(CURRENT, b"damaged")
    auditor = FullAuditor(parts_of(objects, tmp_path))
    report = auditor.audit([0])
    assert report.is_sound
    assert "nothing is compared" in report.to_markdown()
    assert auditor.set_baseline(report, by="t").version == 1
    assert auditor.audit([0]).baseline == AuditBaselines(objects).current()
    broken = FullAuditor(parts_of(objects, tmp_path), more_setup=lambda: [Check("c", "fail", "w", "r")])
    with pytest.raises(BadInput, match="is not a baseline"):
        broken.set_baseline(broken.audit([0]), by="t")


def test_baselines_set_at_once_are_all_kept_and_the_last_is_current(objects: S3ObjectStore) -> None:
    def set_one(number: int) -> int:
        return AuditBaselines(objects).set({"a.b": float(number)}, audit_id=str(number), by="t").version

    with ThreadPoolExecutor(8) as pool:
        made = sorted(pool.map(set_one, range(8)))
    assert made == list(range(1, 9))
    current = AuditBaselines(objects).current()
    assert current is not None
    assert current == AuditBaselines(objects).version(8)
    assert len(list(list_all(objects, VERSIONS))) == 8


def test_asset_shows_the_report_and_its_check_fails_with_a_phase(lake: S3ObjectStore, tmp_path: Path) -> None:
    store = lake_store(lake, tmp_path, **SETTINGS, LAKEHOUSE_API_PORT="9")

    def made(*phases: int) -> tuple[dict[str, dg.MetadataValue[Any]], bool]:
        config = dg.RunConfig({"audit_full": AuditConfig(phases=list(phases), set_baseline=False)})
        done = dg.materialize([audit_full], resources={"store": store}, run_config=config, raise_on_error=False)
        [event] = done.asset_materializations_for_node("audit_full")
        [check] = done.get_asset_check_evaluations()
        return dict(event.metadata), check.passed

    metadata, is_sound = made(3)
    assert is_sound
    assert metadata["phases"].value["score"] == "pass"  # type: ignore[call-overload, index]
    assert metadata["phases"].value["receipts"] == "skip"  # type: ignore[call-overload, index]
    said = orjson.loads(lake.get(f"audits/{metadata['audit_id'].value}/report.json").body)
    assert said["phases"][3]["verdict"] == "pass"
    change(lake, "catalog/tables/scored.json", lambda d: d["partitions"]["2026-03-01"].update(fingerprint="0" * 64))
    assert made(3)[1] is False
