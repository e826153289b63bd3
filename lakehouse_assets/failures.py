"""Failures: the platform's errors as Dagster's, at the edge of an asset.

Belongs here: which error is retried and what a failure shows. Not here: the errors (see lakehouse/errors.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dagster import DagsterInstance, Failure, MetadataValue, RetryRequested

from lakehouse.errors import LakehouseError, TimedOut, Unavailable

REFUSED_TAG = "lakehouse/refused"
"""A run tag: the input was refused with this status, so the same input need not be tried again."""
MAX_RETRIES = 2
RETRY_AFTER_S = 2.0


@contextmanager
def mapped_errors(instance: DagsterInstance, run_id: str) -> Iterator[None]:
    """Turn `LakehouseError` into a retry where the store was away, into a failure with the error's fields elsewhere.

    Args:
        instance: Where the run lives; refused input is marked on the run for the landing sensor.
        run_id: The run.

    Raises:
        RetryRequested: The store or a limit of time was in the way; trying again may help.
        Failure: The input is wrong or contradicts the catalog; it is not tried again.
    """
    try:
        yield
    except (Unavailable, TimedOut) as error:
        raise RetryRequested(MAX_RETRIES, seconds_to_wait=RETRY_AFTER_S) from error
    except LakehouseError as error:
        if 400 <= error.status < 500:
            instance.add_run_tags(run_id, {REFUSED_TAG: str(error.status)})
        raise failure_of(error) from error


def failure_of(error: LakehouseError) -> Failure:
    """A failure that shows what the API would answer: status, title, detail and the error's fields."""
    fields = json.loads(json.dumps(error.fields, default=str))
    return Failure(
        description=f"{error.title}: {error.detail}",
        metadata={"status": error.status, "title": error.title, **{k: _shown(v) for k, v in fields.items()}},
        allow_retries=False,
    )


def _shown(value: object) -> MetadataValue[Any]:
    if isinstance(value, dict | list):
        return MetadataValue.json(value)
    return MetadataValue.text(str(value))
