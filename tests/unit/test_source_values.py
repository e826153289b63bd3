"""Values of sources as JSON has them."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import orjson
import pytest

from lakehouse.retrieval.source_values import BadValue, json_value, read_value, split_value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("a", "a"),
        (True, True),
        (7, 7),
        (2**70, str(2**70)),
        (0.5, 0.5),
        (math.nan, None),
        (-math.inf, None),
        (Decimal("1.50"), 1.5),
        (Decimal("3"), 3),
        (Decimal("NaN"), None),
        (date(2026, 1, 2), "2026-01-02"),
        (time(3, 4), "03:04:00"),
        (datetime(2026, 1, 2, 3, 4), "2026-01-02T03:04:00"),  # noqa: DTZ001
        (datetime(2026, 1, 2, 3, 4, tzinfo=timezone(timedelta(hours=2))), "2026-01-02T01:04:00+00:00"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        (b"\x00\xff", "00ff"),
        (["a", None, math.nan], ["a", None, None]),
        ({"a": Decimal("1"), 2: (1, 2)}, {"a": 1, "2": [1, 2]}),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ],
)
def test_value_becomes_what_json_can_say(value: object, expected: object) -> None:
    found = json_value(value)
    assert found == expected
    assert type(found) is type(expected)
    orjson.dumps(found)


def test_text_is_split_into_its_elements() -> None:
    assert split_value("TIG, MIG,, blueprint reading ", ", ") == ["TIG", "MIG,", "blueprint reading"]
    assert split_value("a;b ; ;c", ";") == ["a", "b", "c"]
    assert split_value("", ",") == []
    assert split_value(None, ",") is None
    assert split_value(["a", "b, c"], ", ") == ["a", "b, c"]


def test_text_is_read_as_what_it_stands_for() -> None:
    assert read_value(" 7 ", "integer", "n") == 7
    assert read_value("7.5", "number", "n") == 7.5
    assert read_value("TRUE", "boolean", "n") is True
    assert read_value("", "number", "n") is None
    assert read_value(7, "text", "n") == "7"
    assert read_value(7.5, "integer", "n") == 7.5


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("x", "integer"),
        ("1.5", "integer"),
        ("1_000", "integer"),
        ("nan", "number"),
        ("1e999", "number"),
        ("yes", "boolean"),
    ],
)
def test_text_that_stands_for_nothing_is_refused(text: str, kind: str) -> None:
    with pytest.raises(BadValue, match=rf"'{text}' in 'n' is not of type {kind}"):
        read_value(text, kind, "n")  # type: ignore[arg-type]
