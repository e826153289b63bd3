"""Drift on the real store: baselines, reports written once, what is confirmed, the gate in front of corpora."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import dagster as dg
import numpy as np
import orjson
import pyarrow as pa
import pytest

from jobs.drift import drift_daily
from lakehouse.adapters.audit_baselines import AuditBaselines
from lakehouse.adapters.drift_desk import DriftDesk
from lakehouse.adapters.drift_evidence import EvidenceSource
from lakehouse.adapters.drift_reports import DriftReports
from lakehouse.adapters.drift_runs import RunsMeter, runs_by_model
from lakehouse.adapters.drift_scores import ScoresMeter
from lakehouse.adapters.objects import S3ObjectStore
from lakehouse.distillation.parameters import read_parameters
from lakehouse.drift.finding import KINDS, Kind
from lakehouse.drift.outcome import COLUMNS
from lakehouse.drift.report import DriftReport
from lakehouse.drift.rule_file import default_rules
from lakehouse.errors import BadInput, Conflict
from lakehouse.storage.objects import list_all
from lakehouse_assets.definitions import build_defs
from lakehouse_assets.drift import drift_assets, drift_checks, drift_key
from lakehouse_assets.resources import LakeStore
from tests import drift as lake
from tests.dagster_lake import lake_store
from tests.drift import BAD, RUN, day, put_day
from tests.servers import StoreServer

SFT = read_parameters({"kind": "sft"})


@dataclass(frozen=True)
class Home:
    """A lake, objects of the baseline of outcomes in it, and reports of days 4 and 5 that are not stored."""

    store: LakeStore
    baseline: dict[str, bytes]
    stable: DriftReport
    drifted: DriftReport


@pytest.fixture(scope="module")
def home(store_process: StoreServer, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Days 1 to 4 alike, but the labels of day 3 were taken back on day 8; on days 5 and 6 the bot answers otherwise; a
    new version of it on day 7.
    """
    objects = store_process.objects(bucket="drift-lake")
    folder = tmp_path_factory.mktemp("drift")
    for number in (1, 2, 3, 4):
        put_day(objects, number)
    for number in (5, 6):
        put_day(objects, number, **BAD)
    put_day(objects, 7, model="bot-0613")
    later = datetime(2026, 3, 8, 9, tzinfo=UTC)
    ids = [f"bot-0314-3-{number}" for number in range(lake.RUNS_A_DAY)]
    lake.put(objects, "outcomes", 8, [lake.outcome(one, later, -1.0, name="late") for one in ids], part="late")
    before = datetime(2026, 2, 27, 9, tzinfo=UTC)
    slow = [lake.line(f"slow-{number}", before, status="ok", latency_ms="slow") for number in (1, 2)]
    lake.put(objects, "chat_calls", -1, slow, part="slow")
    store = lake_store(objects, folder)
    lake.bring_up_to_date(store)
    desk = lake.desk(store, folder, today=9)
    desk.set_baseline("outcome", first=day(1), last=day(2), by="dana", why="the first good days")
    baseline = {info.key: objects.get(info.key).body for info in list_all(objects, "drift/")}
    stable, drifted = (desk.run("outcome", day(number), is_dry=True).report for number in (4, 5))
    return Home(store, baseline, stable, drifted)


@pytest.fixture
def empty(home: Home) -> Iterator[LakeStore]:
    """The lake without a baseline."""
    objects = home.store.lake.objects
    for key in home.baseline:
        objects.delete(key)
    yield home.store
    for prefix in ("drift/", "raw/observer_events/", "audits/", "lance/"):
        for info in list(list_all(objects, prefix)):
            objects.delete(info.key)


@pytest.fixture
def store(home: Home, empty: LakeStore) -> LakeStore:
    """The lake with the baseline of outcomes, and no report yet."""
    for key, body in home.baseline.items():
        empty.lake.objects.put(key, body)
    return empty


@pytest.fixture
def desk(store: LakeStore, tmp_path: Path) -> DriftDesk:
    return lake.desk(store, tmp_path, today=9)


def set_baseline(desk: DriftDesk, kind: Kind) -> None:
    desk.set_baseline(kind, first=day(1), last=day(2), by="dana", why="the first good days")


def verdicts(report: DriftReport) -> dict[str, str]:
    return {one.name: one.verdict for one in report.findings}


def test_day_like_the_baseline_is_stable_and_its_report_is_complete(store: LakeStore, tmp_path: Path) -> None:
    desk = lake.desk(store, tmp_path, today=9, is_drawn=True)
    done = desk.run("outcome", day(4))
    assert (done.is_new, done.report.verdict, done.report.confirmed_by) == (True, "stable", None)
    assert done.report.details["runs"] == {"bot-0314": lake.RUNS_A_DAY}
    keys = {info.key for info in list_all(store.lake.objects, f"drift/outcome/{day(4)}/")}
    assert {key.rpartition("/")[2] for key in keys} == {"report.json", "report.md", "effects.png"}
    png = store.lake.objects.get(f"drift/outcome/{day(4)}/effects.png").body
    assert png.startswith(b"\x89PNG")
    assert desk.gate.all_open() == []


def test_behaviour_that_changed_is_confirmed_and_keeps_corpora_from_being_built(
    home: Home, desk: DriftDesk, store: LakeStore
) -> None:
    first = desk.reports.publish(home.drifted).report
    assert verdicts(first) == {
        "success": "drift", "accepted": "drift", "refused": "stable", "failed": "stable", "length": "drift",
        "latency_ms": "drift", "cost_usd": "stable",
    }  # fmt: skip
    assert (first.confirmed_by, first.confirmed) == ("severe", ("bot-0314/accepted/down", "bot-0314/success/down"))
    second = desk.run("outcome", day(6)).report
    assert second.confirmed_by == "both"
    assert "bot-0314/latency_ms/up" in second.confirmed
    with pytest.raises(Conflict, match="lakehouse drift acknowledge outcome") as refused:
        store.lake.exports.export(SFT, RUN)
    assert "success of bot-0314 went down" in refused.value.detail
    assert store.lake.exports.export(SFT, RUN, is_dry=True).is_new  # looking is free
    assert store.lake.exports.export(SFT, RUN, is_repair=True).manifest.build_id  # what has to go is not kept for drift
    said = desk.gate.acknowledge("outcome", by="dana", why="the prompt was made shorter on purpose")
    assert said.day == day(6).isoformat()
    assert store.lake.exports.export(SFT, RUN).manifest.build_id
    assert desk.gate.acknowledgements("outcome") == [said]
    with pytest.raises(Conflict, match="nothing to acknowledge"):
        desk.gate.acknowledge("outcome", by="dana", why="again")


def test_report_of_a_day_is_written_once_whatever_comes_later(home: Home, desk: DriftDesk, store: LakeStore) -> None:
    first = desk.reports.publish(home.stable)
    key = f"drift/outcome/{day(4)}/report.json"
    body = store.lake.objects.get(key).body
    again = desk.run("outcome", day(4))
    assert (again.is_new, again.report) == (False, first.report)
    assert store.lake.objects.get(key).body == body


def test_two_schedulers_at_once_make_one_report(home: Home, desk: DriftDesk, store: LakeStore) -> None:
    gate, done = threading.Barrier(2, timeout=60), []

    def run(number: int) -> None:
        mine = DriftReports(store.lake.objects, draw=lambda _: b"")
        report = replace(home.stable, created_at=home.stable.created_at + timedelta(seconds=number))
        done.append(mine.publish(report, made=gate.wait))

    threads = [threading.Thread(target=run, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.is_new for one in done) == [False, True]
    assert done[0].report == done[1].report  # the loser found the winner's
    assert desk.reports.read("outcome", day(4)) == done[0].report


def test_without_a_baseline_there_is_no_verdict_and_the_report_makes_room(empty: LakeStore, tmp_path: Path) -> None:
    desk = lake.desk(empty, tmp_path, today=9)
    for kind in KINDS:
        report = desk.run(kind, day(4)).report
        assert (report.status, report.verdict) == ("insufficient", None)
        assert "no baseline is set" in report.reason
    assert desk.gate.all_open() == []
    set_baseline(desk, "outcome")
    again = desk.run("outcome", day(4))
    assert (again.is_new, again.report.verdict) == (True, "stable")
    assert b"Stable" in desk.reports._store.get(f"drift/outcome/{day(4)}/report.md").body


def test_too_few_samples_give_no_verdict(desk: DriftDesk) -> None:
    silent = desk.run("outcome", day(8)).report
    assert (silent.verdict, silent.reason) == (None, f"no model ran from {day(8)} to {day(8)}")
    unread = desk.run("outcome", day(9) - timedelta(days=10), is_dry=True).report
    assert unread.reason.endswith("that could be read: 2 lines lie with their reasons under quarantine/evidence/")
    with pytest.raises(BadInput, match="nothing is known of outcome"):
        desk.set_baseline("outcome", first=day(8), last=day(8), by="dana", why="x")
    with pytest.raises(BadInput, match="before the first"):
        desk.set_baseline("outcome", first=day(3), last=day(1), by="dana", why="x")
    today = desk.yesterday() + timedelta(days=1)
    with pytest.raises(BadInput, match=f"{today} is not over .* take days up to {desk.yesterday()}"):
        desk.set_baseline("outcome", first=day(1), last=today, by="dana", why="x")
    with pytest.raises(BadInput, match="who, and why"):
        desk.set_baseline("outcome", first=day(1), last=day(2), by="", why="x")


def test_day_that_is_not_over_is_only_looked_at(desk: DriftDesk, store: LakeStore) -> None:
    with pytest.raises(BadInput, match="is not over"):
        desk.run("outcome", day(9))
    assert desk.run("outcome", day(9), is_dry=True).report.verdict is None
    assert not list(list_all(store.lake.objects, f"drift/outcome/{day(9)}"))


def test_new_version_is_compared_with_its_family(desk: DriftDesk) -> None:
    report = desk.run("outcome", day(7)).report
    assert report.verdict == "stable"
    assert {one.group for one in report.findings} == {"bot-0613"}
    assert "compared with bot-0314" in report.findings[0].note


def test_labels_that_were_corrected_are_not_taken_for_behaviour(desk: DriftDesk) -> None:
    report = desk.run("outcome", day(3)).report
    assert verdicts(report)["success"] == "label_correction"
    assert "success" not in {one.name for one in report.drifted}


def test_other_rules_are_drift_of_the_scorer_and_corrected_labels_are_not(
    desk: DriftDesk, store: LakeStore, tmp_path: Path
) -> None:
    set_baseline(desk, "scorer")
    same = desk.run("scorer", day(4)).report
    assert (same.verdict, same.details["moved"], same.details["runs"]) == ("stable", 0, 2 * lake.RUNS_A_DAY)
    rules = files("lakehouse.scoring").joinpath("rules.yaml").read_text("utf-8")
    texts = {
        name: files("lakehouse.scoring").joinpath(f"{name}.yaml").read_text("utf-8") for name in ("labels", "signs")
    }
    stricter = rules.replace("verdict: accepted", "verdict: partially_accepted")
    assert stricter != rules
    source = EvidenceSource(store.lake.objects, store.lake.read_location, tmp_path)
    meter = ScoresMeter(source, default_rules(), {"rules": stricter, **texts})
    other = DriftDesk(
        store.lake.objects, store.lake.read_location, store.lake.tables, work_dir=tmp_path,
        clock=lambda: datetime(2026, 3, 9, tzinfo=UTC), meters={"scorer": meter},
    )  # fmt: skip
    report = other.run("scorer", day(5)).report
    assert (report.verdict, report.confirmed_by) == ("drift", "severe")
    assert report.details["confusion"][0][1] > lake.RUNS_A_DAY  # accepted became partially accepted
    assert report.details["corrected"] == 0


def test_rules_of_a_baseline_that_cannot_be_read_any_more_are_told(desk: DriftDesk, store: LakeStore) -> None:
    set_baseline(desk, "scorer")
    key = "drift/scorer/baseline.json"
    document = orjson.loads(store.lake.objects.get(key).body)
    document["data"]["texts"]["rules"] = "version: 0\nrules: []\n"
    store.lake.objects.put(key, orjson.dumps(document))
    report = desk.run("scorer", day(4)).report
    assert report.verdict is None
    assert "set another baseline" in report.reason


def test_playbook_is_measured_by_arm(desk: DriftDesk) -> None:
    set_baseline(desk, "playbook")
    report = desk.run("playbook", day(4)).report
    assert verdicts(report) == {"hit_rate": "stable", "lift": "stable", "stale_share": "insufficient"}
    assert report.details["counts"]["searches"] == 4 * lake.RUNS_A_DAY
    assert report.details["counts"]["judged"] == report.details["counts"]["held_judged"] == 2 * lake.RUNS_A_DAY


def test_playbook_of_days_without_a_search_has_no_verdict(desk: DriftDesk) -> None:
    with pytest.raises(BadInput, match="nothing is known of playbook"):
        desk.set_baseline("playbook", first=day(8), last=day(8), by="dana", why="x")
    set_baseline(desk, "playbook")
    report = desk.run("playbook", day(1) - timedelta(days=1)).report
    assert (report.verdict, report.details["counts"]["searches"]) == (None, 0)


def test_vectors_that_were_made_by_another_model_are_found(desk: DriftDesk, store: LakeStore) -> None:
    vectors = np.random.default_rng(1).normal(size=(120, 8)).astype(np.float32)
    write_corpus(store, vectors, "one")
    set_baseline(desk, "embedding")
    assert verdicts(desk.run("embedding", day(4)).report) == {"vectors": "stable", "revectored": "stable"}
    store.lake.tables.drop("things")
    write_corpus(store, vectors[:, ::-1] ** 3, "two")
    report = desk.run("embedding", day(5)).report
    assert verdicts(report) == {"neighbours": "drift"}
    assert "from one to two" in report.findings[0].note
    store.lake.tables.drop("things")
    write_corpus(store, vectors, "one", name="younger")
    report = desk.run("embedding", day(6)).report
    assert "no corpus of the baseline" in report.reason
    assert [(one.name, one.verdict) for one in report.findings] == [("unseen_corpora", "notice")]
    assert "not looked at: younger" in report.to_markdown()


def write_corpus(store: LakeStore, vectors: np.ndarray, embedder: str, *, name: str = "things") -> None:
    schema = pa.schema([("id", pa.string()), ("content_hash", pa.string()), ("vector", pa.list_(pa.float32(), 8))])
    table = store.lake.tables.create(name, schema, info={"kind": "corpus", "embedder": embedder, "dimension": 8})
    ids = [f"t{number}" for number in range(len(vectors))]
    rows = pa.table({"id": ids, "content_hash": [f"{one:0<64}" for one in ids], "vector": list(vectors)}, schema=schema)
    table.upsert(rows)


def test_audit_that_failed_is_drift_at_once(desk: DriftDesk, store: LakeStore) -> None:
    objects = store.lake.objects
    AuditBaselines(objects).set({"score.accepted_share": 0.9}, audit_id="a0", by="dana")
    assert "no full audit ended" in desk.run("audit", day(4)).report.reason
    put_audit(objects, "a1", 4, share=0.9, verdict="pass")
    assert desk.run("audit", day(4)).report.verdict == "stable"
    put_audit(objects, "a2", 5, share=0.5, verdict="fail")
    report = desk.run("audit", day(5)).report
    assert verdicts(report) == {"score.accepted_share": "drift", "phases": "drift"}
    assert report.confirmed_by == "severe"
    # One of another phase alone, later on the day, hides nothing.
    put_audit(objects, "a3", 6, share=0.5, verdict="fail")
    put_audit(objects, "a4", 6, share=0.9, verdict="pass", phase="setup")
    report = desk.run("audit", day(6)).report
    assert verdicts(report) == {"score.accepted_share": "drift", "phases": "drift"}
    assert report.details["audit_id"] == "a4"
    with pytest.raises(BadInput, match="audit full --set-baseline"):
        desk.set_baseline("audit", first=day(1), last=day(1), by="dana", why="x")


@pytest.mark.parametrize("ended", [{}, {"ended_at": "yesterday"}])
def test_audit_report_that_is_damaged_is_named(desk: DriftDesk, store: LakeStore, ended: dict[str, str]) -> None:
    objects = store.lake.objects
    AuditBaselines(objects).set({"score.accepted_share": 0.9}, audit_id="a0", by="dana")
    document = {"format_version": 1, "kind": "audit.full", "audit_id": "a9", "phases": []}
    objects.put("audits/a9/report.json", orjson.dumps(document | ended))
    with pytest.raises(BadInput, match=r"audits/a9/report\.json is not a report of a full audit"):
        desk.run("audit", day(4))


def put_audit(
    objects: S3ObjectStore, audit_id: str, number: int, *, share: float, verdict: str, phase: str = "score"
) -> None:
    metrics = [{"name": "accepted_share", "value": share, "better": "higher"}]
    skipped = {"name": "score", "verdict": "skip", "metrics": []}
    document = {
        "format_version": 1, "kind": "audit.full", "audit_id": audit_id,
        "ended_at": f"{day(number)}T03:00:00.000000Z",
        "phases": [{"name": phase, "verdict": verdict, "metrics": metrics}, *([] if phase == "score" else [skipped])],
    }  # fmt: skip
    objects.put(f"audits/{audit_id}/report.json", orjson.dumps(document))


def test_what_was_found_becomes_evidence_once(home: Home, desk: DriftDesk, store: LakeStore) -> None:
    desk.reports.publish(home.drifted)
    for _ in range(2):
        desk.run("outcome", day(5))
    (info,) = list_all(store.lake.objects, "raw/observer_events/")
    line = orjson.loads(store.lake.objects.get(info.key).body)
    assert (line["source"], line["kind"], line["verdict"]) == ("drift", "outcome", "reject")
    assert "/dt=2026-03-09/" in info.key
    lake.bring_up_to_date(store, streams=["observer_events"])
    assert store.lake.evidence_index.read().partitions["current"].counts["serves"] > 0


def test_killed_between_the_mark_and_the_report_nothing_is_shut_and_the_next_run_goes_on(
    home: Home, desk: DriftDesk
) -> None:
    def die() -> None:
        raise SystemExit

    with pytest.raises(SystemExit):
        desk.reports.publish(home.drifted, made=die)
    assert desk.gate.open_drift("outcome") is None
    assert desk.run("outcome", day(5)).is_new
    assert desk.gate.open_drift("outcome") is not None


def test_report_whose_company_is_missing_gets_it_back(home: Home, desk: DriftDesk, store: LakeStore) -> None:
    desk.reports.publish(home.drifted)
    objects = store.lake.objects
    at = f"drift/outcome/{day(5)}/"
    before = {name: objects.get(at + name).body for name in ("report.md", "effects.png")}
    for key in (*(at + name for name in before), f"drift/outcome/open/{day(5)}.json"):
        objects.delete(key)
    assert not desk.run("outcome", day(5)).is_new
    assert {name: objects.get(at + name).body for name in before} == before
    assert desk.gate.open_drift("outcome") is not None


def test_damaged_report_shuts_the_gate_and_says_so(home: Home, desk: DriftDesk, store: LakeStore) -> None:
    desk.reports.publish(home.drifted)
    store.lake.objects.put(f"drift/outcome/{day(5)}/report.json", b"{}")
    with pytest.raises(BadInput, match="delete it and run that day again"):
        store.lake.exports.export(SFT, RUN)


def test_baseline_versions_are_kept_and_the_last_counts(desk: DriftDesk, store: LakeStore) -> None:
    set_baseline(desk, "outcome")
    live = desk.baseline("outcome")
    assert live is not None
    assert (live.version, live.by) == (2, "dana")
    keys = {info.key for info in list_all(store.lake.objects, "drift/outcome/baselines/")}
    assert {f"drift/outcome/baselines/{version}.json" for version in (1, 2)} <= keys
    assert live.file_key in keys
    store.lake.objects.put(str(live.file_key), b"else")
    with pytest.raises(BadInput, match="is not what it was"):
        desk.run("outcome", day(4))


def test_damaged_baseline_is_named_and_mended_by_setting_another(desk: DriftDesk, store: LakeStore) -> None:
    store.lake.objects.put("drift/outcome/baseline.json", b"{}")
    with pytest.raises(BadInput, match="set another one"):
        desk.baseline("outcome")
    set_baseline(desk, "outcome")
    live = desk.baseline("outcome")
    assert live is not None
    assert live.version == 2


def test_assets_report_and_their_checks_block_exports(desk: DriftDesk, store: LakeStore, tmp_path: Path) -> None:
    defs = build_defs(store, corpora=tmp_path / "none")
    job = defs.resolve_job_def("export")
    with dg.DagsterInstance.ephemeral(str(tmp_path)) as instance:
        config = {"ops": {"drift__outcome": {"config": {"day": day(5).isoformat()}}}}
        done = dg.materialize(
            [*drift_assets, *drift_checks], selection=dg.AssetSelection.assets(drift_key("outcome")),
            instance=instance, resources={"store": store}, run_config=config, raise_on_error=False,
        )  # fmt: skip
        (event,) = done.asset_materializations_for_node("drift__outcome")
        assert event.metadata["confirmed_by"].value == "severe"
        assert "data:image/png" in str(event.metadata["chart"].value)
        (check,) = done.get_asset_check_evaluations()
        assert (check.passed, check.blocking) == (False, True)
        shut = job.execute_in_process(instance=instance, raise_on_error=False)
        assert not shut.success
        assert not [e for e in shut.all_events if e.is_successful_output and str(e.node_name).startswith("export__")]
        failed = {str(e.node_name) for e in shut.all_events if e.is_step_failure}
        assert failed == {"drift__outcome_no_open_drift"}  # exports were not even tried
        desk.gate.acknowledge("outcome", by="dana", why="known")
        open_ = dg.materialize(
            [*drift_assets, *drift_checks], selection=dg.AssetSelection.checks(*drift_checks),
            instance=instance, resources={"store": store},
        )  # fmt: skip
        assert all(one.passed for one in open_.get_asset_check_evaluations())


def test_schedule_asks_once_at_each_of_its_times() -> None:
    at = datetime(2026, 3, 9, 5, 40, tzinfo=UTC)
    with dg.build_schedule_context(scheduled_execution_time=at) as context:
        request = drift_daily(context)
    assert isinstance(request, dg.RunRequest)
    assert request.run_key == "drift.2026-03-09T05"


def test_hours_unlike_those_before_are_a_notice(desk: DriftDesk, store: LakeStore, tmp_path: Path) -> None:
    meter = RunsMeter(EvidenceSource(store.lake.objects, store.lake.read_location, tmp_path), default_rules())
    hours = np.datetime64("2026-02-20T00", "h") + np.arange(400)
    values = np.random.default_rng(1).normal(300, 5, 400)
    values[380:] += 200
    of = hours[380].astype("datetime64[D]").item()
    found = meter._alarm("m", "latency_ms", hours, values, of)
    assert found is not None
    assert (found[0].verdict, found[0].name) == ("notice", "latency_ms by the hour")
    assert meter._alarm("m", "latency_ms", hours, values, of - timedelta(days=3)) is None
    assert meter._alarm("m", "latency_ms", hours[:100], values[:100], of) is None


def test_names_of_models_are_shown_without_what_moves_a_terminal() -> None:
    columns = {name: [1.0] for name in COLUMNS}
    rows = pa.table({"model": ["a\x1b[2Jb" + "c" * 500], "rules_version": ["1"], **columns})
    (name,) = runs_by_model(rows)
    assert name.startswith("a?[2Jbccc")
    assert len(name) == 120


def test_reports_are_found_by_day(home: Home, store: LakeStore) -> None:
    reports = DriftReports(store.lake.objects, draw=lambda _: b"")
    for number in (2, 4, 3):
        reports.publish(replace(home.stable, day=day(number)))
    assert set(reports.days("outcome")) >= {
        day(4),
        day(3),
        day(2),
    }  # the store names folders that are empty for a while
    assert [one.day for one in reports.recent("outcome", day(4), most_days=1)] == [day(3)]
    latest = reports.latest("outcome")
    assert latest is not None
    assert latest.day == day(4)
    assert reports.latest("scorer") is None
