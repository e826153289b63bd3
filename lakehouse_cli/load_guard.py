"""Refusing to put a load on a store that holds more than the sample and what earlier loads have left.

Belongs here: what the store holds, the refusal. Not here: what a load needs (see load_check.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from lakehouse.counted import counted
from lakehouse.errors import BadInput, Conflict
from lakehouse.load.scenarios import TAG
from lakehouse.sample.workers import COLUMNS, worker_batches
from lakehouse_cli.client import ApiClient, ApiProblem

_DATASETS = frozenset({"workers", "client_blocks"})
_CORPORA = frozenset({"workers"})
# None of these columns is personal, so a token without the scope `pii` can compare them.
_COMPARED = ("worker_id", "role", "city", "state", "status", "skills")
_MOST_COMPARED = 50
_MOST_NAMED = 5
_PAGE = 1000


def require_no_real_data(api: ApiClient) -> None:
    """Refuse a store that people may work with.

    Args:
        api: The service.

    Raises:
        Conflict: It holds other datasets, corpora or playbook entries than the sample's; all of them are named.
        BadInput: The service is another one.
    """
    try:
        seen = list(real_data(api))
    except (ValueError, KeyError, TypeError, AttributeError):  # another JSON, or none
        raise BadInput(f"{api.base_url} does not answer as a Lakehouse API does") from None
    if seen:
        raise Conflict(
            f"{api.base_url} holds data that is not the sample's: {'; '.join(seen)}. A load writes playbook entries"
            " that move what people find there while it runs; use a store of its own, or, if it may, --on-real-data"
        )


def real_data(api: ApiClient) -> Iterator[str]:
    """What the store holds besides the sample and what loads have left, in words."""
    datasets = [str(one["name"]) for one in api.json("GET", "/v1/catalog")["datasets"]]
    if others := sorted(set(datasets) - _DATASETS):
        yield f"datasets {_named(others)}"
    if "workers" in datasets and (worker := _other_worker(api)) is not None:
        yield f"a dataset 'workers' that is not the sample's (another {worker})"
    indexes = [str(one["name"]) for one in api.json("GET", "/v1/vectors/index")["indexes"]]
    if others := sorted(set(indexes) - _CORPORA):
        yield f"corpora {_named(others)}"
    if entries := _entries(api):
        yield f"{counted(entries, 'playbook entry')} that no load has made"
    if traces := (api.find("/v1/pathway/stats") or {}).get("traces"):
        yield counted(traces, "pathway trace")


def _other_worker(api: ApiClient) -> str | None:
    """The first of some workers who is not the sample's worker in that place, in words; None when all are."""
    columns = ", ".join(_COMPARED)
    sql = f"SELECT {columns} FROM workers ORDER BY worker_id LIMIT {_MOST_COMPARED}"
    try:
        rows = api.json("POST", "/v1/sql", json={"sql": sql})["rows"]
    except ApiProblem as problem:
        if problem.fields.get("status") != 400:
            raise
        return f"table: {problem.detail}"
    places = [COLUMNS.index(name) for name in _COMPARED]
    sample = islice((row for batch in worker_batches(len(rows)) for row in batch), len(rows))
    for found, expected in zip(rows, sample, strict=True):
        if [_text(value) for value in found] != [_text(expected[place]) for place in places]:
            return f"worker {_text(found[0])!r}"
    return None


def _entries(api: ApiClient) -> int:
    others, after = 0, ""
    while True:
        page = api.json("GET", "/v1/matrix/playbooks", params={"limit": _PAGE, "start_after": after})
        others += sum(TAG not in entry["tags"] for entry in page["playbooks"])
        if page.get("next") is None:
            return others
        after = page["next"]


def _text(value: Any) -> str:
    """A value as a CSV has it: the sample's empty texts are null in the dataset."""
    return "" if value is None else str(value)


def _named(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:_MOST_NAMED])
    return shown if len(names) <= _MOST_NAMED else f"{shown} and {len(names) - _MOST_NAMED} more"
