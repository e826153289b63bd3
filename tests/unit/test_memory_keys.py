"""Names of streams say when they were made."""

from __future__ import annotations

import uuid

from lakehouse.clock import new_id, utc_now
from lakehouse.memory.keys import named_at


def test_stream_says_when_it_was_named_and_a_foreign_name_is_old() -> None:
    before = utc_now()
    named = named_at(new_id())
    assert abs((named - before).total_seconds()) < 5
    for foreign in ("w", "", str(uuid.UUID(int=0)), str(uuid.uuid4())):
        assert named_at(foreign).year == 1970
