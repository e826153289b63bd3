"""The plan: scenarios in their order, and when each begins where a pace is asked for. A seed gives the same plan.

Belongs here: order, ends, times. Not here: playing it (see lakehouse/adapters/load_driver.py).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping

from lakehouse.load import scenarios
from lakehouse.load.crew import Crew
from lakehouse.load.mix import REQUESTS, SHARES, ScenarioKind, kinds
from lakehouse.load.scenarios import Stage
from lakehouse.load.steps import Scenario, Steps
from lakehouse.load.texts import make_queries

# So many different queries are asked again and again.
QUERIES = 1000
_MAKERS: Mapping[ScenarioKind, Callable[[Stage, random.Random, int], Steps]] = {
    ScenarioKind.SEARCH_EMAIL: scenarios.search_email,
    ScenarioKind.FILL_RECORD: scenarios.fill_record,
    ScenarioKind.EXCLUDE: scenarios.search_excluding,
    ScenarioKind.REPEAT: scenarios.search_repeatedly,
    ScenarioKind.SMS: scenarios.validate_sms,
    ScenarioKind.RECORD_AGAIN: scenarios.record_and_search_again,
}


def make_stage(crew: Crew, *, corpus: str, seed: int, mark: str, mode: str | None = None) -> Stage:
    """What scenarios are played with; the same seed and crew give the same queries."""
    return Stage(crew, make_queries(crew, _source("queries", seed), QUERIES), corpus, mark, mode)


def plan_scenarios(
    stage: Stage, *, seed: int, requests: int | None = None, shares: Mapping[ScenarioKind, int] = SHARES
) -> Iterator[Scenario]:
    """Yield scenarios in their order.

    Args:
        stage: What they are played with.
        seed: The same seed and stage give the same scenarios.
        requests: Ends with the scenario that reaches so many requests; None: no end.
        shares: How often each kind comes in a block.
    """
    draw, planned = _source("scenarios", seed), 0
    for number, kind in enumerate(kinds(_source("kinds", seed), shares)):
        if requests is not None and planned >= requests:
            return
        planned += REQUESTS[kind]
        yield Scenario(kind, REQUESTS[kind], _MAKERS[kind](stage, draw, number))


def plan_forgetting(stage: Stage) -> Iterator[Scenario]:
    """Yield one scenario for each playbook entry that a run made: it is deleted."""
    for playbook_id in stage.recorded:
        yield Scenario(ScenarioKind.RECORD_AGAIN, 1, scenarios.forget(playbook_id))


def plan_starts(rate: float, *, seed: int, duration_s: float | None = None) -> Iterator[float]:
    """Yield the seconds after the start at which scenarios begin: one in each interval of `1 / rate`, anywhere in it.

    Args:
        rate: Scenarios a second.
        seed: The same seed gives the same times.
        duration_s: Ends before this; None: no end.
    """
    draw, number = _source("starts", seed), 0
    while True:
        at = (number + draw.random()) / rate
        if duration_s is not None and at >= duration_s:
            return
        yield at
        number += 1


def _source(what: str, seed: int) -> random.Random:
    return random.Random(f"{what}-{seed}")  # noqa: S311 - a plan, not secrets
