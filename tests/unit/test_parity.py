"""Parity: cases are read or refused by name; answers are compared by status and shape, in either form."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from lakehouse.errors import BadInput
from lakehouse.parity.cases import Case, builtin_cases, read_cases
from lakehouse.parity.comparison import Answer, Outcome, Verdict, compare, count_verdicts
from lakehouse.parity.forms import KINDS, Form, NotInForm, tagged_of

REQUEST = {"kind": "email", "artifact": {}, "context": {}}
PASSED = {"findings": [], "elapsed_ms": 0.2}
SCHEMA = {"Schema": {"field": "to", "reason": "is no address"}}
SCHEMA_FLAT = {"Kind": "schema", "Field": "to", "Reason": "no mailbox of that name"}
POLICY = {"Policy": {"reason": "holds a US Social Security number"}}
PROBLEM = {"type": "about:blank", "title": "Bad request", "status": 400, "detail": "no such kind"}


def answer(status: int, body: Any) -> Answer:
    return Answer(status, json.dumps(body).encode())


def judged(left: Answer, right: Answer, *, forms: tuple[Form, Form] | None = None, **expected: Any) -> Outcome:
    return compare(Case("a case", REQUEST, expected), left, right, forms=forms or (Form.TAGGED, Form.TAGGED))


def test_builtin_cases_are_at_least_six_of_each_kind() -> None:
    kinds = Counter(
        case.request["kind"] for case in builtin_cases() if isinstance(case.request, dict) and "kind" in case.request
    )
    assert all(kinds[kind] >= 6 for kind in ("email", "sms", "fill", "playbook")), kinds
    names = [case.name for case in builtin_cases()]
    assert len(set(names)) == len(names)


def test_members_left_out_are_not_expected_and_null_is() -> None:
    some, none, null = read_cases(
        json.dumps(
            [
                {"name": "a", "request": REQUEST, "status": 422, "error": "Schema", "field": "to"},
                {"name": "b", "request": []},
                {"name": "c", "request": None, "error": None, "field": None},
            ]
        ).encode(),
        source="c.json",
    )
    assert some.expected == {"status": 422, "error": "Schema", "field": "to"}
    assert (none.expected, none.request) == ({}, [])
    assert null.expected == {"error": None, "field": None}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "c.json is not JSON"),
        (b"[", "c.json is not JSON"),
        (b"\xff\xfe[", "c.json is not JSON"),
        (b"[" * 100_000, "c.json is nested too deep"),
        (b"{}", "must be a JSON list"),
        (b"[]", "c.json has no case"),
        (b"[1]", "case 1 must be an object"),
        (b'[{"request": {}}]', "case 1 needs a name"),
        (b'[{"name": " ", "request": {}}]', "case 1 needs a name"),
        (b'[{"name": "a", "request": {}}, {"name": "b"}]', r"case 2 \('b'\) needs a request"),
        (b'[{"name": "a", "request": {}, "expect": 200}]', "unknown member 'expect'"),
        (b'[{"name": "a", "request": {}, "status": "200"}]', "status must be an HTTP status"),
        (b'[{"name": "a", "request": {}, "status": true}]', "status must be an HTTP status"),
        (b'[{"name": "a", "request": {}, "status": 99}]', "status must be an HTTP status"),
        (b'[{"name": "a", "request": {}, "error": "schema"}]', "error must be one of Schema, "),
        (b'[{"name": "a", "request": {}, "error": []}]', "error must be one of Schema, "),
        (b'[{"name": "a", "request": {}, "field": 1}]', "field must be a text or null"),
        (b'[{"name": "a", "request": {"score": NaN}}]', "NaN is not JSON"),
    ],
)
def test_wrong_file_is_refused_with_the_case_and_what_is_wrong(content: bytes, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        read_cases(content, source="c.json")


@pytest.mark.parametrize("kind", KINDS)
def test_flat_form_maps_to_the_tagged_one(kind: str) -> None:
    field = "to" if kind == "Schema" else ""
    flat = {"Kind": kind.lower(), "Field": field, "Reason": "why"}
    tagged = {kind: {"field": "to", "reason": "why"} if field else {"reason": "why"}}
    assert tagged_of(flat, Form.FLAT) == tagged
    assert tagged_of(tagged, Form.TAGGED) == tagged


@pytest.mark.parametrize(
    ("body", "form"),
    [
        (SCHEMA, Form.FLAT),
        (SCHEMA_FLAT, Form.TAGGED),
        ({**SCHEMA_FLAT, "Kind": "Schema"}, Form.FLAT),
        ({**SCHEMA_FLAT, "Kind": ["schema"]}, Form.FLAT),
        ({**SCHEMA_FLAT, "Kind": "policy"}, Form.FLAT),
        ({**SCHEMA_FLAT, "Field": None}, Form.FLAT),
        ({"Kind": "policy", "Reason": "why"}, Form.FLAT),
        ([], Form.FLAT),
        (None, Form.TAGGED),
        ({**SCHEMA, **POLICY}, Form.TAGGED),
        ({"Schema": {"reason": "why"}}, Form.TAGGED),
        ({"Policy": {"field": "to", "reason": "why"}}, Form.TAGGED),
        ({"Policy": "why"}, Form.TAGGED),
        ({"Policy": {"reason": None}}, Form.TAGGED),
        ({"detail": [{"loc": ["body"], "msg": "field required"}]}, Form.TAGGED),
    ],
)
def test_body_in_no_form_is_told(body: Any, form: Form) -> None:
    with pytest.raises(NotInForm):
        tagged_of(body, form)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (answer(200, PASSED), answer(200, {"elapsed_ms": 17, "findings": []})),
        (answer(422, SCHEMA), answer(422, {"Schema": {"reason": "other words", "field": "to"}})),
        (answer(400, PROBLEM), answer(400, {**PROBLEM, "detail": "other words"})),
        (
            answer(200, {"findings": [{"field": "a", "reason": "x"}]}),
            answer(200, {"findings": [{"field": "a", "reason": "y"}]}),
        ),
    ],
)
def test_other_words_and_times_are_the_same(left: Answer, right: Answer) -> None:
    outcome = judged(left, right)
    assert (outcome.verdict, outcome.reasons) == (Verdict.SAME, ())


@pytest.mark.parametrize(
    ("left", "right", "reason"),
    [
        (answer(200, PASSED), answer(422, POLICY), "status: 200 ≠ 422"),
        (answer(422, SCHEMA), answer(500, {}), "status: 422 ≠ 500"),
        (answer(422, SCHEMA), answer(422, POLICY), "body.Schema: only left has it"),
        (
            answer(422, SCHEMA),
            answer(422, {"Schema": {"field": "body", "reason": ""}}),
            'body.Schema.field: "to" ≠ "body"',
        ),
        (answer(200, PASSED), answer(200, {"findings": []}), "body.elapsed_ms: only left has it"),
        (answer(200, PASSED), answer(200, {**PASSED, "findings": None}), "body.findings: list ≠ null"),
        (answer(200, PASSED), answer(200, {**PASSED, "findings": [1]}), "body.findings: 0 items ≠ 1 item"),
        (answer(200, {"a b": [True]}), answer(200, {"a b": [1]}), 'body["a b"][0]: boolean ≠ number'),
        (answer(422, SCHEMA), answer(422, {"detail": []}), "body: only one is as it should be"),
        (answer(400, PROBLEM), Answer(400, b"<html>"), "body: only one is as it should be"),
    ],
)
def test_other_status_or_shape_differs_and_says_where(left: Answer, right: Answer, reason: str) -> None:
    outcome = judged(left, right)
    assert outcome.verdict is Verdict.DIFFERS
    assert reason in outcome.reasons
    assert judged(right, left).verdict is Verdict.DIFFERS


def test_flat_side_is_compared_by_its_tagged_form() -> None:
    forms = (Form.TAGGED, Form.FLAT)
    assert judged(answer(422, SCHEMA), answer(422, SCHEMA_FLAT), forms=forms).verdict is Verdict.SAME
    assert judged(answer(200, PASSED), answer(200, PASSED), forms=forms).verdict is Verdict.SAME
    other = judged(answer(422, SCHEMA), answer(422, {**SCHEMA_FLAT, "Field": "body"}), forms=forms)
    assert other.reasons == ('body.Schema.field: "to" ≠ "body"',)
    ignored = judged(answer(422, SCHEMA), answer(422, SCHEMA), forms=forms)
    assert ignored.verdict is Verdict.DIFFERS
    assert "right: the body is not {Kind, Field, Reason}" in ignored.reasons


@pytest.mark.parametrize(
    ("given", "expected", "reasons"),
    [
        (answer(200, PASSED), {"status": 200, "error": None, "field": None}, ()),
        (answer(422, SCHEMA), {"status": 422, "error": "Schema", "field": "to"}, ()),
        (answer(422, SCHEMA), {}, ()),
        (answer(503, PROBLEM), {"status": 503}, ()),
        (
            answer(200, PASSED),
            {"status": 422, "error": "Policy"},
            ("both: status 200, expected 422", "both: no error, expected Policy"),
        ),
        (answer(422, SCHEMA), {"error": None}, ("both: Schema, expected no error",)),
        (answer(422, SCHEMA), {"field": None}, ('both: field "to", expected no field',)),
        (
            answer(422, {"detail": []}),
            {"status": 422},
            (f"both: the body is not one of {', '.join(KINDS)} and what is said of it",),
        ),
    ],
)
def test_same_answers_are_held_against_what_is_expected(
    given: Answer, expected: dict[str, Any], reasons: tuple[str, ...]
) -> None:
    outcome = judged(given, given, **expected)
    assert outcome.reasons == reasons
    assert outcome.verdict is (Verdict.UNEXPECTED if reasons else Verdict.SAME)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (answer(401, PROBLEM), answer(401, PROBLEM)),
        (answer(404, PROBLEM), answer(422, SCHEMA)),
        (answer(307, {}), answer(200, PASSED)),
        (answer(500, {}), answer(500, {})),
        (answer(503, PROBLEM), answer(502, {})),
        (Answer(failure="no answer within 1 s"), answer(200, PASSED)),
        (Answer(failure="no answer within 1 s"), Answer(failure="no answer within 1 s")),
    ],
)
def test_what_no_validator_said_proves_nothing(left: Answer, right: Answer) -> None:
    assert judged(left, right).verdict is Verdict.UNANSWERED
    assert judged(right, left).verdict is Verdict.UNANSWERED


def test_outcome_tells_both_answers_in_short_without_their_words() -> None:
    outcome = judged(answer(422, SCHEMA), answer(422, POLICY), status=422)
    assert (outcome.left, outcome.right) == ('422 Schema "to"', "422 Policy")
    document = json.dumps(outcome.to_document())
    assert "Social Security" not in document
    assert count_verdicts([outcome, outcome]) == {"same": 0, "differs": 2, "unexpected": 0, "unanswered": 0}


def test_field_of_a_service_cannot_write_to_the_terminal() -> None:
    hostile = answer(422, {"Schema": {"field": "\x1b[2J" + "x" * 500, "reason": ""}})
    outcome = judged(hostile, answer(422, SCHEMA))
    assert all("\x1b" not in text and len(text) < 200 for text in (outcome.left, *outcome.reasons))
