"""A load from start to end: what is there, the scenarios, the server's memory, forgetting what was recorded.

Belongs here: the order of things. Not here: options and output (see load_commands.py, load_tables.py), the mix (see
lakehouse/load/), HTTP and pace (see lakehouse/adapters/load_driver.py).
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass

import psutil

from lakehouse.adapters.kept_http import Target
from lakehouse.adapters.load_driver import Pace, play
from lakehouse.errors import Unavailable
from lakehouse.load.plan import make_stage, plan_forgetting, plan_scenarios, plan_starts
from lakehouse.load.scenarios import Stage
from lakehouse.settings import Settings
from lakehouse_cli.client import ApiClient
from lakehouse_cli.load_check import read_crew
from lakehouse_cli.load_tables import Report
from lakehouse_cli.remote import Remote
from lakehouse_cli.start import Installation


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What was asked for; `rate` is in scenarios a second, None for as fast as answers come."""

    concurrency: int
    duration_s: float | None
    requests: int | None
    rate: float | None
    seed: int
    corpus: str
    mode: str | None
    timeout_s: float
    keeps_playbooks: bool


def run_load(
    remote: Remote, options: LoadOptions, settings: Settings, *, tell: Callable[[str], None] = lambda _: None
) -> Report:
    """Play the load mix against a service.

    Args:
        remote: The service.
        options: What was asked for.
        settings: Of this installation, whose API's memory can be looked at.
        tell: Hears what is being done.

    Raises:
        NotFound: The service lacks what scenarios need; the message says which command makes it.
        Unavailable, ApiProblem: The service is not there, or refuses.
    """
    mark = secrets.token_hex(4)
    with ApiClient(remote.url, remote.token, timeout_s=max(options.timeout_s, 60.0)) as api:
        crew = read_crew(api, options.corpus)
    stage = make_stage(crew, corpus=options.corpus, seed=options.seed, mark=mark, mode=options.mode)
    headers = {"Content-Type": "application/json", "X-Task-Id": f"load-{mark}"}
    if remote.token is not None:
        headers["Authorization"] = f"Bearer {remote.token}"
    target = Target(remote.url, headers)
    tell(f"{len(crew.workers)} workers in {len(crew.groups)} groups; playing, Ctrl-C ends early")
    rss_before = server_rss_bytes(remote, settings)
    seed, rate, duration_s = options.seed, options.rate, options.duration_s
    played = play(
        plan_scenarios(stage, seed=seed, requests=options.requests),
        target,
        Pace(
            concurrency=options.concurrency,
            duration_s=duration_s,
            starts=None if rate is None else plan_starts(rate, seed=seed, duration_s=duration_s),
            timeout_s=options.timeout_s,
        ),
    )
    rss_after = server_rss_bytes(remote, settings)
    return Report(
        url=remote.url,
        options={**asdict(options), "mark": mark},
        played=played,
        rss_bytes=None if rss_before is None or rss_after is None else (rss_before, rss_after),
        recorded=len(stage.recorded),
        forgotten=0 if options.keeps_playbooks else _forget(stage, target, options, tell),
    )


def _forget(stage: Stage, target: Target, options: LoadOptions, tell: Callable[[str], None]) -> int:
    """Delete the playbook entries of the run; how many are gone."""
    if not stage.recorded:
        return 0
    tell(f"forgetting {len(stage.recorded):,} playbook entries")
    try:
        tally = play(plan_forgetting(stage), target, Pace(options.concurrency, timeout_s=options.timeout_s)).tally
    except Unavailable:
        return 0  # the report says how many stay
    return tally.request_count - tally.failures


def server_rss_bytes(remote: Remote, settings: Settings) -> int | None:
    """Resident memory of this installation's API and all its children, None of any other service."""
    record = Installation(settings).table.alive("api") if remote.is_own else None
    if record is None:
        return None
    with contextlib.suppress(psutil.Error):
        api = psutil.Process(record.pid)
        return sum(process.memory_info().rss for process in [api, *api.children(recursive=True)])
    return None
