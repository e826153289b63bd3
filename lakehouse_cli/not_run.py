"""Commands that judge: "it could not be run" has an exit code of its own, since 1 is a verdict there.

Belongs here: that error and its exit code. Not here: the edge that prints it (see main.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lakehouse.errors import LakehouseError

EXIT_NOT_RUN = 3


class NotRun(LakehouseError):
    """What should have been judged was not: a service is not there, a file is wrong."""


@contextmanager
def as_not_run() -> Iterator[None]:
    """Errors of ours as `NotRun`."""
    try:
        yield
    except LakehouseError as error:
        raise NotRun(error.detail, **error.fields) from error
