"""How entries of memory are tagged with the run that they were learned of.

Belongs here: the tag. Not here: who learns (see lakehouse/distillation/fold_back.py), who unlearns (see
lakehouse/client/fold_back_memory.py).
"""

from __future__ import annotations

_MOST_CHARACTERS = 256


def run_tag(run_id: str) -> str:
    """The tag of traces and playbook entries that came of a run; tags have a longest form."""
    return f"run:{run_id}"[:_MOST_CHARACTERS]
