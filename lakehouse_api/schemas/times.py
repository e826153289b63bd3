"""Times that a request names.

Belongs here: their type. Not here: what they select.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Strict


def to_utc(moment: datetime) -> datetime:
    """The same moment in UTC.

    Raises:
        ValueError: There is none: it is before year 1 or after year 9999.
    """
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("lies before the year 1 or after the year 9999 in UTC") from None


def _as_text(value: Any) -> Any:
    """No number, also none in digits: of seconds and milliseconds, days and years nobody could say which is meant."""
    if isinstance(value, datetime) or (isinstance(value, str) and not value.strip().lstrip("+-").isdecimal()):
        return value
    raise ValueError('must be a time as text, ISO 8601 with an offset, such as "2026-03-01T10:00:00Z"')


# Not strict: to JSON a time is a text.
Moment = Annotated[AwareDatetime, Strict(False), BeforeValidator(_as_text), AfterValidator(to_utc)]
