"""Which columns look personal: by name and value, whatever type the values came in."""

from __future__ import annotations

import pytest

from lakehouse.ingest.pii import is_personal


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ssn", "123456789"),
        ("SSN", "123-45-6789"),
        ("emails", "[a@x.org, b@y.org]"),
        ("email", "Jane Doe <jane@x.org>"),
        ("emails", "a@x.org;b@y.org"),
        ("contact", '{"email": "a@x.org"}'),
        ("contact", "[a@x.org]"),
        ("contact", "{'email': a@x.org}"),
        ("anything", "a@x.org"),
        ("phone", "5551234567"),
        ("mobile", "[15551234567]"),
        ("contact", "Jane Doe <jane@x.org>"),
        ("contact", "Jane <jane@x.org>; Bob <bob@y.org>"),
        ("contact", '"a@x.org"'),
        ("contact", '{"name": "Jane", "phones": [{"kind": "home", "phone": "5551234567"}]}'),
        ("contact", '{"who": {"ssn": 123456789}}'),
        ("contact", '{"who": {"home": "12 Main Street, Springfield"}}'),
        ("contact", "{'name': Jane, 'mobile': +4930123456}"),
        ("contact", "{home=555-123-4567}"),
        ("contact", "[555-123-4567, 555-987-6543]"),
        ("contact", "555-123-4567; 555-987-6543"),
        ("contact", '{"text": "' + "x " * 40 + '", "email": "a@x.org'),
        ("phones", "[5551234567, 5559876543]"),
        ("phone", "5551234567; 5559876543"),
        ("phone", "home: 555-123-4567"),
        ("phone", "+49 (0)30 1234567"),
        ("phone", "555 1234 x12"),
        ("phone_note", "call 555-123-4567"),
        ("email_note", "write to jane@x.org"),
        ("phoneNumber", "5551234"),
        ("cust_homephone2", "15551234567"),
    ],
)
def test_personal_values_are_found(name: str, value: str) -> None:
    assert is_personal(name, [value] * 5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("resume_text", "Write to a@x.org. Skilled welder, five years (MIG), [TIG]."),
        ("phone_type", "home"),
        ("notes", "{see x} meet bob at 5"),
        ("skills", "[MIG, TIG]"),
        ("hourly_rate", "20.5"),
        ("handle", "@bob"),
        ("phone_model", "Galaxy S2000"),
        ("phone_model", "2000 1200"),
        ("phone", "iPhone 15 Pro 256"),
        ("phone_note", "calls after 5, customer since 2019, 3 lines"),
        ("mobile_users", "5551234567"),
        ("mobile_users", "1520000"),
        ("automobile_price", "15551234"),
        ("headphones", "1000200030"),
        ("events", '[{"kind": "click", "count": 1234567890, "at": "2024-01-02T10:00:00"}]'),
        ("skills", "[5 years of welding, 3 years of MIG]"),
        ("sizes", "[1234567890, 2345678901]"),
        ("prices", '{"list": 19.99, "phone_plan": "S2000"}'),
    ],
)
def test_other_values_stay_open(name: str, value: str) -> None:
    assert not is_personal(name, [value] * 5)


@pytest.mark.parametrize(
    ("name", "is_marked"),
    [("phone", True), ("e-mail", True), ("ssn", True), ("phone_model", False), ("email_count", False), ("name", False)],
)
def test_column_without_values_is_personal_by_its_name(name: str, is_marked: bool) -> None:
    assert is_personal(name, ["", " "]) == is_marked


def test_few_keys_of_many_structures_decide_nothing_and_named_ones_soon_do() -> None:
    others = ['{"kind": "click"}'] * 9
    assert not is_personal("event", ['{"who": "a@x.org"}', *others])
    assert is_personal("event", ['{"email": "a@x.org"}'] * 3 + others)
