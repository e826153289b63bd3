"""Validation on anything: numbers are found whatever surrounds them, phones never, and no artifact breaks it."""

from __future__ import annotations

import orjson
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.errors import BadInput
from lakehouse.validation import KINDS, validate
from lakehouse.validation.log_line import validation_line
from lakehouse.validation.pay import discloses_pay
from lakehouse.validation.plain_text import plain, plain_with_origins
from lakehouse.validation.sms_length import sms_length
from lakehouse.validation.social_security import holds_ssn, mask_ssns
from lakehouse.validation.texts import loggable
from tests.fakes.roster import FakeRoster

ROSTER = FakeRoster({})
AREAS = st.integers(1, 899).filter(lambda area: area != 666)
NUMBERS = st.tuples(AREAS, st.integers(1, 99), st.integers(1, 9999))
# Letters of no word that names something: neither a label of a number nor a digit.
AROUND = st.text(
    st.characters(exclude_categories=("Nd", "No", "Nl", "Cs", "Lu", "Ll", "Lo", "Lt", "Lm")), max_size=20
).filter(lambda text: not any(mark in plain(text) for mark in "+-_&<") and not any(c.isalnum() for c in plain(text)))
HYPHENS = st.sampled_from(
    ["-", "\u2010", "\u2011", "\u2012", "\u2013", "\u2014", "\u2212", "\uff0d", "\u200b-", " - ", "-\u00ad"]
)
BLANKS = st.sampled_from([" ", "\u00a0", "\u2009", "\u202f", "\u3000", " \u200b"])
LABELS = st.sampled_from(
    ["SSN", "ssn:", "SSN #", "S.S.N. ", "Social Security number ", "social security no. ", "Soc. Sec. ",
     "social-security: ", "my social is ", "SS# ", "SSN is "]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)
FIELDS = st.sampled_from(
    [
        "to", "subject", "body", "fills", "candidate_id", "name", "operation", "endorsed_names", "score",
        "target_count", "role", "city", "state", "client_id", "allow_pay", "candidate_name", "other_names",
    ]
)  # fmt: skip
OBJECTS = st.dictionaries(FIELDS | st.text(max_size=5), JSON, max_size=6)


def digits(number: tuple[int, int, int], mark: str) -> str:
    return f"{number[0]:03d}{mark}{number[1]:02d}{mark}{number[2]:04d}"


@given(NUMBERS, HYPHENS, AROUND, AROUND)
def test_hyphened_number_is_found_whatever_surrounds_it(
    number: tuple[int, int, int], mark: str, before: str, after: str
) -> None:
    text = before + digits(number, mark) + after
    assert holds_ssn(text)
    assert not holds_ssn(mask_ssns(text))


@given(NUMBERS, BLANKS)
def test_spaced_number_is_found(number: tuple[int, int, int], mark: str) -> None:
    assert holds_ssn(f"It is {digits(number, mark)}, thanks")


@given(NUMBERS, LABELS, st.sampled_from(["", ".", "-", " "]))
def test_labelled_number_is_found_in_any_grouping(number: tuple[int, int, int], label: str, mark: str) -> None:
    assert holds_ssn(f"Hello, {label}{digits(number, mark)} is on file")
    assert not holds_ssn(mask_ssns(f"Hello, {label}{digits(number, mark)} is on file"))


@given(NUMBERS)
def test_bare_nine_digits_without_words_are_none(number: tuple[int, int, int]) -> None:
    assert not holds_ssn(f"Badge {digits(number, '')} is ready.")
    assert not holds_ssn(f"We have {digits(number, '')} of them")


@given(
    st.integers(200, 999), st.integers(200, 999), st.integers(0, 9999),
    st.sampled_from(
        ["{}-{}-{}", "({}) {}-{}", "{}.{}.{}", "{} {} {}", "{}{}{}", "+1{}{}{}", "+1 {}-{}-{}", "1-{}-{}-{}",
         "+1 ({}) {}-{}"]
    ),
    st.sampled_from(["Call me at {}.", "{}", "Phone: {}", "My SSN is on file; call {}", "text {} or stop by"]),
)  # fmt: skip
def test_phone_is_never_a_social_security_number(area: int, exchange: int, line: int, form: str, text: str) -> None:
    phone = form.format(f"{area:03d}", f"{exchange:03d}", f"{line:04d}")
    assert not holds_ssn(text.format(phone))


@given(
    st.integers(0, 99999),
    st.integers(0, 9999),
    st.sampled_from(["Toledo, OH {}", "{}", "ZIP {}", "SSN on file, {}", "SSN {}"]),
)
def test_zip_code_is_never_one(zip_code: int, more: int, text: str) -> None:
    assert not holds_ssn(text.format(f"{zip_code:05d}-{more:04d}"))


@given(
    NUMBERS,
    st.sampled_from(["Order {}", "order number {}", "Order #{} has shipped", "vacancy {}", "PO {}", "Invoice No. {}"]),
)
def test_number_named_otherwise_is_none(number: tuple[int, int, int], text: str) -> None:
    assert not holds_ssn(text.format(digits(number, "-")))


@given(st.text(st.characters(), max_size=200))
def test_any_text_is_read_without_error(text: str) -> None:
    holds_ssn(text)
    discloses_pay(text)
    mask_ssns(text)
    assert sms_length(text).units >= len(text)
    made, origins = plain_with_origins(text)
    assert made == plain(text)
    assert len(made) == len(origins)


@given(st.sampled_from(KINDS), OBJECTS, OBJECTS)
def test_any_artifact_is_judged_and_logged(kind: str, artifact: dict[str, object], context: dict[str, object]) -> None:
    verdict = validate(kind, artifact, context, roster=ROSTER)
    orjson.dumps(
        verdict.answer() | (verdict.refusal.tagged() if verdict.refusal else {})
        if False
        else loggable(verdict.answer())
    )
    line = validation_line(verdict, artifact, context, run_id="r", trace_id=None, task_id=None, actor="a")
    assert len(orjson.dumps(line)) < 1 << 20


@given(JSON, JSON, JSON)
def test_any_json_is_judged_or_bad_input(kind: object, artifact: object, context: object) -> None:
    try:
        validate(kind, artifact, context)  # type: ignore[arg-type]
    except BadInput:
        return
