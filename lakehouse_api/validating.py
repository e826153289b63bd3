"""One validation in the API: a fill waits for the roster to be loaded, and long texts are validated in a thread.

Belongs here: waiting and threads. Not here: the rules (see lakehouse/validation), lines (see routes/validation.py,
answers.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from lakehouse.validation import Verdict, validate

if TYPE_CHECKING:
    from lakehouse.adapters.roster import StoredRoster

_PATIENCE_S = 2.0
# Longer texts take milliseconds, during which the event loop would answer nobody else.
_LONG_CHARACTERS = 10_000


async def validate_artifact(
    kind: str, artifact: Mapping[str, Any], context: Mapping[str, Any] | None, *, roster: StoredRoster
) -> Verdict:
    """The verdict on one artifact.

    Raises:
        BadInput: The kind is unknown, or the artifact or the context is no object.
        Unavailable: A fill, and no workers to check it against.
    """
    if kind == "fill" and not roster.is_loaded:
        await _wait_for_roster(roster)
    if sum([len(value) for value in artifact.values() if isinstance(value, str)]) > _LONG_CHARACTERS:
        return await anyio.to_thread.run_sync(partial(validate, kind, artifact, context, roster=roster))
    return validate(kind, artifact, context, roster=roster)


async def _wait_for_roster(roster: StoredRoster) -> None:
    """Wait a moment while a new version of the workers is being read."""
    with anyio.move_on_after(_PATIENCE_S):
        while not roster.is_loaded:
            await anyio.sleep(0.01)
