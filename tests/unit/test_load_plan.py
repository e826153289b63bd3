"""The load's plan: exact shares, the same for a seed, and checks that notice each kind of wrong answer."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from typing import Any

import pytest

from lakehouse.errors import BadInput
from lakehouse.load.crew import make_crew
from lakehouse.load.mix import BLOCK, REQUESTS, SHARES, RequestKind, ScenarioKind, read_mix
from lakehouse.load.plan import plan_forgetting, plan_scenarios, plan_starts
from lakehouse.load.scenarios import Stage
from lakehouse.load.steps import Ask, Scenario, Wrong
from tests.fakes.load_service import WORKERS, Service, crew, stage


def planned(seed: int = 7, *, count: int = 200, on: Stage | None = None) -> list[Scenario]:
    return list(itertools.islice(plan_scenarios(on or stage(seed), seed=seed), count))


def play(scenarios: list[Scenario], service: Service) -> list[str]:
    """Play scenarios; the reasons of those that failed."""
    failed = []
    for scenario in scenarios:
        try:
            ask = next(scenario.steps)
            while True:
                ask = scenario.steps.send(service.answer(ask))
        except StopIteration:
            continue
        except Wrong as wrong:
            failed.append(wrong.reason)
    return failed


def test_shares_are_those_of_the_mix_in_every_block() -> None:
    assert sum(SHARES.values()) == BLOCK
    assert [SHARES[kind] / BLOCK for kind in ScenarioKind] == [0.35, 0.15, 0.15, 0.15, 0.10, 0.10]
    found = [scenario.kind for scenario in planned(count=5 * BLOCK)]
    for start in range(0, len(found), BLOCK):
        assert Counter(found[start : start + BLOCK]) == SHARES


def test_same_seed_asks_the_same_and_another_one_other_things() -> None:
    def asked(seed: int) -> list[tuple[Ask, Any]]:
        service = Service()
        assert play(planned(seed), service) == []
        return service.asked

    assert asked(7) == asked(7)
    assert asked(7) != asked(8)


def test_what_is_asked_does_not_depend_on_the_order_in_which_scenarios_are_played() -> None:
    forth, back = Service(), Service()
    play(planned(count=60), forth)
    play(planned(count=60)[::-1], back)

    def bodies(service: Service) -> Counter[bytes]:
        return Counter(ask.body for ask, _ in service.asked)

    assert bodies(forth) == bodies(back)


def test_plan_ends_with_the_scenario_that_reaches_the_requests_wanted() -> None:
    service = Service()
    scenarios = list(plan_scenarios(stage(), seed=7, requests=100))
    play(scenarios, service)
    assert len(service.asked) == sum(scenario.requests for scenario in scenarios) >= 100
    assert sum(scenario.requests for scenario in scenarios[:-1]) < 100


def test_each_kind_makes_the_requests_it_says() -> None:
    for scenario in planned(count=40):
        service = Service()
        assert play([scenario], service) == []
        assert len(service.asked) == scenario.requests == REQUESTS[scenario.kind]


def test_right_service_fails_nothing_and_is_asked_everything() -> None:
    service = Service()
    assert play(planned(count=400), service) == []
    assert {ask.kind for ask, _ in service.asked} == set(RequestKind) - {RequestKind.FORGET}
    cold = [body["query"] for ask, body in service.asked if ask.kind is RequestKind.SEARCH_COLD]
    assert len(set(cold)) == len(cold)
    fills = [body["context"] for ask, body in service.asked if ask.kind is RequestKind.VALIDATE_FILL]
    assert {context["target_count"] for context in fills} == {1, 2, 3}
    wrong = [body for ask, body in service.asked if ask.kind is RequestKind.VALIDATE_EMAIL and "219-" in str(body)]
    assert wrong


def test_fills_name_workers_of_one_role_and_place_and_a_client_who_blocks_none_of_them() -> None:
    service = Service()
    play(planned(count=2000), service)
    by_id = {worker.worker_id: worker for worker in WORKERS}
    for ask, body in service.asked:
        if ask.kind is RequestKind.VALIDATE_FILL and "phantom" not in str(body):
            context, ids = body["context"], [fill["candidate_id"] for fill in body["artifact"]["fills"]]
            assert {by_id[one].role for one in ids} == {context["role"]}
            assert not {(context["client_id"], one) for one in ids} & set(crew().blocked)
            assert len(set(ids)) == len(ids) == context["target_count"]


def _edit(**changes: Any) -> Any:
    return lambda document: {**document, **changes}


def _results(change: Any) -> Any:
    return lambda document: {**document, "results": change(document["results"])}


def _each(**changes: Any) -> Any:
    return _results(lambda results: [{**result, **changes} for result in results])


@pytest.mark.parametrize(
    ("kind", "change", "reason"),
    [
        (RequestKind.SEARCH, lambda _: (503, {"detail": "later"}), "status 503, expected 200"),
        (RequestKind.SEARCH, lambda _: b"<html>", "an answer of another shape"),
        (RequestKind.SEARCH, _edit(results=None), "an answer of another shape"),
        (RequestKind.SEARCH, _edit(query="another"), "the answer is to another query"),
        (RequestKind.SEARCH, _edit(results=[]), "there are no results"),
        (RequestKind.SEARCH, _results(lambda r: [*r, {**r[0], "id": "y"}]), "there are more results than wanted"),
        (RequestKind.SEARCH, _results(lambda r: [*r[:9], r[0]]), "a result comes twice"),
        (RequestKind.SEARCH, _results(lambda r: r[::-1]), "results are not sorted by score"),
        (RequestKind.SEARCH, _each(metadata={"role": "Nurse", "state": "OH"}), "a result is against the filter"),
        (RequestKind.SEARCH, _each(metadata={}), "a result is against the filter"),
        (RequestKind.SEARCH_EXCLUDING, _results(lambda r: [{**r[0], "id": "x0"}]), "an excluded id came back"),
        (RequestKind.SEARCH_RECORDED, _results(lambda r: r[1:]), "a recorded answer is not among the results"),
        (
            RequestKind.SEARCH_RECORDED,
            _results(lambda r: [*r[1:], r[0] | {"score": 0}]),
            "a recorded answer does not rank first",
        ),
        (RequestKind.SEARCH_RECORDED, _each(playbook=None), "a recorded answer is not lifted"),
        (RequestKind.SEARCH_RECORDED, _each(playbook={"boost": -0.5}), "a recorded answer is not lifted"),
        (RequestKind.VALIDATE_EMAIL, lambda _: (422, {"Policy": {"reason": ""}}), "status 422, expected 200"),
        (RequestKind.VALIDATE_EMAIL, lambda _: (200, {"findings": []}), "status 200, expected 422"),
        (RequestKind.VALIDATE_FILL, lambda _: (200, {"findings": []}), "status 200, expected 422"),
        (RequestKind.VALIDATE_SMS, lambda _: (422, {"Policy": {"reason": ""}}), "an error other than Schema"),
        (
            RequestKind.VALIDATE_SMS,
            lambda _: (422, {"Schema": {"field": "to", "reason": ""}}),
            "a Schema error of another field than body",
        ),
        (
            RequestKind.VALIDATE_EMAIL,
            lambda _: (422, {"Policy": {"reason": "no"}}),
            "a Policy error without the words 'Social Security'",
        ),
        (RequestKind.VALIDATE_EMAIL, lambda _: (200, {"ok": True}), "an answer of another shape"),
        (RequestKind.RECORD, lambda _: (507, {}), "status 507, expected 200"),
        (RequestKind.RECORD, lambda _: {"merged": False}, "an answer of another shape"),
    ],
)
def test_wrong_answer_is_noticed(kind: RequestKind, change: Any, reason: str) -> None:
    service = Service()
    service.change[kind] = change
    assert reason in play(planned(count=200), service)


def test_repeated_search_with_another_answer_is_noticed() -> None:
    service, turn = Service(), itertools.count()
    service.change[RequestKind.SEARCH_REPEATED] = _results(lambda results: results[next(turn) % 2 :])
    failed = play(planned(count=BLOCK), service)
    assert failed == ["the same search has another answer"] * SHARES[ScenarioKind.REPEAT]


def test_distinct_queries_and_what_caches_served_are_known() -> None:
    service, on = Service(), stage()
    play(planned(count=400, on=on), service)
    asked = {body["query"] for ask, body in service.asked if ask.path.endswith("/search")}
    cold = sum(ask.kind is RequestKind.SEARCH_COLD for ask, _ in service.asked)
    assert len(asked) == cold + len(on.asked_again)
    assert cold == 400 * (SHARES[ScenarioKind.SEARCH_EMAIL] + SHARES[ScenarioKind.RECORD_AGAIN]) / BLOCK
    assert on.caches[RequestKind.SEARCH_COLD].answers == 0 < on.caches[RequestKind.SEARCH_COLD].told == cold
    repeated = on.caches[RequestKind.SEARCH_REPEATED]
    assert repeated.told * 4 / 5 <= repeated.answers < repeated.told


def test_mix_of_ones_own_has_exactly_its_shares() -> None:
    shares = read_mix("search_email=35, sms=10")
    assert shares == {ScenarioKind.SEARCH_EMAIL: 7, ScenarioKind.SMS: 2}
    plan = plan_scenarios(stage(), seed=7, shares=shares)
    assert Counter(scenario.kind for scenario in itertools.islice(plan, 90)) == {
        ScenarioKind.SEARCH_EMAIL: 70, ScenarioKind.SMS: 20,
    }  # fmt: skip
    assert read_mix("repeat=1,sms=0") == {ScenarioKind.REPEAT: 1}
    assert read_mix(",".join(f"{kind.name.lower()}={share * 5}" for kind, share in SHARES.items())) == SHARES


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "'' is not a share of the mix"),
        ("sms", "'sms' is not a share of the mix"),
        ("mail=1", "names are search_email, fill_record, exclude, repeat, sms, record_again"),
        ("sms=1,sms=2", "'sms' comes twice"),
        ("sms=-1", "'-1' is not a weight of 'sms'"),
        ("sms=1.5", "'1.5' is not a weight"),
        ("sms=1001", "'1001' is not a weight"),
        ("sms=²", "'²' is not a weight"),
        ("sms=0,repeat=0", "all weights of the mix are zero"),
    ],
)
def test_mix_that_cannot_be_played_is_refused(text: str, told: str) -> None:
    with pytest.raises(BadInput, match=re.escape(told)):
        read_mix(text)


def test_what_a_run_recorded_is_forgotten_and_what_it_merged_into_is_not() -> None:
    service, on = Service(), stage()
    turn = itertools.count()
    service.change[RequestKind.RECORD] = lambda document: {**document, "merged": next(turn) % 2 == 1}
    play(planned(on=on), service)
    made = [ask for ask, _ in service.asked if ask.kind is RequestKind.RECORD]
    assert 0 < len(on.recorded) <= len(made) / 2 + 1
    later = Service()
    assert play(list(plan_forgetting(on)), later) == []
    assert [ask.path for ask, _ in later.asked] == [f"/v1/matrix/playbooks/{one}" for one in on.recorded]
    assert {ask.method for ask, _ in later.asked} == {"DELETE"}


def test_starts_are_one_in_each_interval_and_the_same_for_a_seed() -> None:
    starts = list(plan_starts(450, seed=7, duration_s=2))
    assert len(starts) == 900
    assert [int(at * 450) for at in starts] == list(range(900))
    assert starts == list(plan_starts(450, seed=7, duration_s=2)) != list(plan_starts(450, seed=8, duration_s=2))
    assert len(list(itertools.islice(plan_starts(10, seed=1), 50))) == 50


def test_client_for_is_never_one_who_blocks() -> None:
    everywhere = make_crew(WORKERS[:1], [(f"C-{number:04d}", "0") for number in range(1, 41)])
    assert everywhere.client_for(WORKERS[:1], 3) == "C-unblocked"
    assert crew().client_for([WORKERS[1]], 0) == "C-0002"
    assert crew().client_for([WORKERS[1], WORKERS[4]], 0) == "C-0003"
