"""Numbers as options: checks that Typer's ranges do not make.

Belongs here: checks of numbers. Not here: the options (see the command modules).
"""

from __future__ import annotations

import math

import typer


def finite(value: float | None) -> float | None:
    """Refuse `nan` and `inf`, which pass every range."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter("must be a number that is finite")
    return value
