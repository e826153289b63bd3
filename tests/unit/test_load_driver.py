"""The load driver against a service on a socket: everything planned is played, and what fails is counted."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import pytest

from lakehouse.adapters.kept_http import Target
from lakehouse.adapters.load_driver import Pace, Played, play
from lakehouse.errors import Unavailable
from lakehouse.load.mix import RequestKind, ScenarioKind
from lakehouse.load.plan import plan_forgetting, plan_scenarios, plan_starts
from tests.fakes.load_service import Broken, Service, serving, stage
from tests.servers import free_port_block


def played(service: Service, *, requests: int | None = 300, on: Any = None, **pace: Any) -> Played:
    with serving(service) as url:
        return play(
            plan_scenarios(on or stage(), seed=7, requests=requests), Target(url), Pace(**{"concurrency": 8, **pace})
        )


def test_plan_is_played_whole_and_counted() -> None:
    service, on = Service(), stage()
    done = played(service, on=on)
    planned = list(plan_scenarios(stage(), seed=7, requests=300))
    assert (done.tally.failures, done.tally.scenario_count) == (0, len(planned))
    assert done.tally.request_count == len(service.asked) == sum(scenario.requests for scenario in planned)
    for kind in ScenarioKind:
        line = done.tally.scenarios[kind]
        assert line.count == len(line.latencies_ms) == sum(scenario.kind is kind for scenario in planned)
        assert min(line.latencies_ms) > 0
    assert done.seconds > 0
    assert done.cpu_share > 0
    assert len(on.recorded) == done.tally.requests[RequestKind.RECORD].count
    with serving(service) as url:
        assert play(plan_forgetting(on), Target(url), Pace(4)).tally.failures == 0
    assert sum(ask.method == "DELETE" for ask, _ in service.asked) == len(on.recorded)


def test_paced_scenarios_all_begin_and_count_from_when_they_were_meant_to() -> None:
    service = Service()
    done = played(service, requests=None, starts=plan_starts(200, seed=7, duration_s=0.5), duration_s=0.5)
    assert (done.tally.failures, done.tally.scenario_count) == (0, 100)
    assert len(done.tally.start_lags_ms) == 100
    assert min(done.tally.start_lags_ms) >= 0


def test_pace_ends_with_the_requests_that_were_wanted() -> None:
    done = played(Service(), requests=20, starts=plan_starts(500, seed=7))
    assert 20 <= done.tally.request_count < 25


def test_service_that_cannot_keep_the_pace_shows_it_in_latencies_and_in_what_never_began() -> None:
    service, released = Service(), threading.Event()

    def hang(_: Any) -> Any:
        released.wait(60)
        raise Broken

    service.change = dict.fromkeys(RequestKind, hang)
    done = played(
        service, requests=None, concurrency=2, timeout_s=0.3, starts=plan_starts(100, seed=7, duration_s=0.3),
        duration_s=0.3,
    )  # fmt: skip
    released.set()
    tally = done.tally
    assert tally.scenario_count + tally.never_begun == 30
    assert tally.never_begun > 0
    assert tally.failures == 30
    assert all(latency >= 250 for line in tally.scenarios.values() for latency in line.latencies_ms)
    reasons = {detail for line in tally.requests.values() for detail in line.details.values()}
    assert reasons <= {"no answer in time", "the connection broke"}


def test_broken_connections_and_wrong_answers_are_failures_and_the_rest_goes_on() -> None:
    service, turn = Service(), itertools.count()

    def change(document: Any) -> Any:
        if (number := next(turn)) in (3, 4):
            raise Broken
        return (500, {}) if number == 5 else document

    service.change[RequestKind.VALIDATE_SMS] = change
    done = played(service, concurrency=2)
    sms = done.tally.requests[RequestKind.VALIDATE_SMS]
    assert sms.reasons == {"no answer": 2, "status 500, expected 200": 1}
    assert done.tally.scenarios[ScenarioKind.SMS].failures == done.tally.failures == 3
    assert done.tally.scenario_count == len(list(plan_scenarios(stage(), seed=7, requests=300)))


def test_run_without_end_is_over_when_its_time_is() -> None:
    for duration_s in (0.2, 2, 20):  # a machine that stalls may take all of a short one before anything begins
        done = played(Service(), requests=None, duration_s=duration_s)
        assert done.tally.failures == 0
        if done.tally.scenario_count:
            break
    assert done.tally.scenario_count > 0


def test_nobody_there_is_told_before_anything_is_played() -> None:
    url = f"http://127.0.0.1:{free_port_block(1)}"
    with pytest.raises(Unavailable, match=f"nothing answers at {url}"):
        play(plan_scenarios(stage(), seed=7, requests=10), Target(url), Pace(2))
