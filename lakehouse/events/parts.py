"""Parts: the files a stream is cut into, their names on disk and in the bucket, and when one is due.

Belongs here: pure rules on names, sizes and ages. Not here: the files (see lakehouse/adapters/event_spool.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime

PREFIX = "raw/"
_FILE = re.compile(
    r"(?P<stream>[a-z][a-z0-9_]{0,62})\.(?P<day>\d{4}-\d\d-\d\d)\.(?P<id>[0-9a-f-]{36})\.jsonl", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a line belongs: its stream, and the UTC day it was recorded."""

    stream: str
    day: date


@dataclass(frozen=True, slots=True)
class PartName:
    """A part's name, fixed when its file is made, so that shipping it twice writes one object.

    Args:
        place: Its stream and day.
        part_id: A UUIDv7: unique among writers, and sorts by time.
    """

    place: Place
    part_id: str

    @property
    def file_name(self) -> str:
        """Its name in the spool."""
        return f"{self.place.stream}.{self.place.day.isoformat()}.{self.part_id}.jsonl"

    @property
    def key(self) -> str:
        """Its key in the bucket (CONTRACTS.md section 1)."""
        return f"{PREFIX}{self.place.stream}/dt={self.place.day.isoformat()}/{self.part_id}.jsonl"


def parse_file_name(file_name: str) -> PartName | None:
    """The part that a spool's file is, or None for a file that is none."""
    found = _FILE.fullmatch(file_name)
    if found is None:
        return None
    try:
        day = date.fromisoformat(found["day"])
    except ValueError:
        return None
    return PartName(Place(found["stream"], day), found["id"])


def day_of(moment: datetime) -> date:
    """The UTC day of an aware time."""
    return moment.astimezone(UTC).date()


@dataclass(frozen=True, slots=True)
class RotationRule:
    """When a part is complete: at `part_bytes` or at `part_age_s`, whichever comes first."""

    part_bytes: int
    part_age_s: float

    def is_due(self, *, size_bytes: int, age_s: float) -> bool:
        """True for a part that is big or old enough to be shipped."""
        return size_bytes >= self.part_bytes or age_s >= self.part_age_s
