"""Claims, cases, checks, rankings, verdicts and the report: what must fail fails, and says why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lakehouse.adapters.proof_tests import read_junit
from lakehouse.errors import BadInput
from lakehouse.proof.cases import Expectation, fill, read_cases
from lakehouse.proof.checks import Answer, Missing, check, find
from lakehouse.proof.claims import Claim, Mode, mode_of_test, read_claims
from lakehouse.proof.rankings import Rankings, compare, difference
from lakehouse.proof.report import to_document, write_report
from lakehouse.proof.verdicts import Assertion, Outcome, judge

STEP = {"send": "GET /health", "expect": [{"status": 200}]}
CASES = {case.name: case for case in read_cases({"one": [STEP]}, Mode.CONTRACT)}


def claim(*, cases: tuple[str, ...] = (), tests: tuple[str, ...] = ()) -> Claim:
    return Claim("a-claim", "It holds.", "docs/x.md", tests, cases)


def said(evidence: str, outcome: Outcome) -> Assertion:
    return Assertion(evidence, 1, "status 200", outcome, "" if outcome is Outcome.PASS else "why", 1.5)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"statement": "x", "source": "y"}, "has no id"),
        ({"id": "Not Fit", "statement": "x", "source": "y"}, "has no id"),
        ({"id": "abc", "statement": "x"}, "no 'source'"),
        ({"id": "abc", "statement": "x", "promise": "x"}, "either 'promise'"),
        ({"id": "abc", "promise": " "}, "no 'promise'"),
        ({"id": "abc", "promise": "x", "prof": []}, "unknown key 'prof'"),
        ({"id": "abc", "promise": "x", "proof": "node"}, "list of texts"),
    ],
)
def test_claim_that_is_none_is_refused(entry: object, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        read_claims([entry])


def test_id_that_comes_twice_is_refused() -> None:
    with pytest.raises(BadInput, match="comes twice"):
        read_claims([{"id": "abc", "promise": "x"}, {"id": "abc", "promise": "y"}])


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        ({"send": "GET /health"}, "expects nothing"),
        ({"send": "GET /health", "expect": []}, "expects nothing"),
        ({"send": "LOOK /health", "expect": [{"status": 200}]}, "method and a path"),
        ({**STEP, "wait": 3}, "unknown key 'wait'"),
        ({"send": "GET /x", "expect": [{"equals": 1}]}, "needs one of"),
        ({"send": "GET /x", "expect": [{"is": 1, "has": 2}]}, "needs one of"),
        ({"send": "GET /x", "expect": [{"at": "a", "status": 200}]}, "takes no 'at'"),
        ({**STEP, "repeat": 0}, "'repeat' must be"),
    ],
)
def test_step_that_shows_nothing_is_refused(step: object, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        read_cases({"case": [step]}, Mode.CONTRACT)


def test_what_was_kept_is_filled_in_and_keeps_its_kind() -> None:
    kept = {"run": "r1", "n": 7, "vector": [0.5]}
    assert fill({"a_${run}": ["${vector}", "${n} of ${run}"]}, kept) == {"a_r1": [[0.5], "7 of r1"]}
    with pytest.raises(BadInput, match="nothing was kept as 'other'"):
        fill("${other}", kept)


def test_path_leads_through_members_places_and_all_of_a_list() -> None:
    body = {"rows": [{"id": "a"}, {"id": "b"}]}
    assert find(body, "rows.1.id") == "b"
    assert find(body, "rows.*.id") == ["a", "b"]
    assert find(body, "rows.-1.id") == "b"
    assert find(body, "rows.2.id") == Missing("2")
    assert find(body, "rows.id") == Missing("id")


@pytest.mark.parametrize(
    ("operation", "at", "wanted", "holds"),
    [
        ("status", "", 200, True),
        ("status", "", 404, False),
        ("is", "n", 1, True),
        ("is", "n", True, False),
        ("is", "gone", None, False),
        ("is_not", "n", 2, True),
        ("is_not", "n", 1, False),
        ("has", "names", "a", True),
        ("has", "n", "a", False),
        ("lacks", "names", "z", True),
        ("lacks", "names", "a", False),
        ("lacks", "gone", "a", False),
        ("at_least", "n", 1, True),
        ("at_least", "n", 2, False),
        ("at_least", "text", 1, False),
        ("at_most", "n", 0, False),
        ("length", "names", 2, True),
        ("length", "names", 3, False),
        ("matches", "text", "^w", True),
        ("matches", "n", "1", False),
        ("header", "x-one", "^1$", True),
        ("header", "x-one", "2", False),
        ("header", "x-two", ".", False),
        ("p50_ms", "", 2.0, True),
        ("p50_ms", "", 1.0, False),
        ("p99_ms", "", 8.0, False),
    ],
)
def test_each_operation_can_hold_and_can_fail(operation: str, at: str, wanted: Any, holds: bool) -> None:
    answer = Answer(200, {"X-One": "1"}, {"n": 1, "names": ["a", "b"], "text": "words"}, [1.0, 2.0, 9.0])
    wrong = check(Expectation(operation, at, wanted), answer, Rankings({}))
    assert (wrong is None) is holds, wrong


def test_ranking_is_held_against_the_golden_one_and_made_anew_only_on_purpose() -> None:
    golden = {"a": ["1", "2"]}
    assert compare(Rankings(golden), "a", ["1", "2"]) is None
    assert "golden" in (compare(Rankings(golden), "a", ["2", "1"]) or "")
    assert "no golden ranking" in (compare(Rankings(golden), "b", ["1"]) or "")
    assert "no results" in (compare(Rankings(golden, is_made_anew=True), "a", []) or "")
    anew = Rankings(golden, is_made_anew=True)
    assert compare(anew, "a", ["2", "1"]) is None
    assert "before" in (compare(anew, "a", ["1", "2"]) or "")
    assert "-a 1: 1" in difference(golden, anew.seen)
    assert difference(golden, golden) == ""


def test_claim_passes_only_when_all_its_evidence_of_the_mode_has() -> None:
    whole = claim(cases=("one",), tests=("tests/unit/test_x.py::test_y",))
    both = [said("one", Outcome.PASS), said("tests/unit/test_x.py::test_y", Outcome.PASS)]
    assert judge([whole], Mode.CONTRACT, CASES, both)[0].outcome is Outcome.PASS
    assert judge([whole], Mode.CONTRACT, CASES, both[:1])[0].reason.startswith("no evidence: tests/unit")
    failed = judge([whole], Mode.CONTRACT, CASES, [both[0], said("tests/unit/test_x.py::test_y", Outcome.FAIL)])[0]
    assert (failed.outcome, failed.passed, failed.failed) == (Outcome.FAIL, 1, 1)
    assert judge([whole], Mode.PERFORMANCE, CASES, both)[0].outcome is Outcome.SKIP


def test_claim_without_evidence_fails_in_every_mode() -> None:
    for mode in Mode:
        verdict = judge([claim()], mode, CASES, [])[0]
        assert (verdict.outcome, verdict.reason[:11]) == (Outcome.FAIL, "no evidence")
        assert judge([claim(cases=("gone",))], mode, CASES, [])[0].outcome is Outcome.FAIL


def test_claim_of_which_a_part_was_skipped_is_not_passed() -> None:
    found = [said("one", Outcome.PASS), said("one", Outcome.SKIP)]
    assert judge([claim(cases=("one",))], Mode.CONTRACT, CASES, found)[0].outcome is Outcome.SKIP


def test_tests_belong_to_a_mode_by_their_folder() -> None:
    assert mode_of_test("tests/unit/test_x.py::test_y") is Mode.CONTRACT
    assert mode_of_test("tests/integration/test_x.py::test_y") is Mode.INTEGRATION


def test_junit_file_gives_an_assertion_for_each_parameter(tmp_path: Path) -> None:
    (tmp_path / "t.xml").write_text(
        '<testsuites><testsuite><testcase classname="tests.unit.test_x" name="test_y[1]" time="0.25"/>'
        '<testcase classname="tests.unit.test_x" name="test_y[2]" time="0"><failure message="1 != 2"/></testcase>'
        '<testcase classname="tests.unit.test_x" name="test_z" time="0"><skipped message="no data"/></testcase>'
        "</testsuite></testsuites>"
    )
    nodes = ["tests/unit/test_x.py::test_y", "tests/unit/test_x.py::test_z", "tests/unit/test_x.py::test_gone"]
    found = read_junit(tmp_path / "t.xml", nodes)
    assert [(one.evidence[-6:], one.outcome, one.detail) for one in found] == [
        ("test_y", Outcome.PASS, ""),
        ("test_y", Outcome.FAIL, "1 != 2"),
        ("test_z", Outcome.SKIP, "no data"),
    ]
    assert found[0].elapsed_ms == 250
    with pytest.raises(BadInput, match="cannot be read"):
        read_junit(tmp_path / "none.xml", nodes)


def test_report_names_what_failed_and_every_claim() -> None:
    verdicts = judge([claim(cases=("one",))], Mode.CONTRACT, CASES, [said("one", Outcome.FAIL)])
    page = write_report(Mode.CONTRACT, "a clean stack", verdicts)
    assert "0 pass, 1 fail, 0 skip of 1 claim" in page
    assert "- **a-claim**: one: status 200: why" in page
    line = to_document(said("one", Outcome.FAIL), Mode.CONTRACT, ["a-claim"])
    assert (line["outcome"], line["claims"], line["elapsed_ms"]) == ("fail", ["a-claim"], 1.5)
