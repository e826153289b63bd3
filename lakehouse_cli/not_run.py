"""The exit code of commands that judge something when they could not judge it: 3, as 1 is a verdict there.

Belongs here: that error and its exit code. Not here: the edge that prints it (see main.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lakehouse.errors import LakehouseError

EXIT_NOT_RUN = 3


class NotRun(LakehouseError):
    """Nothing was judged, because a service is not there or a file is wrong."""


@contextmanager
def as_not_run() -> Iterator[None]:
    """Turn our errors into `NotRun`."""
    try:
        yield
    except LakehouseError as error:
        raise NotRun(error.detail, **error.fields) from error
