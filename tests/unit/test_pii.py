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
    ],
)
def test_other_values_stay_open(name: str, value: str) -> None:
    assert not is_personal(name, [value] * 5)
