"""Failures: the platform's errors as Dagster's, at the edge of an asset.

Belongs here: which error is retried and what a failure shows. Not here: the errors (see lakehouse/errors.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dagster import DagsterInstance, Failure, MetadataValue, RetryRequested

from lakehouse.errors import LakehouseError, TimedOut, Unavailable

REFUSED_TAG = "lakehouse/refused"
"""A run tag: the input was refused with this status, so the same input need not be tried again."""
MAX_RETRIES = 2
RETRY_AFTER_S = 2.0
_SHOWN = 10


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
    except LakehouseError as error:
        if is_retried(error):
            raise RetryRequested(MAX_RETRIES, seconds_to_wait=RETRY_AFTER_S) from error
        if is_refusal(error):
            instance.add_run_tags(run_id, {REFUSED_TAG: str(error.status)})
        raise failure_of(error) from error


def failure_of(error: LakehouseError) -> Failure:
    """A failure that shows what the API would answer: status, title, detail and the error's fields."""
    document = _document(error)
    return Failure(
        description=f"{error.title}: {document.pop('detail')}",
        metadata={k: v if k in ("status", "title") else _shown(v) for k, v in document.items()},
        allow_retries=False,
    )


def failure_of_several(failed: Mapping[str, LakehouseError], *, of: int) -> Failure:
    """One failure for the partitions of a run that failed, while the others went through.

    Args:
        failed: The error of each, one at least.
        of: How many partitions the run had.
    """
    told = [f"{name}: {error.title}: {error.detail}" for name, error in failed.items()]
    more = [f"and {len(told) - _SHOWN} more, see the metadata"] if len(told) > _SHOWN else []
    others = ", the others are up to date" if len(told) < of else ""
    return Failure(
        description="\n".join([f"{len(told)} of {of} partitions failed{others}:", *told[:_SHOWN], *more]),
        metadata={name: MetadataValue.json(_document(error)) for name, error in failed.items()},
        allow_retries=False,
    )


def is_refusal(error: LakehouseError) -> bool:
    """Whether the input was refused, so that trying it again does not help."""
    return 400 <= error.status < 500


def is_retried(error: LakehouseError) -> bool:
    """Whether the store or a limit of time was in the way, so that trying again may help."""
    return isinstance(error, Unavailable | TimedOut)


def _document(error: LakehouseError) -> dict[str, Any]:
    fields = json.loads(json.dumps(error.fields, default=str))
    return {"status": error.status, "title": error.title, "detail": error.detail, **fields}


def _shown(value: object) -> MetadataValue[Any]:
    if isinstance(value, dict | list):
        return MetadataValue.json(value)
    return MetadataValue.text(str(value))
