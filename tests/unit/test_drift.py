"""Drift as rules over numbers: two samples, judging, confirmation, the freeze, versions, series, the scorer."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from importlib.resources import files

import duckdb
import numpy as np
import pytest

from lakehouse.adapters.drift_run_facts import sizes
from lakehouse.drift.audits import AuditMetrics, compare_audit
from lakehouse.drift.charts import charts_of
from lakehouse.drift.confirmation import confirmed
from lakehouse.drift.embedding import MOST_CORPORA, Sample, compare_samples, neighbour_overlap, rows_of
from lakehouse.drift.finding import Finding, kind_of
from lakehouse.drift.freeze import acknowledge, marks_of, open_drift, read_acknowledgement
from lakehouse.drift.judging import judge, verdict_of
from lakehouse.drift.outcome import COLUMNS, Runs, compare_runs, compare_versions
from lakehouse.drift.playbook import PlaybookCounts, compare_counts
from lakehouse.drift.report import DriftReport, read_report
from lakehouse.drift.rule_file import default_rules, load_rules
from lakehouse.drift.scorer import Scored, ScorerBaseline, judge_scores, lower_end, scorer_drift
from lakehouse.drift.series import alarms, anomaly_scores, warm_up_of
from lakehouse.drift.two_samples import holm, psi, test_gains, test_numbers, test_shares
from lakehouse.drift.versions import family_of, pair_versions
from lakehouse.errors import BadInput

for _one in (test_gains, test_numbers, test_shares):
    _one.__test__ = False  # type: ignore[attr-defined]  # they are named after what they do, and are no tests of ours

RULES = default_rules()
NOW = datetime(2026, 3, 9, 5, tzinfo=UTC)
DRIFTED = Finding("m", "success", "cohens_h", effect=-0.5, verdict="drift")


def runs(count: int, *, seed: int = 1, rules_version: str = "1", **shares: float) -> Runs:
    generator = np.random.default_rng(seed)
    columns = {name: np.full(count, np.nan) for name in COLUMNS}
    for name, share in shares.items():
        columns[name] = (generator.random(count) < share).astype(float)
    if "success" in shares and "first_success" not in shares:
        columns["first_success"] = columns["success"]
    return Runs(columns, rules_version)


def report(day: int, *findings: Finding, **given: object) -> DriftReport:
    usual = {"baseline_version": 1, "verdict": verdict_of(findings), "findings": findings}
    return DriftReport("outcome", date(2026, 3, day), NOW, "drift-1", **(usual | given))  # type: ignore[arg-type]


def test_shares_agree_with_a_table_worked_by_hand() -> None:
    # Fisher's tea test: 1 of 4 against 3 of 4 right has a two-sided p of 34/70.
    test, p_value, effect = test_shares((1, 4), (3, 4))
    assert (test, round(p_value, 6)) == ("Fisher's exact test", round(34 / 70, 6))
    assert effect == pytest.approx(np.pi / 3)
    assert test_shares((0, 3000), (0, 3000)).p_value == 1.0
    assert test_shares((3000, 3000), (0, 3000)).effect == pytest.approx(-np.pi)


def test_numbers_that_are_all_equal_differ_in_nothing() -> None:
    assert test_numbers(np.ones(60), np.ones(60))[1:] == (1.0, 0.0)
    assert test_numbers(np.arange(60.0), np.arange(60.0) + 1000).effect == 1.0


def test_gains_compare_the_lift_and_not_the_level() -> None:
    lower_level = test_gains(((90, 100), (80, 100)), ((60, 100), (46, 100)))
    assert lower_level.p_value > 0.5
    gone = test_gains(((900, 1000), (700, 1000)), ((700, 1000), (700, 1000)))
    assert gone.p_value < 1e-6
    assert gone.effect < 0


def test_holm_is_the_published_procedure() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_psi_is_nothing_for_the_same_and_finite_for_empty_categories() -> None:
    assert psi([50, 50, 0], [500, 500, 4]) == pytest.approx(0, abs=0.01)
    assert 0.25 < psi([100, 0], [50, 50]) < 10


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("gpt-4-0613", "gpt-4"), ("gpt-4", "gpt-4"), ("GPT-4o-2024-05-13", "gpt-4o"), ("a-3-5-20241022", "a-3-5"),
        ("smollm2-135m", "smollm2-135m"), ("qwen2.5:7b", "qwen2.5:7b"), ("mistral:latest", "mistral"),
        ("openaichat/gpt-3.5-turbo-0301", "openaichat/gpt-3.5-turbo"), ("2024", "2024"), ("m-v2", "m"),
    ],
)  # fmt: skip
def test_family_leaves_out_versions_and_keeps_sizes(model: str, family: str) -> None:
    assert family_of(model) == family


def test_version_is_compared_with_itself_else_with_its_family() -> None:
    pairs = pair_versions({"a-0613": 9, "b": 9, "c-0314": 9}, {"a-0301": 1, "a-0314": 5, "c-0314": 1, "c-0613": 9})
    assert pairs == {"a-0613": "a-0314", "b": None, "c-0314": "c-0314"}


def test_drift_needs_a_small_p_and_a_large_effect() -> None:
    sure_but_tiny = Finding("", "a", "cohens_h", effect=0.05, p_value=1e-12)
    large_but_unsure = Finding("", "b", "cohens_h", effect=0.6, p_value=0.2)
    both = Finding("", "c", "cohens_h", effect=0.6, p_value=1e-6)
    assert [one.verdict for one in judge([sure_but_tiny, large_but_unsure, both], RULES)] == [
        "stable",
        "stable",
        "drift",
    ]


def test_what_one_test_would_find_many_do_not() -> None:
    almost = Finding("", "a", "cohens_h", effect=0.6, p_value=0.004)
    others = [Finding("", str(n), "cohens_h", effect=0.0, p_value=0.9) for n in range(4)]
    assert judge([almost], RULES)[0].verdict == "drift"
    assert judge([almost, *others], RULES)[0].verdict == "stable"


def test_few_samples_give_no_verdict() -> None:
    found = judge(compare_runs("m", runs(49, success=0.9), runs(500, success=0.1), least_samples=50), RULES)
    assert {one.verdict for one in found} == {"insufficient"}
    assert verdict_of(found) is None
    assert "a test needs 50" in found[0].note
    assert verdict_of([]) is None
    assert verdict_of([*found, replace(DRIFTED, verdict="notice")]) is None


def test_corrected_labels_are_no_change_of_behaviour() -> None:
    before = runs(300, success=0.9)
    columns = dict(runs(300, seed=2, success=0.9).columns)
    columns["success"] = np.zeros(300)  # somebody took every label back
    found = judge(compare_runs("m", before, Runs(columns, "1"), least_samples=50), RULES)
    assert [one.verdict for one in found if one.name == "success"] == ["label_correction"]
    assert verdict_of(found) == "label_correction"
    assert "corrected" in found[0].note
    columns["first_success"] = columns["success"]  # it was so from the begin
    assert verdict_of(judge(compare_runs("m", before, Runs(columns, "1"), least_samples=50), RULES)) == "drift"


def test_scores_of_other_rules_are_not_compared() -> None:
    found = compare_runs("m", runs(99, accepted=0.9), runs(99, accepted=0.1, rules_version="2"), least_samples=50)
    assert [(one.name, one.verdict) for one in found] == [("accepted", "insufficient")]
    assert "drift of the scorer" in found[0].note


def test_unknown_model_is_told_and_not_judged() -> None:
    found = compare_versions({"new": runs(99, success=1)}, {"old": runs(99, success=1)}, least_samples=50)
    assert [(one.group, one.verdict) for one in found] == [("new", "insufficient")]


def test_two_days_with_the_same_finding_confirm() -> None:
    made = confirmed(report(5, DRIFTED), [report(4, DRIFTED)], RULES)
    assert (made.confirmed_by, made.confirmed) == ("days", ("m/success/down",))
    assert confirmed(report(5, DRIFTED), [], RULES).confirmed_by is None
    other_way = replace(DRIFTED, effect=0.5)
    for before in (other_way, replace(DRIFTED, name="length"), replace(DRIFTED, verdict="stable")):
        assert confirmed(report(5, DRIFTED), [report(4, before)], RULES).confirmed_by is None


def test_days_without_a_verdict_are_passed_over_for_a_while() -> None:
    silent = report(4, replace(DRIFTED, verdict="insufficient"))
    assert confirmed(report(5, DRIFTED), [silent, report(3, DRIFTED)], RULES).confirmed_by == "days"
    assert confirmed(report(9, DRIFTED), [report(5, DRIFTED)], RULES).confirmed_by is None
    stable = report(4, replace(DRIFTED, verdict="stable"))
    assert confirmed(report(5, DRIFTED), [stable, report(3, DRIFTED)], RULES).confirmed_by is None


def test_what_the_weekly_audit_alone_measures_is_confirmed_by_the_next_one() -> None:
    weekly = Finding("", "receipts.open", "worse_by", 1.0, 3.0, 1, 1, effect=0.4, verdict="drift")
    daily = Finding("", "score.share", "worse_by", 0.9, 0.9, 1, 1, effect=0.0)

    def audit(day: int, *findings: Finding) -> DriftReport:
        return replace(report(day, *findings), kind="audit")

    week = [audit(n, daily) for n in range(2, 8)]
    made = confirmed(audit(8, daily, weekly), [audit(1, daily, weekly), *week], RULES)
    assert (made.confirmed_by, made.confirmed) == ("days", (weekly.key,))
    mended = replace(weekly, effect=0.0, verdict="stable")
    assert confirmed(audit(8, daily, weekly), [audit(1, daily, mended), *week], RULES).confirmed_by is None
    far = confirmed(audit(15, daily, weekly), [audit(1, daily, weekly), *week], RULES)
    assert far.confirmed_by is None


def test_another_baseline_or_other_rules_begin_anew() -> None:
    assert confirmed(report(5, DRIFTED), [report(4, DRIFTED, baseline_version=2)], RULES).confirmed_by is None
    other = replace(report(4, DRIFTED), rules_version="drift-0")
    assert confirmed(report(5, DRIFTED), [other], RULES).confirmed_by is None


def test_severe_finding_confirms_at_once_where_the_rules_name_it() -> None:
    severe = replace(DRIFTED, effect=-0.9)
    assert confirmed(report(5, severe), [], RULES).confirmed_by == "severe"
    assert confirmed(report(5, severe), [report(4, severe)], RULES).confirmed_by == "both"
    slow = Finding("m", "latency_ms", "cliffs_delta", effect=0.9, verdict="drift")
    assert confirmed(report(5, slow), [], RULES).confirmed_by is None


def test_acknowledged_finding_stops_nothing_more_and_a_new_one_does() -> None:
    first = confirmed(report(5, DRIFTED), [report(4, DRIFTED)], RULES)
    shut = open_drift([first], [])
    assert shut is not None
    said = acknowledge(shut, by="dana", why="new prompt", at="2026-03-06T00:00:00Z")
    assert read_acknowledgement(said.to_json(), key="k") == said
    later = confirmed(report(6, DRIFTED), [report(5, DRIFTED)], RULES)
    assert open_drift([first, later], [said]) is None
    up = replace(DRIFTED, effect=0.5)
    other = confirmed(report(7, up), [report(6, up)], RULES)
    again = open_drift([first, later, other], [said])
    assert again is not None
    assert (again.since, again.findings) == (date(2026, 3, 7), ("1/m/success/up",))
    assert "success of m went up" in str(again)
    same_under_new = replace(later, baseline_version=2)
    assert open_drift([same_under_new], [said]) is not None
    assert marks_of(report(5, DRIFTED)) == frozenset()


@pytest.mark.parametrize(("by", "why"), [("", "x"), (" ", "x"), ("x", ""), ("x", "y" * 3000)])
def test_acknowledgement_says_who_and_why(by: str, why: str) -> None:
    shut = open_drift([confirmed(report(5, DRIFTED), [report(4, DRIFTED)], RULES)], [])
    assert shut is not None
    with pytest.raises(BadInput):
        acknowledge(shut, by=by, why=why, at="t")


def test_report_survives_being_stored() -> None:
    made = confirmed(report(5, DRIFTED, details={"runs": {"m": 3}}), [report(4, DRIFTED)], RULES)
    body = made.to_json()
    assert body.count(b"\n") == 1  # one row for SQL
    assert read_report(body, key="k") == made
    assert "**Confirmed drift** of success" in made.to_markdown()
    assert "**No verdict**: none." in report(5, reason="none").to_markdown()
    for damaged in (b"{", b"[]", b'{"format_version": 1}', body.replace(b'"outcome"', b'"else"')):
        with pytest.raises(BadInput):
            read_report(damaged, key="k")


def test_charts_show_effects_confusion_and_series() -> None:
    series = [{"name": "latency_ms", "group": "m", "hours": ["2026-03-05T00"], "values": [1.0], "alarms": []}]
    details = {"confusion": [[3, 1], [0, 2]], "scores": ["accepted", "rejected"], "series": series}
    assert list(charts_of(report(5, DRIFTED, details=details))) == ["effects", "confusion", "series"]
    assert charts_of(report(5, reason="no baseline")) == {}


def test_scorer_tells_rules_from_labels() -> None:
    same = judge_scores({Scored("accepted", "accepted", "accepted"): 90}, RULES)
    assert (same.verdict, same.moved, same.corrected) == ("stable", 0, 0)
    by_rules = judge_scores(
        {Scored("accepted", "accepted", "rejected"): 60, Scored("rejected", "rejected", "rejected"): 40}, RULES
    )
    assert (by_rules.verdict, by_rules.moved, by_rules.corrected) == ("drift", 60, 0)
    assert by_rules.confusion[0][2] == 60
    by_labels = judge_scores(
        {Scored("accepted", "rejected", "rejected"): 60, Scored("rejected", "rejected", "rejected"): 40}, RULES
    )
    assert (by_labels.verdict, by_labels.moved, by_labels.corrected) == ("label_correction", 0, 60)
    assert judge_scores({Scored("accepted", "accepted", "rejected"): 9}, RULES).verdict is None
    assert judge_scores({}, RULES).verdict is None


def test_scorer_drift_takes_plain_rows() -> None:
    ids = [f"r{n}" for n in range(100)]
    baseline = ScorerBaseline("1", dict.fromkeys(ids, "accepted"), dict.fromkeys(ids, "a"))
    evidence = [{"run_id": one, "provenance": {"sha256": "a" if n < 80 else "b"}} for n, one in enumerate(ids)]
    scored = [{"run_id": one, "score": "accepted" if n < 80 else "rejected"} for n, one in enumerate(ids)]
    assert scorer_drift(evidence, scored, baseline).verdict == "label_correction"
    assert scorer_drift([{"run_id": one, "record_sha256": "a"} for one in ids], scored, baseline).verdict == "drift"
    assert scorer_drift(evidence, [], baseline).verdict is None
    assert scorer_drift(evidence, scored, ScorerBaseline("1", {}, {})).verdict is None
    for wrong in ({"run_id": "r1"}, {"run_id": "r1", "score": "good"}, {"score": "accepted"}):
        with pytest.raises(BadInput):
            scorer_drift(evidence, [wrong], baseline)


def test_lower_end_is_wilsons() -> None:
    assert lower_end(0, 10) == 0.0
    assert lower_end(10, 100) == pytest.approx(0.0552, abs=1e-4)


def test_playbook_that_lifts_no_more_drifts() -> None:
    before = PlaybookCounts(1000, 800, 1000, 900, 900, 1000, 700, 700, 200, 10)
    now = replace(before, succeeded=690, first_succeeded=690)
    found = judge(compare_counts(before, now, RULES), RULES)
    assert {one.name: one.verdict for one in found} == {"hit_rate": "stable", "lift": "drift", "stale_share": "stable"}
    corrected = judge(compare_counts(before, replace(before, succeeded=690), RULES), RULES)
    assert {one.name: one.verdict for one in corrected}["lift"] == "label_correction"
    nothing = compare_counts(PlaybookCounts(), PlaybookCounts(), RULES)
    assert verdict_of(judge(nothing, RULES)) is None
    assert PlaybookCounts.from_document(now.to_document()) == now


def sample(vectors: np.ndarray, *, embedder: str = "e", first: int = 0) -> Sample:
    ids = tuple(f"id{first + n}" for n in range(len(vectors)))
    return Sample(embedder, ids, ids, vectors.astype(np.float32))


def vectors_of(seed: int, count: int = 200, *, shift: float = 0.0) -> np.ndarray:
    made: np.ndarray = np.random.default_rng(seed).normal(size=(count, 16)) + shift
    return made


def test_vectors_of_other_texts_drift_and_of_alike_ones_do_not() -> None:
    alike = compare_samples("c", sample(vectors_of(1)), sample(vectors_of(2), first=500), RULES)
    assert verdict_of(judge(alike.findings, RULES)) == "stable"
    moved = compare_samples("c", sample(vectors_of(1)), sample(vectors_of(2, shift=0.8), first=500), RULES)
    assert verdict_of(judge(moved.findings, RULES)) == "drift"
    assert moved.details["centroid_shift"] > 0.5


def test_false_alarms_of_the_classifier_test_are_as_rare_as_it_says() -> None:
    found = [
        compare_samples("c", sample(vectors_of(s, 60)), sample(vectors_of(s + 500, 60), first=500), RULES).findings[0]
        for s in range(60)
    ]
    assert sum(one.p_value is not None and one.p_value <= 0.05 for one in found) <= 7


def test_part_of_a_corpus_that_is_another_is_found_and_the_corpus_itself_is_not() -> None:
    before = sample(vectors_of(1, 400))
    same = compare_samples("c", before, before, RULES).findings[0]
    assert (same.effect, same.p_value) == (0.0, 1.0)
    now = sample(np.concatenate([vectors_of(1, 400)[:280], vectors_of(2, 120, shift=1.5)]))
    now = replace(now, texts=(*before.texts[:280], *(f"other {n}" for n in range(120))))
    found = judge(compare_samples("c", before, now, RULES).findings, RULES)
    assert [(one.name, one.verdict) for one in found] == [("vectors", "drift"), ("revectored", "stable")]


def test_vectors_that_are_all_one_are_nothing_to_tell_apart() -> None:
    flat = sample(np.ones((60, 4)))
    assert compare_samples("c", flat, replace(flat, texts=tuple("abcdef" * 10)), RULES).findings[0].p_value == 1.0


def test_many_corpora_share_the_rows_that_are_sampled() -> None:
    assert [rows_of(count) for count in (0, 1, 50, 51, 100, 500, 9_000)] == [2000, 2000, 2000, 1960, 1000, 200, 200]


def test_one_corpus_that_moved_is_found_among_as_many_as_are_looked_at() -> None:
    (one,) = compare_samples("c", sample(vectors_of(1)), sample(vectors_of(2), first=500), RULES).findings
    alike = [replace(one, group=f"c{n}") for n in range(MOST_CORPORA - 1)]
    moved = compare_samples("m", sample(vectors_of(1)), sample(vectors_of(2, shift=0.8), first=500), RULES)
    judged = judge([*alike, *moved.findings], RULES)
    assert [one.group for one in judged if one.verdict == "drift"] == ["m"]


def test_same_text_with_another_vector_is_found_whatever_the_distribution() -> None:
    before = vectors_of(1)
    order = np.random.default_rng(3).permutation(len(before))
    found = judge(compare_samples("c", sample(before), sample(before[order]), RULES).findings, RULES)
    assert {one.name: one.verdict for one in found} == {"vectors": "stable", "revectored": "drift"}


def test_another_model_is_judged_by_neighbours() -> None:
    before = vectors_of(1)
    turned = before @ np.linalg.qr(np.random.default_rng(5).normal(size=(16, 16)))[0]  # nobody's neighbours change
    found = judge(compare_samples("c", sample(before), sample(turned, embedder="f"), RULES).findings, RULES)
    assert [(one.name, one.verdict, one.now) for one in found] == [("neighbours", "stable", 1.0)]
    other = sample(vectors_of(9)[:, :8], embedder="f")
    assert judge(compare_samples("c", sample(before), other, RULES).findings, RULES)[0].verdict == "drift"
    strangers = compare_samples("c", sample(before), sample(before, embedder="f", first=900), RULES)
    assert strangers.findings[0].verdict == "insufficient"
    few = compare_samples("c", sample(before[:10]), sample(before), RULES)
    assert few.findings[0].verdict == "insufficient"
    assert neighbour_overlap(before[:5].astype(np.float32), before[:5].astype(np.float32)) == 1.0


def test_audit_that_grew_worse_or_failed_drifts() -> None:
    baseline = {"score.share": 0.9, "setup.ms": 100.0, "export.rows": 5.0, "receipts.open": 0.0}
    better = {"score.share": "higher", "setup.ms": "lower", "export.rows": "neither", "receipts.open": "lower"}
    good = AuditMetrics("a", baseline, better, ())  # type: ignore[arg-type]
    assert verdict_of(judge(compare_audit(good, baseline), RULES)) == "stable"
    bad = replace(
        good, metrics=baseline | {"score.share": 0.7, "setup.ms": 50.0, "export.rows": 0.0}, failed=("score",)
    )
    found = {one.name: one.verdict for one in judge(compare_audit(bad, baseline), RULES)}
    assert found == {"phases": "drift", "receipts.open": "stable", "score.share": "drift", "setup.ms": "stable"}
    made = confirmed(report(5, *judge(compare_audit(bad, baseline), RULES)), [], RULES)
    assert made.confirmed_by == "severe"


def test_series_raises_one_alarm_for_one_event_and_none_for_noise() -> None:
    values = np.random.default_rng(4).normal(100, 5, 1000)
    warm_up = warm_up_of(len(values))
    threshold = 6.0
    assert not len(alarms(anomaly_scores(values, warm_up=warm_up), threshold=threshold, warm_up=warm_up))
    values[700:740] += 60
    raised = alarms(anomaly_scores(values, warm_up=warm_up), threshold=threshold, warm_up=warm_up)
    assert len(raised) == 1
    assert 700 <= raised[0] < 710


def test_series_knows_nothing_of_what_comes() -> None:
    values = np.random.default_rng(4).normal(100, 5, 400)
    whole, part = anomaly_scores(values, warm_up=60), anomaly_scores(values[:300], warm_up=60)
    assert np.array_equal(whole[:300], part)
    assert anomaly_scores(np.zeros(0), warm_up=0).shape == (0,)
    assert not anomaly_scores(np.full(400, 7.0), warm_up=60).any()


def test_rules_are_told_with_their_line_where_they_are_wrong() -> None:
    text = files("lakehouse.drift").joinpath("rules.yaml").read_text("utf-8")
    assert load_rules(text, name="rules.yaml") == RULES
    for old, new in (
        ("alpha: 0.01", "alpha: 2"), ("alpha: 0.01", "alpha: x"), ("days: 2", "days: 0"), ("stale_days", "stale"),
        ("floor: 0.2, severe: 0.8", "floor: 0.9, severe: 0.8"), ("scorer: {", "scores: {"),
    ):  # fmt: skip
        with pytest.raises(BadInput, match=r"rules\.yaml, line \d+"):
            load_rules(text.replace(old, new, 1), name="rules.yaml")


def test_unknown_kind_is_refused_by_name() -> None:
    assert kind_of("scorer") == "scorer"
    with pytest.raises(BadInput, match="kinds are scorer, playbook"):
        kind_of("weather")


def test_length_of_an_answer_is_its_tokens_where_told_and_its_characters() -> None:
    told = [
        ("жжжж", 5, None),
        ("abcdefgh", 7, '{"are_tokens_estimated": true}'),
        ("こんにちは世界。", None, "{}"),
        ("", 0, None),
    ]
    with duckdb.connect() as engine:
        engine.execute(
            "CREATE TABLE r (output_text VARCHAR, completion_tokens BIGINT, metadata VARCHAR, cost_usd DOUBLE)"
        )
        engine.executemany("INSERT INTO r VALUES (?, ?, ?, 0.5)", told)
        rows = engine.execute(f"SELECT {sizes('r')} FROM r").fetchall()
    assert rows == [(5.0, 4.0, 0.5), (None, 8.0, None), (None, 8.0, 0.5), (0.0, 0.0, 0.5)]


def test_provider_that_stops_telling_tokens_answers_at_the_same_length() -> None:
    characters = np.random.default_rng(1).normal(400, 50, 100)
    told, untold = runs(100), runs(100)
    for side in (told, untold):
        side.columns["characters"][:] = characters  # type: ignore[index]
    told.columns["length"][:] = characters / 3  # type: ignore[index]
    (length,) = compare_runs("m", told, untold, least_samples=50)
    assert (length.name, length.effect, length.baseline) == ("length", 0.0, pytest.approx(characters.mean()))
    assert "in characters" in length.note
    untold.columns["characters"][:] = np.nan  # type: ignore[index]  # of a baseline that has none of them
    (length,) = compare_runs("m", untold, told, least_samples=50)
    assert length.verdict == "insufficient"
