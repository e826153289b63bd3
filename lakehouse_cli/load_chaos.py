"""A load under faults: a stack of its own, the mix, each fault in its turn, and what is left of what was acknowledged.

Belongs here: the order of things. Not here: faults (see load_faults.py), reading what is stored (see load_stored.py),
the verdict (see lakehouse/load/chaos.py).
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lakehouse.adapters.kept_http import Target as HttpTarget
from lakehouse.adapters.load_driver import Pace, Played, play
from lakehouse.counted import counted
from lakehouse.errors import LakehouseError, Unavailable
from lakehouse.load.chaos import Ledger, lines_cut_off, losses, witnessed
from lakehouse.load.fault_plan import Fault, Planned, plan_faults
from lakehouse.load.plan import make_stage, plan_scenarios
from lakehouse.settings import load_settings
from lakehouse_cli.client import ApiClient
from lakehouse_cli.dagster_client import DagsterClient
from lakehouse_cli.load_check import read_crew
from lakehouse_cli.load_faults import Target, dataset_of, do_fault, table_of
from lakehouse_cli.load_stored import await_shipped, make_evidence, mistaken_for_evidence, read_stored, unbalanced
from lakehouse_cli.proof_stack import Stack, clean_stack, run_command

CORPUS = "workers"
# A small spool, so that it can be filled during a load.
_SPOOL_BYTES = 8 << 20
_PART_AGE_S = 2.0
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


@dataclass(slots=True)
class _Done:
    """What the thread of faults has done: by name what was seen, what went wrong, when the last one began."""

    seen: dict[str, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    last_begun_s: float = 0.0


def _run(stack: Stack, duration_s: float, concurrency: int, seed: int, tell: Callable[[str], None]) -> Chaos:
    mark = secrets.token_hex(4)
    ledger, task = Ledger(mark), f"load-{mark}"
    with ApiClient(stack.url, stack.token, task_id=task) as api:
        crew = read_crew(api, CORPUS)
    stage = make_stage(crew, corpus=CORPUS, seed=seed, mark=mark)
    headers = {"Content-Type": "application/json", "X-Task-Id": task}
    target = HttpTarget(stack.url, {**headers, "Authorization": f"Bearer {stack.token}"})
    scenarios = witnessed(plan_scenarios(stage, seed=seed), ledger)
    plan, done = plan_faults(duration_s), _Done()
    faults = threading.Thread(target=_do_faults, args=(plan, _harmed(stack, task), ledger, done, tell))
    faults.start()
    try:
        played = play(scenarios, target, Pace(concurrency, duration_s=duration_s))
    finally:
        faults.join()
    wrong = [*done.wrong, *(f"{one.name}: not done" for one in plan if one.name not in done.seen)]
    if done.last_begun_s > played.seconds:
        wrong.append(f"the last fault began {done.last_begun_s - played.seconds:.0f} s after the load; give it longer")
    tell("playing on, without faults")
    after = play(scenarios, target, Pace(concurrency, duration_s=_AFTER_S))
    if after.tally.failures:
        wrong.append(f"{counted(after.tally.failures, 'scenario')} failed after the faults were over")
    tell("reading what is stored")
    with ApiClient(stack.url, stack.token) as api:
        await_shipped(api)
        stored = read_stored(api, ledger)
        days = make_evidence(stack, api)
        wrong += losses(ledger, stored)
        wrong += unbalanced(api, [dataset_of(one) for one in plan if one.fault is Fault.RUN])
        wrong += mistaken_for_evidence(days, stored)
    counts = {
        "validations_acknowledged": len(ledger.validated), "validation_lines": stored.validations.total(),
        "records_acknowledged": len(ledger.recorded), "records_in_the_log": stored.records.total(),
        "record_lines_cut_off": lines_cut_off(ledger, stored), "entries_served": len(stored.served),
        "lines_left_out_of_evidence": sum(day.get("left_out", 0) for day in days), "refused": ledger.refused,
    }  # fmt: skip
    return Chaos(done.seen, wrong, played, after, counts)


def _harmed(stack: Stack, task: str) -> Target:
    assert stack.folder is not None
    environ = {**stack.environ, "LAKEHOUSE_DATA_DIR": str(stack.folder / ".lakehouse")}
    dagster = DagsterClient(load_settings(environ, env_file=None))
    return Target(table_of(stack.folder), stack.url, stack.token or "", dagster, task)


def _do_faults(plan: list[Planned], target: Target, ledger: Ledger, done: _Done, tell: Callable[[str], None]) -> None:
    begun = time.monotonic()
    for planned in plan:
        time.sleep(max(0.0, begun + planned.at_s - time.monotonic()))
        done.last_begun_s = time.monotonic() - begun
        tell(f"{done.last_begun_s:.0f} s: {planned.fault}")
        try:
            done.seen[planned.name] = f"{done.last_begun_s:.0f} s: {do_fault(planned, target, ledger)}"
        except LakehouseError as error:
            done.wrong.append(f"{planned.name}: {error.detail}")
