"""A wrong command line is exit code 2, as of every program: a name that none of a fixed list is counts as that.

Belongs here: turning our refusals into it. Not here: the edge for all others, exit code 1 (see main.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from lakehouse.errors import BadInput


@contextmanager
def as_usage_error(hint: str) -> Iterator[None]:
    """Turn what refuses an argument or option into a usage error that names it: `KIND`, `--stream`."""
    try:
        yield
    except BadInput as error:
        raise typer.BadParameter(error.detail, param_hint=hint) from None
