"""Ticks: whether the sensors that everything relies on are alive.

Belongs here: the age of the last tick of each sensor, the check that it is young. Not here: the sensors (see sensors/).
"""

# No postponed annotations here: Dagster reads the context class from the signature.

import time
from collections.abc import Mapping, Sequence

from dagster import AssetCheckExecutionContext, AssetCheckResult, DagsterInstance, asset_check

WATCHED = ("landing", "catalog", "run_failure")
MAX_AGE_S = 300.0


def tick_ages(instance: DagsterInstance, names: Sequence[str] = WATCHED) -> dict[str, float | None]:
    """Seconds since the last tick of each sensor, None for one that is off or has never ticked.

    `lakehouse doctor` and the check below both ask this; a sensor that reports failures cannot report its own death.
    """
    ages: dict[str, float | None] = dict.fromkeys(names)
    for state in instance.all_instigator_state():
        if state.name in ages and state.is_running:
            ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
            ages[state.name] = max(0.0, time.time() - ticks[0].timestamp) if ticks else None
    return ages


@asset_check(asset="landing")
def sensors_tick(context: AssetCheckExecutionContext) -> AssetCheckResult:
    """The landing, catalog and run-failure sensors have ticked in the last five minutes."""
    return judge_ticks(tick_ages(context.instance))


def judge_ticks(ages: Mapping[str, float | None]) -> AssetCheckResult:
    """Pass when every age is known and young."""
    late = [name for name, age in ages.items() if age is None or age > MAX_AGE_S]
    return AssetCheckResult(
        passed=not late,
        description=f"no young tick of {', '.join(late)}: start it in the UI, or restart the daemon" if late else None,
        metadata={name: -1.0 if age is None else round(age, 1) for name, age in ages.items()},
    )
