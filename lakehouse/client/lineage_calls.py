"""The call about lineage.

Belongs here: what is asked, typed for users. Not here: sending (see transport.py).
"""

from __future__ import annotations

from typing import Any

from lakehouse.client.call import Call, path_of, read_json


def get_lineage(of: str) -> Call[dict[str, Any]]:
    """Say where something comes from, held against the raw bytes, and what was made of its runs.

    Args:
        of: The id of a run, a sample, a chunk (`<sample>#<number>`), or a raw line (`raw/<stream>/dt=…/x.jsonl:17`).

    Raises:
        LakehouseApiError: 404 where nothing has this id.
    """
    return Call("GET", path_of("v1", "lineage", of), read_json)
