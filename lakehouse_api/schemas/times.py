"""Times that a request names.

Belongs here: their type. Not here: what they select.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime


def to_utc(moment: datetime) -> datetime:
    """The same moment in UTC.

    Raises:
        ValueError: There is none: it is before year 1 or after year 9999.
    """
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("lies before the year 1 or after the year 9999 in UTC") from None


Moment = Annotated[AwareDatetime, AfterValidator(to_utc)]
