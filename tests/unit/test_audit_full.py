"""The audit of everything, its rules: what a phase's verdict is, what a report says, what an API must answer."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.audit import contract
from lakehouse.audit.acceptance import gain_of, questions
from lakehouse.audit.baseline import Baseline, change_of
from lakehouse.audit.results import MOST_SHOWN, PHASES, PhaseLedger
from lakehouse.clock import utc_now
from lakehouse.errors import BadInput
from lakehouse.sample.vocabulary import OCCUPATIONS
from lakehouse_cli.audit_setup import as_checks
from lakehouse_cli.doctor import Finding

OPENAPI = Path(__file__).resolve().parents[2] / "docs" / "reference" / "openapi.json"
UNIQUE = "01a227bd-51c6-70c4-ba4c-fe779ca6c7e5"


def test_skipped_phase_is_no_pass() -> None:
    ledger = PhaseLedger()
    ledger.skipped("a", "there is nothing")
    assert ledger.result(PHASES[0], elapsed_ms=1).verdict == "skip"
    ledger.passed("b", "fine")
    assert ledger.result(PHASES[0], elapsed_ms=1).verdict == "pass"
    ledger.failed("c", "wrong", "mend it")
    assert ledger.result(PHASES[0], elapsed_ms=1).verdict == "fail"
    assert PhaseLedger().result(PHASES[0], elapsed_ms=1).verdict == "skip"


def test_many_faults_are_counted_and_some_shown() -> None:
    ledger = PhaseLedger()
    ledger.judge("a", [f"fault {n}" for n in range(MOST_SHOWN + 5)], looked_at="30 things", remedy="mend")
    [check] = ledger.checks
    assert check.verdict == "fail"
    assert check.what.endswith("fault 19; and 5 more (of 30 things)")


@pytest.mark.parametrize(("name", "value"), [("Share", 1), ("a.b", 1), ("share", float("nan")), ("ms", float("inf"))])
def test_metric_that_could_be_compared_with_nothing_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match="is not a metric"):
        PhaseLedger().measured(name, value)


@pytest.mark.parametrize(
    ("value", "before", "better", "change"),
    [
        (1.0, None, "higher", "new"),
        (1.0, 1.0, "lower", "same"),
        (2.0, 1.0, "higher", "better"),
        (2.0, 1.0, "lower", "worse"),
        (0.5, 1.0, "lower", "better"),
        (2.0, 1.0, "neither", "other"),
    ],
)
def test_value_against_its_baseline(value: float, before: float | None, better: str, change: str) -> None:
    assert change_of(value, before, better) == change  # type: ignore[arg-type]


@given(st.dictionaries(st.from_regex(r"[a-z]+\.[a-z_]+", fullmatch=True), st.floats(-1e9, 1e9)), st.integers(1, 99))
def test_baseline_comes_back_as_it_was_stored(metrics: dict[str, float], version: int) -> None:
    baseline = Baseline(version, UNIQUE, utc_now(), "cli", metrics)
    assert Baseline.from_json(baseline.to_json(), key="k") == baseline


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"format_version": 2, "metrics": {}}', b'{"format_version": 1, "metrics": 3}', b"null"],
)
def test_damaged_baseline_is_named_with_its_key(body: bytes) -> None:
    with pytest.raises(BadInput, match=r"audits/baselines/current\.json"):
        Baseline.from_json(body, key="audits/baselines/current.json")


def test_routes_of_the_contract_are_described() -> None:
    described = contract.routes_of(json.loads(OPENAPI.read_text()))
    assert set(contract.routes()) <= described
    assert len(contract.routes()) == len(set(contract.routes())) > 40


def test_probes_ask_described_routes_for_what_is_not_there() -> None:
    described = [re.compile(re.escape(route).replace(r"\{\}", ".+")) for route in contract.routes()]
    probes = contract.probes(UNIQUE)
    for probe in probes:
        is_known = any(one.fullmatch(f"{probe.method} {probe.path}") for one in described)
        assert is_known or probe.name == "unknown routes", probe
        assert not {"{id}", "{name}"} & {probe.path, str(probe.body)}
        # Nothing is written: what is no GET is refused, or only reads.
        assert probe.method == "GET" or probe.status >= 400 or probe.path in ("/v1/sql", "/v1/embed"), probe
    assert len({probe.name for probe in probes}) == len(probes)


def _probe(**changes: object) -> contract.Probe:
    return contract.Probe(**{"name": "p", "method": "GET", "path": "/x", "status": 404, "is_problem": True, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "media_type", "body", "fault"),
    [
        (404, contract.PROBLEM, b'{"title": "t", "status": 404, "detail": "d"}', None),
        (200, contract.PROBLEM, b"{}", "p: GET /x answers 200, not 404"),
        (404, "text/html", b'{"title": "t", "status": 404, "detail": "d"}', "p: GET /x answers text/html, not "),
        (404, contract.PROBLEM, b'{"title": "t"}', "p: GET /x answers without status, detail"),
        (404, contract.PROBLEM, b"<html>", "p: GET /x answers no JSON object"),
        (404, contract.PROBLEM, b"[]", "p: GET /x answers no JSON object"),
    ],
)
def test_answer_is_held_against_its_probe(status: int, media_type: str, body: bytes, fault: str | None) -> None:
    found = list(contract.faults_of(_probe(), status=status, media_type=media_type, body=body))
    assert len(found) == (fault is not None)
    assert fault is None or found[0].startswith(fault)


def test_questions_of_the_acceptance_are_of_all_occupations_and_kept_apart() -> None:
    asked = questions()
    titles = {one.title for one in OCCUPATIONS}
    assert {one.answer for one in asked.recorded} == {one.answer for one in asked.never_seen} == titles
    recorded, again, never = (
        {one.text for one in some} for some in (asked.recorded, asked.asked_again, asked.never_seen)
    )
    assert not recorded & again
    assert not (recorded | again) & never
    assert (len(recorded), len(again), len(never)) == (120, 120, 60)
    assert not {one.text.lower() for one in asked.recorded} & {title.lower() for title in titles}


def test_gain_has_an_interval() -> None:
    asked = questions().asked_again
    worst, best = [["nobody"]] * len(asked), [[one.answer] for one in asked]
    assert gain_of(asked, worst, best).interval.low == 1
    half = [best[n] if n % 2 else worst[n] for n in range(len(asked))]
    gain = gain_of(asked, half, best)
    assert (gain.before, gain.after, gain.questions) == (0.5, 1.0, len(asked))
    assert 0.3 < gain.interval.low < 0.5 < gain.interval.high < 0.7


def test_service_that_was_never_started_is_skipped_and_one_that_died_fails() -> None:
    findings = [
        Finding("python", "ok", "3.11"),
        Finding("store", "ok", "it answers"),
        Finding("catalog", "problem", "people: broken", "mend"),
        Finding("secrets", "warning", "the workers use full keys", "set others"),
        Finding("api", "problem", "nothing answers", "lakehouse up"),
        Finding("dagster", "problem", "nothing answers", "lakehouse up"),
    ]
    checks = {one.name: one for one in as_checks(findings, started=frozenset({"api"}))}
    assert {name: one.verdict for name, one in checks.items()} == {
        "doctor: python": "pass", "doctor: catalog": "fail", "doctor: secrets": "pass", "doctor: api": "fail",
        "doctor: dagster": "skip",
    }  # fmt: skip
    assert checks["doctor: api"].remedy == "lakehouse up"
    assert "not started here" in checks["doctor: dagster"].what
