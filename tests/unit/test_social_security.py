"""Social Security numbers are found in every form, and nothing else is taken for one."""

from __future__ import annotations

import pytest

from lakehouse.validation.social_security import SSN_MASK, WITHHELD, holds_ssn, mask_ssns

NUMBERS = [
    "Your SSN 219-09-9999 is on file.",
    "Your social security number is 219 09 9999.",
    "SSN: 219099999",
    "SSN 219-09-9999",
    "abc 078 05 1123 abc",
    "078.05.1123",
    "SSN219-09-9999",
    "my social is 219099999",
    "219099999 is my SSN",
    "219099999 (SSN)",
    "S.S.N. 219099999",
    "SS# 219099999",
    "soc. sec. no. 219099999",
    "219‑09‑9999",
    "219\u200b-09-9999",
    "２１９-０９-９９９９",
    "219\xa009\xa09999",
    "219 - 09 - 9999",
    "219–09–9999",
    "219−09−9999",
    "SSN: 2 1 9 0 9 9 9 9 9",
    "219&#45;09&#45;9999",
    "219-<b>09</b>-9999",
    "Social-Security: 219099999",
    "SSN\n219099999",
    "numero de seguro social 219099999",
    "Here's my social: 219 099 999",
    "My social security number, as you asked, is this one: 219099999.",
    "Please send social security number. Mine is 219099999",
    "219-\x0009-9999",
    "SSN=219099999",
    "ssn_number: 219099999",
    "employee_ssn:219099999",
    "order SSN: 219-09-9999",
    "ＳＳＮ 219099999",
    "ЅЅN 219099999",
    "2️⃣1️⃣9️⃣-0️⃣9️⃣-9️⃣9️⃣9️⃣9️⃣",
    "SSN#219099999",
    "SSN-219099999",
    "Her SSN (social security number) is 219099999",
    "Social Security No. 219099999",
    "socialsecurity 219099999",
    "SSN 219-099999",
    "SSN 219-09.9999",
    "ssn on file: 219099999",
    "In this case 219-09-9999",
    "as part 219-09-9999 of it",
    "SSN ending 219-09-9999",
    "The number 219-09-9999",
    "SSN (219) 09-9999",
    "social security # is: 219-09-9999",
    "219-09-9999 is your order?",
    "my ss number 219099999",
    "S S N 219099999",
    "social 219-09-9999",
    "SSN:\n\n219099999",
    "SSN……219099999",
    "SSN - 219099999",
    'ssn="219099999"',
    "Soc Sec #: 219099999",
    "Social Security Card 219099999",
    "your social security card number is 219099999",
    "SSN/ITIN: 219099999",
    "last: 219-09-9999.",
    "219-09-9999/078-05-1123",
    "219—09—9999",
    "219\t09\t9999",
    "219-09 -9999",
    "SSN 219/09/9999",
    "SSN 219_09_9999",
    "SSN２１９０９９９９９",
    "s.s.n 219099999",
    "Her SSN: 219 099999",
    "Employee SSN# 219099999",
    "The SSN of Maria Lopez, who starts on Monday, is 219099999",
    "219099999 <- SSN",
    "219099999 (social security number)",
]
OTHERS = [
    "Call me at 415-555-0132 or (415) 555-0132.",
    "Toledo, OH 43604-1234",
    "Order 1219-09-99990 has shipped.",
    "Badge 219099999 is ready.",
    "Vacancy 009-15-0014",
    "vacancy number: 009-15-0014",
    "Order #219-09-9999",
    "PO-219-09-9999",
    "000-12-3456",
    "666-12-3456",
    "912-12-3456",
    "219-00-9999",
    "219-09-0000",
    "078051120",
    "693-09.4444",
    "0780511201",
    "Your SSN is on file. Order 219099999 has shipped.",
    "routing number 021000021",
    "call 219 09 9999",
    "+299 32 1234",
    "ZIP 436041234",
    "SSN on file; Toledo OH 43604-1234",
    "1-219-09-9999",
    "(219) 09 9999",
    "SSN 43604-1234",
    "Send SSN to 415-555-0132",
    "Your SSN is safe. Call 4155550132",
    "invoice no. 219 09 9999",
    "tracking # 1Z219099999",
    "Social Security office: 415-555-0132",
    "order id W-219-09-9999",
    "01 42 19 09 9999",
    "219-09-99990",
    "12/31/2024 09 9999",
    "Your SSN is required by 12/31/2024 at 10:30",
    "case number 219-09-9999",
    "Job ID 219-09-9999",
    "job #219-09-9999",
    "order: 219-09-9999",
    "Ref no 219 09 9999",
    "Order number is 219-09-9999",
    "Orders 219-09-9999 a",
    "UPS 1Z 219 09 9999 12",
    "Invoice 219.09.9999",
    "Call 219.09.9999",
    "tel 219 09 9999",
    "12-219-09-9999",
    "219-09-9999-12",
    "Lot 5, 12 09 9999",
    "ext 219099999",
    "IBAN DE89 3704 0044 0532 0130 00",
    "ISBN 978-3-16-148410-0",
    "4111 1111 1111 1111",
    "EIN 12-3456789",
    "08/12/2024 219",
    "2024-09-0999",
    "Part No. 219-09-9999",
    "VIN 1HGCM82633A004352",
    "Social Security Administration: 1-800-772-1213",
    "Work order 219-09-9999",
    "zip 43604 1234",
    "SSN is needed. Order number 219099999",
    "Phone (SSN line): 415 555 0132",
    "+44 20 7946 0018",
    "+1 219 099 9999",
    "219 099 9999",
    "00 219 09 9999",
    "DUNS 219099999",
    "Routing 021000021; SSN not needed",
    "SSN or EIN 219099999",
]


@pytest.mark.parametrize("text", NUMBERS)
def test_number_is_found_and_masked(text: str) -> None:
    assert holds_ssn(text)
    masked = mask_ssns(text)
    assert SSN_MASK in masked or masked == WITHHELD
    assert not holds_ssn(masked)


@pytest.mark.parametrize("text", OTHERS)
def test_other_number_is_none(text: str) -> None:
    assert not holds_ssn(text)
    assert mask_ssns(text) == text


def test_mask_leaves_the_rest_of_the_text() -> None:
    assert mask_ssns("é: 219\u200b-09-9999, then 415-555-0132") == f"é: {SSN_MASK}, then 415-555-0132"
    assert mask_ssns("219-09-9999 and 078-05-1123") == f"{SSN_MASK} and {SSN_MASK}"


@pytest.mark.parametrize(
    "piece", ["1", "1 ", "219099999 ", "order 219099999 ", "ssn ", "ssn....", "<", "&#", "é", "1."]
)
def test_long_hostile_text_is_read_once(piece: str) -> None:
    holds_ssn(piece * (50_000 // len(piece)))  # a pattern that backtracks would not come back


def test_short_texts_that_need_no_look_are_those_that_could_hold_none() -> None:
    for text in ("", "w-117", "21909999", "219-0999", "SSN 2190"):
        assert mask_ssns(text) == text
        assert not holds_ssn(text)
