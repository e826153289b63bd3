"""Numbers as options: what a range does not say.

Belongs here: checks of numbers. Not here: the options (see the command modules).
"""

from __future__ import annotations

import math

import typer


def finite(value: float | None) -> float | None:
    """Refuse `nan` and `inf`, which no range keeps out."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter("must be a number that is finite")
    return value
