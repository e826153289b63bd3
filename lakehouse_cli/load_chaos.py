"""A load under faults: a stack of its own, the mix, each fault in its turn, and what is left of what was acknowledged.

Belongs here: the order of things, reading what is stored. Not here: faults (see load_faults.py), the verdict (see
lakehouse/load/chaos.py).
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson

from lakehouse.adapters.kept_http import Target as HttpTarget
from lakehouse.adapters.load_driver import Pace, Played, play
from lakehouse.errors import LakehouseError, TimedOut, Unavailable
from lakehouse.load.chaos import PLAN, Ledger, Stored, losses, witnessed
from lakehouse.load.plan import make_stage, plan_scenarios
from lakehouse.settings import load_settings
from lakehouse_cli.client import ApiClient
from lakehouse_cli.dagster_client import DagsterClient
from lakehouse_cli.load_check import read_crew
from lakehouse_cli.load_faults import DATASET, LANDED_ROWS, Target, do_fault, table_of
from lakehouse_cli.proof_stack import Stack, clean_stack, run_command

CORPUS = "workers"
# Little, so that it can be filled in the time of a load.
_SPOOL_BYTES = 8 << 20
_PART_AGE_S = 2.0
_SHIPPED_S = 120.0
_BUILD_S = 300.0
_AFTER_S = 5.0
_LEAST_S = 40.0


@dataclass(frozen=True, slots=True)
class Chaos:
    """What came of it; `wrong` is empty when all that was acknowledged is there once, and every fault was done."""

    seen: dict[str, str]
    wrong: list[str]
    played: Played
    after: Played
    counts: dict[str, int]

    def to_document(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "seconds": round(self.played.seconds, 1),
            "scenarios": self.played.tally.scenario_count,
            "scenarios_failed_meanwhile": self.played.tally.failures,
            "scenarios_after": self.after.tally.scenario_count,
            "scenarios_failed_after": self.after.tally.failures,
            "faults": self.seen,
            "counts": self.counts,
            "wrong": self.wrong,
        }


def run_chaos(
    root: Path, *, duration_s: float, concurrency: int, seed: int, tell: Callable[[str], None] = lambda _: None
) -> Chaos:
    """Play the load mix on a clean stack while its processes are killed, and hold what is stored against what was said.

    Args:
        root: The checkout.
        duration_s: Of the load; each fault has its place in it.
        concurrency: Connections.
        seed: Of the mix.
        tell: Hears what is being done.

    Raises:
        Unavailable: The stack does not start, or its corpus is not built.
    """
    with clean_stack(root, spool_max_bytes=_SPOOL_BYTES, spool_part_age_s=_PART_AGE_S) as stack:
        assert stack.folder is not None
        tell("building the corpus of workers")
        built = run_command(f"corpus build {CORPUS}", stack.folder, stack.environ, _BUILD_S)
        if built.returncode:
            raise Unavailable(f"the corpus {CORPUS!r} was not built: {(built.stdout + built.stderr)[-500:]}")
        return _run(stack, max(duration_s, _LEAST_S), concurrency, seed, tell)


def _run(stack: Stack, duration_s: float, concurrency: int, seed: int, tell: Callable[[str], None]) -> Chaos:
    mark = secrets.token_hex(4)
    ledger = Ledger(mark)
    with ApiClient(stack.url, stack.token) as api:
        crew = read_crew(api, CORPUS)
    stage = make_stage(crew, corpus=CORPUS, seed=seed, mark=mark)
    headers = {"Content-Type": "application/json", "X-Task-Id": f"load-{mark}"}
    target = HttpTarget(stack.url, {**headers, "Authorization": f"Bearer {stack.token}"})
    scenarios = witnessed(plan_scenarios(stage, seed=seed), ledger)
    seen: dict[str, str] = {}
    wrong: list[str] = []
    faults = threading.Thread(target=_do_faults, args=(_harmed(stack), ledger, duration_s, seen, wrong, tell))
    faults.start()
    try:
        played = play(scenarios, target, Pace(concurrency, duration_s=duration_s))
    finally:
        faults.join()
    wrong += [f"{fault}: not done" for fault in PLAN if fault.name.lower() not in seen]
    tell("playing on, without faults")
    after = play(scenarios, target, Pace(concurrency, duration_s=_AFTER_S))
    if after.tally.failures:
        wrong.append(f"{after.tally.failures} scenarios failed after the faults were over")
    tell("reading what is stored")
    with ApiClient(stack.url, stack.token) as api:
        _await_shipped(api)
        stored = _read_stored(api)
        wrong += losses(ledger, stored) + _unbalanced(api)
    counts = {
        "validations_acknowledged": len(ledger.acknowledged), "validation_lines": stored.marks.total(),
        "entries_acknowledged": len(ledger.entries), "entries_remembered": len(stored.remembered),
        "refused": ledger.refused,
    }  # fmt: skip
    return Chaos(seen, wrong, played, after, counts)


def _harmed(stack: Stack) -> Target:
    assert stack.folder is not None
    environ = {**stack.environ, "LAKEHOUSE_DATA_DIR": str(stack.folder / ".lakehouse")}
    dagster = DagsterClient(load_settings(environ, env_file=None))
    return Target(table_of(stack.folder), stack.url, stack.token or "", dagster)


def _do_faults(  # noqa: PLR0917 - arguments of a thread
    target: Target,
    ledger: Ledger,
    duration_s: float,
    seen: dict[str, str],
    wrong: list[str],
    tell: Callable[[str], None],
) -> None:
    begun = time.monotonic()
    for fault, share in PLAN.items():
        time.sleep(max(0.0, begun + share * duration_s - time.monotonic()))
        tell(f"{time.monotonic() - begun:.0f} s: {fault}")
        try:
            seen[fault.name.lower()] = do_fault(fault, target, ledger)
        except LakehouseError as error:
            wrong.append(f"{fault}: {error.detail}")


def _await_shipped(api: ApiClient) -> None:
    """Nothing waits in the spool any more: every line is in the bucket."""
    deadline = time.monotonic() + _SHIPPED_S
    while api.json("GET", "/health")["parts"]["event_log"]["depth_lines"]:
        if time.monotonic() > deadline:
            raise TimedOut(f"lines wait in the spool {_SHIPPED_S:.0f} s after the load; see `lakehouse doctor`")
        time.sleep(_PART_AGE_S / 4)


def _read_stored(api: ApiClient) -> Stored:
    stored = Stored()
    for stream in ("validations", "playbook_events"):
        for line in _lines(api, f"raw/{stream}/"):
            stored.read_line(line)
    for operation in _lines(api, "log/playbooks/"):
        stored.read_operation(operation)
    return stored


def _unbalanced(api: ApiClient) -> list[str]:
    """What is wrong with the receipts, and with the dataset whose run was killed."""
    wrong = []
    receipts = [orjson.loads(b"".join(_bytes(api, key))) for key in _keys(api, "receipts/", ".json")]
    for receipt in receipts:
        counts = receipt["counts"]
        parts = sum(counts[name] for name in ("new", "corrected", "duplicate", "quarantined"))
        if counts["in"] != parts:
            wrong.append(f"the receipt of run {receipt['run_id']} does not balance: {counts}")
    if not any(receipt["partition"] == DATASET and receipt["ok"] for receipt in receipts):
        wrong.append(f"no receipt says that {DATASET} was loaded")
    sql = f"SELECT count(*), count(DISTINCT id) FROM {DATASET}"
    rows = api.json("POST", "/v1/sql", json={"sql": sql})["rows"]
    if rows != [[LANDED_ROWS, LANDED_ROWS]]:
        wrong.append(f"{DATASET} has rows and different ids {rows}, {LANDED_ROWS} were dropped into its folder")
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
