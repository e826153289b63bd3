"""What is stored after a load under faults: lines, operations, entries, receipts, evidence, as the service gives them.

Belongs here: reading it back, and accounts that must add up. Not here: what is lost or doubled (see
lakehouse/load/chaos.py), the order of things (see load_chaos.py).
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from typing import Any
from urllib.parse import quote

import orjson

from lakehouse.counted import counted
from lakehouse.errors import TimedOut, Unavailable
from lakehouse.load.chaos import Ledger, Stored
from lakehouse_cli.client import ApiClient
from lakehouse_cli.load_faults import LANDED_ROWS
from lakehouse_cli.proof_stack import Stack, run_command

STREAMS = ("validations", "playbook_events")
_SHIPPED_S = 120.0
_MADE_S = 300.0
_LOOK_S = 0.5
# Most rows of a JSON answer of SQL.
_PAGE = 10_000
_PARTS = ("new", "corrected", "duplicate", "quarantined")


def await_shipped(api: ApiClient) -> None:
    """Wait until nothing is in the spool any more: every line is in the bucket.

    Raises:
        TimedOut: Lines stay where they are.
    """
    deadline = time.monotonic() + _SHIPPED_S
    while api.json("GET", "/health")["parts"]["event_log"]["depth_lines"]:
        if time.monotonic() > deadline:
            raise TimedOut(f"lines wait in the spool {_SHIPPED_S:.0f} s after the load; see `lakehouse doctor`")
        time.sleep(_LOOK_S)


def read_stored(api: ApiClient, ledger: Ledger) -> Stored:
    """Count every line, operation and entry."""
    stored = Stored()
    for stream in STREAMS:
        for line in _lines(api, f"raw/{stream}/"):
            stored.read_line(line)
    for operation in _lines(api, "log/playbooks/"):
        stored.read_operation(operation, ledger)
    after = ""
    while True:
        sql = f"SELECT playbook_id FROM playbooks WHERE playbook_id > '{after}' ORDER BY playbook_id LIMIT {_PAGE}"
        rows = api.json("POST", "/v1/sql", json={"sql": sql, "max_rows": _PAGE})["rows"]
        stored.served.update(str(row[0]) for row in rows)
        if len(rows) < _PAGE:
            return stored
        after = str(rows[-1][0])


def unbalanced(api: ApiClient, datasets: Collection[str]) -> list[str]:
    """What is wrong with the receipts, and with the datasets whose runs were killed."""
    wrong = []
    receipts = [orjson.loads(b"".join(_bytes(api, key))) for key in _keys(api, "receipts/", ".json")]
    for receipt in receipts:
        if not is_balanced(receipt["counts"]):
            wrong.append(f"the receipt of run {receipt['run_id']} does not balance: {receipt['counts']}")
    for dataset in datasets:
        if not any(receipt["partition"] == dataset and receipt["ok"] for receipt in receipts):
            wrong.append(f"no receipt says that {dataset} was loaded")
        sql = f"SELECT count(*), count(DISTINCT id) FROM {dataset}"
        rows = api.json("POST", "/v1/sql", json={"sql": sql})["rows"]
        if rows != [[LANDED_ROWS, LANDED_ROWS]]:
            wrong.append(f"{dataset} has rows and different ids {rows}, {LANDED_ROWS} were dropped into its folder")
    return wrong


def is_balanced(counts: Mapping[str, int]) -> bool:
    """Whether every line or row of a receipt is accounted for once."""
    return counts["in"] == sum(counts[name] for name in _PARTS) + counts.get("left_out", 0)


def make_evidence(stack: Stack, api: ApiClient) -> list[dict[str, Any]]:
    """The accounts of the days that a load wrote to, after evidence was made of them.

    Raises:
        Unavailable: It was not made.
    """
    assert stack.folder is not None
    made = run_command(f"materialize {' '.join(STREAMS)}", stack.folder, stack.environ, _MADE_S)
    if made.returncode:
        raise Unavailable(f"the evidence of the load was not made: {(made.stdout + made.stderr)[-500:]}")
    # Read from the tables, not from what the command printed: a schedule may have made a day before it.
    tables = {
        stream: orjson.loads(b"".join(_bytes(api, f"catalog/tables/evidence/{stream}.json"))) for stream in STREAMS
    }
    return [
        {"stream": stream, "day": day, **partition["counts"]}
        for stream, table in tables.items()
        for day, partition in table["partitions"].items()
    ]


def mistaken_for_evidence(days: Collection[Mapping[str, Any]], stored: Stored) -> list[str]:
    """What is wrong with evidence that was made of a load's lines: all are accounted for, and none became a record."""
    wrong = [f"the evidence of {one['stream']} {one['day']} does not balance: {dict(one)}" for one in days
             if not is_balanced(one)]  # fmt: skip
    came, lines = sum(one["in"] for one in days), stored.lines.total()
    if came != lines:
        wrong.append(f"evidence was made of {counted(came, 'line')}, {lines:,} are in the bucket")
    records = sum(one["in"] - one.get("left_out", 0) for one in days)
    if records:
        wrong.append(f"{counted(records, 'line')} of the load became evidence, or did not fit")
    return wrong


def _lines(api: ApiClient, prefix: str) -> Iterator[dict[str, Any]]:
    """Each JSON line of the objects under a prefix, one object in memory at a time."""
    for key in _keys(api, prefix, ".jsonl"):
        for line in b"".join(_bytes(api, key)).splitlines():
            yield orjson.loads(line)


def _bytes(api: ApiClient, key: str) -> Iterator[bytes]:
    with api.stream("GET", f"/v1/storage/{quote(key)}") as chunks:
        yield from chunks


def _keys(api: ApiClient, prefix: str, suffix: str) -> Iterator[str]:
    after: str | None = None
    while True:
        params = {"prefix": prefix, **({} if after is None else {"start_after": after})}
        page = api.json("GET", "/v1/storage", params=params)
        yield from (entry["key"] for entry in page["keys"] if entry["key"].endswith(suffix))
        if not page["truncated"]:
            return
        after = page["next"]
