"""A load from start to end: what is there, the scenarios, the server's memory, forgetting what was recorded.

Belongs here: the order of things. Not here: options and output (see load_commands.py, load_tables.py), the mix (see
lakehouse/load/), HTTP and pace (see lakehouse/adapters/load_driver.py).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field

from lakehouse.adapters.kept_http import Target
from lakehouse.adapters.load_driver import Pace, play
from lakehouse.adapters.process_meter import ProcessMeter
from lakehouse.counted import counted
from lakehouse.errors import Unavailable
from lakehouse.events.load_tag import load_task
from lakehouse.load.mix import SHARES, ScenarioKind
from lakehouse.load.plan import make_stage, plan_forgetting, plan_scenarios, plan_starts
from lakehouse.load.scenarios import Stage
from lakehouse.settings import Settings
from lakehouse_cli.client import ApiClient
from lakehouse_cli.load_check import read_crew
from lakehouse_cli.load_guard import require_no_real_data
from lakehouse_cli.load_processes import GENERATOR, processes_of
from lakehouse_cli.load_tables import Report
from lakehouse_cli.remote import Remote


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What was asked for.

    `rate` is in scenarios a second, None for as fast as answers come; `processes` are others to look at, as NAME=PID.
    """

    concurrency: int
    duration_s: float | None
    requests: int | None
    rate: float | None
    seed: int
    corpus: str
    mode: str | None
    timeout_s: float
    keeps_playbooks: bool
    shares: Mapping[ScenarioKind, int] = field(default_factory=lambda: SHARES)
    is_on_real_data: bool = False
    processes: tuple[str, ...] = ()


def run_load(
    remote: Remote, options: LoadOptions, settings: Settings, *, tell: Callable[[str], None] = lambda _: None
) -> Report:
    """Play the load mix against a service.

    Args:
        remote: The service.
        options: What was asked for.
        settings: Of this installation, whose processes can be looked at.
        tell: Hears what is being done.

    Raises:
        Conflict: The service holds real data, and nobody has said that it may be.
        NotFound: The service lacks what scenarios need; the message says which command makes it.
        Unavailable, ApiProblem: The service is not there, or refuses.
    """
    mark = secrets.token_hex(4)
    task = load_task(mark)
    # Before the service is asked anything, as a wrong process is a wrong option.
    watched = processes_of(remote, settings, options.processes)
    with ApiClient(remote.url, remote.token, timeout_s=max(options.timeout_s, 60.0), task_id=task) as api:
        if not options.is_on_real_data:
            require_no_real_data(api)
        crew = read_crew(api, options.corpus)
    stage = make_stage(crew, corpus=options.corpus, seed=options.seed, mark=mark, mode=options.mode)
    headers = {"Content-Type": "application/json", "X-Task-Id": task}
    if remote.token is not None:
        headers["Authorization"] = f"Bearer {remote.token}"
    target = Target(remote.url, headers)
    tell(f"{counted(len(crew.workers), 'worker')} in {counted(len(crew.groups), 'group')}; playing, Ctrl-C ends early")
    meter = ProcessMeter(watched, alone=frozenset({GENERATOR}))
    meter.start()
    seed, rate, duration_s = options.seed, options.rate, options.duration_s
    played = play(
        plan_scenarios(stage, seed=seed, requests=options.requests, shares=options.shares),
        target,
        Pace(
            concurrency=options.concurrency,
            duration_s=duration_s,
            starts=None if rate is None else plan_starts(rate, seed=seed, duration_s=duration_s),
            timeout_s=options.timeout_s,
        ),
    )
    metered = meter.stop()
    return Report(
        url=remote.url,
        options={**asdict(options), "processes": None, "mark": mark},
        played=played,
        stage=stage,
        processes=metered,
        metering_cpu_s=meter.own_cpu_s,
        forgotten=0 if options.keeps_playbooks else _forget(stage, target, options, tell),
    )


def _forget(stage: Stage, target: Target, options: LoadOptions, tell: Callable[[str], None]) -> int:
    """Delete the playbook entries of the run; how many are gone."""
    if not stage.recorded:
        return 0
    tell(f"forgetting {counted(len(stage.recorded), 'playbook entry')}")
    try:
        tally = play(plan_forgetting(stage), target, Pace(options.concurrency, timeout_s=options.timeout_s)).tally
    except Unavailable:
        return 0  # the report says how many stay
    return tally.request_count - tally.failures
