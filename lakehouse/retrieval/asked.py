"""What a run was asked with, as its raw line keeps it, so that a replay can ask the same again.

    {"is_whole": true, "filter": …, "exclude_ids": […], "validate": {"kind", "context"}, "budget_tokens", "max_tokens"}

It holds the fields that the request set. As in all log lines, Social Security numbers are masked, and values that are
nested too deep or too long are cut. Where that changed anything, or the whole is too long for a line, `is_whole` is
false: such a run cannot be asked again as it was.

Belongs here: the form, bounds. Not here: which runs are asked again (see lakehouse/adapters/replay_tasks.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from lakehouse.validation.texts import loggable

FIELDS = ("filter", "exclude_ids", "validate", "budget_tokens", "max_tokens")
"""The fields that a task of a replay takes over, under the same names."""
IS_WHOLE = "is_whole"
MOST_BYTES = 32_768


def asked_with(**said: Any) -> dict[str, Any]:
    """What a line keeps.

    Args:
        said: Fields of the request, as JSON has them, by names of `FIELDS`; what is None or an empty list was not said.
    """
    given = {name: value for name, value in said.items() if value is not None and value != []}
    try:
        if len(orjson.dumps(given)) > MOST_BYTES:  # checked first, as masking walks through all of it
            return {IS_WHOLE: False}
    except orjson.JSONEncodeError:
        return {IS_WHOLE: False}
    kept = loggable(given)
    return {IS_WHOLE: kept == given, **kept}


def read_asked(document: object) -> dict[str, Any] | None:
    """What a run can be asked again with, by names of `FIELDS`; None where that is not known, or not all of it."""
    if not isinstance(document, Mapping) or document.get(IS_WHOLE) is not True:
        return None
    return {name: document[name] for name in FIELDS if document.get(name) is not None}
