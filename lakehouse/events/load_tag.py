"""The task that a load's requests belong to: by it their lines are known, and kept out of evidence.

Belongs here: the form of the tag. Not here: who is left out where (see lakehouse/adapters/evidence_sql.py), playing a
load (see lakehouse/load/).
"""

from __future__ import annotations

# No prefix alone: a task of somebody's own may well be called `load-test`.
LOAD_PREFIX = "load-"
LOAD_TASK = LOAD_PREFIX + "[0-9a-f]{8}"


def load_task(mark: str) -> str:
    """The `X-Task-Id` of a run with a mark of eight hexadecimal digits."""
    return f"{LOAD_PREFIX}{mark}"
