"""The two forms of a refusal, byte for byte: programs of others read them."""

from __future__ import annotations

import orjson
import pytest

from lakehouse.validation import Finding, Refusal, Verdict

FORMS = [
    (
        Refusal("Schema", "email.to", "to is missing", "to"),
        b'{"Schema":{"field":"to","reason":"to is missing"}}',
        b'{"Kind":"schema","Field":"to","Reason":"to is missing"}',
    ),
    (
        Refusal("Completeness", "message.missing", "body is empty"),
        b'{"Completeness":{"reason":"body is empty"}}',
        b'{"Kind":"completeness","Field":"","Reason":"body is empty"}',
    ),
    (
        Refusal("Consistency", "fill.count", "1 candidate is proposed, and 2 are wanted"),
        b'{"Consistency":{"reason":"1 candidate is proposed, and 2 are wanted"}}',
        b'{"Kind":"consistency","Field":"","Reason":"1 candidate is proposed, and 2 are wanted"}',
    ),
    (
        Refusal("Policy", "message.pay", "the text tells a pay rate"),
        b'{"Policy":{"reason":"the text tells a pay rate"}}',
        b'{"Kind":"policy","Field":"","Reason":"the text tells a pay rate"}',
    ),
]


@pytest.mark.parametrize(("refusal", "tagged", "flat"), FORMS)
def test_refusal_has_its_two_forms(refusal: Refusal, tagged: bytes, flat: bytes) -> None:
    assert orjson.dumps(refusal.tagged()) == tagged
    assert orjson.dumps(refusal.flat()) == flat


def test_answer_of_what_passed_has_findings_and_time() -> None:
    verdict = Verdict("sms", None, (Finding("personal.phone", "body", "the text holds a phone number", 2),), 0.125)
    assert orjson.dumps(verdict.answer()) == (
        b'{"findings":[{"rule":"personal.phone","field":"body","reason":"the text holds a phone number","count":2}],'
        b'"elapsed_ms":0.125}'
    )
