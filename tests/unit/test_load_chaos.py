"""The ledger of a load under faults: each kind of loss and of doubling is told, and nothing else."""

from __future__ import annotations

import itertools
import json

import orjson
import pytest

from lakehouse.load.chaos import MARK_FIELD, PLAN, Fault, Ledger, Stored, losses, mark_artifact, witnessed
from lakehouse.load.mix import RequestKind
from lakehouse.load.plan import plan_scenarios
from lakehouse.load.steps import Reply, Wrong
from tests.fakes.load_service import Service, stage


def play(count: int = 60) -> tuple[Ledger, list[str]]:
    """A ledger of scenarios that a right service answered, and the bodies of its validations."""
    ledger, service, bodies = Ledger("m"), Service(), []
    for scenario in itertools.islice(witnessed(plan_scenarios(stage(), seed=7), ledger), count):
        ask = next(scenario.steps)
        try:
            while True:
                if ask.path == "/v1/validate":
                    bodies.append(ask.body.decode())
                ask = scenario.steps.send(service.answer(ask))
        except StopIteration:
            continue
        except Wrong as wrong:
            pytest.fail(wrong.reason)
    return ledger, bodies


def stored_of(ledger: Ledger) -> Stored:
    """What a platform stores that loses nothing."""
    stored = Stored()
    for n, mark in enumerate(sorted(ledger.acknowledged)):
        text = json.dumps({MARK_FIELD: mark, "body": "x"}, separators=(",", ":"))
        stored.read_line({"run_id": f"v-{n}", "input_text": text})
    for n, entry in enumerate(sorted(ledger.entries)):
        stored.read_line({"run_id": f"p-{n}", "action": "record", "merged": False, "playbook_id": entry})
        stored.read_operation({"op_id": f"o-{n}", "op": "record", "payload": {"playbook_id": entry}})
    return stored


def test_witness_marks_every_validation_and_notes_what_was_acknowledged() -> None:
    ledger, bodies = play()
    marks = [orjson.loads(body)["artifact"][MARK_FIELD] for body in bodies]
    assert len(marks) > 20
    assert set(marks) == ledger.asked == ledger.acknowledged
    assert ledger.entries
    stored = stored_of(ledger)
    stored.read_operation({"void": True, "format_version": 1})  # a place that was closed
    assert losses(ledger, stored) == []


def test_wrong_answer_reaches_whoever_plays() -> None:
    ledger = Ledger("m")
    scenario = next(witnessed(plan_scenarios(stage(), seed=7), ledger))
    next(scenario.steps)
    with pytest.raises(Wrong, match="status 500"):
        scenario.steps.send(Reply(500, b"{}"))
    assert ledger.refused == 1


def test_request_without_an_answer_is_neither_acknowledged_nor_lost() -> None:
    ledger, _ = play()
    ledger.next_mark()
    assert losses(ledger, stored_of(ledger)) == []


def test_each_loss_and_each_doubling_is_told() -> None:
    ledger, _ = play()
    mark, entry = min(ledger.acknowledged), min(ledger.entries)
    text = f'{{"{MARK_FIELD}":"{mark}"}}'

    stored = stored_of(ledger)
    del stored.marks[mark]
    assert losses(ledger, stored) == [f"1 acknowledged validations have no line, such as {mark}"]

    stored = stored_of(ledger)
    stored.read_line({"run_id": "another", "input_text": text})
    assert losses(ledger, stored) == [f"1 validations have more than one line, such as {mark}"]

    stored = stored_of(ledger)
    stored.read_line({"run_id": "another", "input_text": f'{{"{MARK_FIELD}":"m-999999"}}'})
    assert losses(ledger, stored) == ["1 lines are of validations that nobody asked for, such as m-999999"]

    stored = stored_of(ledger)
    stored.remembered.discard(entry)
    assert losses(ledger, stored) == [f"1 acknowledged playbook entries are not in the memory log, such as {entry}"]

    stored = stored_of(ledger)
    stored.read_line({"run_id": "v-0"})
    assert losses(ledger, stored) == ["1 run ids are in more than one line, such as v-0"]

    stored = stored_of(ledger)
    stored.read_operation({"op_id": "o-0", "op": "retire"})
    assert losses(ledger, stored) == ["1 operations are in the memory log more than once, such as o-0"]


def test_load_that_acknowledged_nothing_shows_nothing() -> None:
    assert losses(Ledger("m"), Stored()) == ["nothing was acknowledged, so that nothing is shown"]


def test_only_what_is_said_to_be_done_is_acknowledged() -> None:
    ledger = Ledger("m")
    for status in (200, 422, 503, 400):
        ledger.heard(ledger.next_mark(), RequestKind.VALIDATE_SMS, Reply(status, b"{}"))
    assert (ledger.acknowledged, ledger.refused) == ({"m-0", "m-1"}, 1)
    ledger.heard(None, RequestKind.RECORD, Reply(200, b'{"playbook_id":"p","merged":true}'))
    ledger.heard(None, RequestKind.RECORD, Reply(200, b"not json"))
    assert ledger.entries == set()


def test_mark_comes_first_among_the_fields_of_an_artifact() -> None:
    artifact = orjson.loads(mark_artifact(b'{"kind":"sms","artifact":{"body":"b","to":"t"}}', "m-1"))["artifact"]
    assert sorted(artifact)[0] == MARK_FIELD


def test_every_fault_has_its_time() -> None:
    assert set(PLAN) == set(Fault)
    assert list(PLAN.values()) == sorted(PLAN.values())
    assert 0 < min(PLAN.values()) < max(PLAN.values()) < 1
