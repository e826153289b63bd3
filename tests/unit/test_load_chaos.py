"""The ledger of a load under faults: each kind of loss and of doubling is told, and nothing else."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from lakehouse.load.chaos import MARK_FIELD, Ledger, Stored, lines_cut_off, losses, mark_artifact, witnessed
from lakehouse.load.fault_plan import Fault, plan_faults
from lakehouse.load.mix import RequestKind
from lakehouse.load.plan import plan_scenarios
from lakehouse.load.steps import Reply, Wrong
from lakehouse_cli.load_stored import mistaken_for_evidence
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
    for n, mark in enumerate(sorted(ledger.validated)):
        text = json.dumps({MARK_FIELD: mark, "body": "x"}, separators=(",", ":"))
        stored.read_line({"run_id": f"v-{n}", "input_text": text})
    for n, (mark, entry) in enumerate(ledger.recorded.items()):
        stored.read_line({"run_id": f"p-{n}", "action": "record", "merged": n > 0, "playbook_id": entry})
        stored.read_operation(recorded(f"o-{n}", entry, mark), ledger)
    stored.served.update(set(ledger.recorded.values()))
    return stored


def recorded(op_id: str, entry: str, mark: str) -> dict[str, Any]:
    return {"op_id": op_id, "op": "record", "payload": {"playbook_id": entry, "tags": ["load", mark]}}


def test_witness_marks_every_write_and_notes_what_was_acknowledged() -> None:
    ledger, bodies = play()
    marks = [orjson.loads(body)["artifact"][MARK_FIELD] for body in bodies]
    assert len(marks) > 20
    assert set(marks) == ledger.validated
    assert ledger.recorded
    assert ledger.validated | ledger.recorded.keys() == ledger.asked
    stored = stored_of(ledger)
    stored.read_operation({"void": True, "format_version": 1}, ledger)  # a place that was closed
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
    stored = stored_of(ledger)  # and it may be there all the same
    stored.read_line({"run_id": "late", "input_text": f'{{"{MARK_FIELD}":"{ledger.next_mark()}"}}'})
    stored.read_operation(recorded("late", "an entry", ledger.next_mark()), ledger)
    assert losses(ledger, stored) == []


def _lose_validation(stored: Stored, ledger: Ledger) -> None:
    del stored.validations[min(ledger.validated)]


def _double_validation(stored: Stored, ledger: Ledger) -> None:
    stored.read_line({"run_id": "another", "input_text": f'{{"{MARK_FIELD}":"{min(ledger.validated)}"}}'})


def _invent_validation(stored: Stored, _: Ledger) -> None:
    stored.read_line({"run_id": "another", "input_text": f'{{"{MARK_FIELD}":"m-999999"}}'})


def _lose_record(stored: Stored, ledger: Ledger) -> None:
    """One that was merged into an entry which stays: no entry is missing, only what was said of it."""
    del stored.records[min(ledger.recorded)]


def _double_record(stored: Stored, ledger: Ledger) -> None:
    mark = min(ledger.recorded)
    stored.read_operation(recorded("o-again", ledger.recorded[mark], mark), ledger)


def _invent_record(stored: Stored, ledger: Ledger) -> None:
    stored.read_operation(recorded("o-again", "p1", "m-999999"), ledger)


def _lose_entry(stored: Stored, ledger: Ledger) -> None:
    del stored.served[min(ledger.recorded.values())]


def _double_entry(stored: Stored, ledger: Ledger) -> None:
    stored.served[min(ledger.recorded.values())] += 1


def _lose_line(stored: Stored, ledger: Ledger) -> None:
    stored.told[min(ledger.recorded.values())] -= 1


def _double_line(stored: Stored, ledger: Ledger) -> None:
    stored.told[min(ledger.recorded.values())] += 1


def _double_run(stored: Stored, _: Ledger) -> None:
    stored.read_line({"run_id": "v-0"})


def _double_operation(stored: Stored, ledger: Ledger) -> None:
    stored.read_operation({"op_id": "o-0", "op": "retire", "payload": {}}, ledger)


@pytest.mark.parametrize(
    ("plant", "told"),
    [
        (_lose_validation, "1 acknowledged validation has no line"),
        (_double_validation, "1 validation has more than one line"),
        (_invent_validation, "1 line is of validations that nobody asked for, such as m-999999"),
        (_lose_record, "1 acknowledged record is not in the memory log"),
        (_double_record, "1 record is in the memory log more than once"),
        (_invent_record, "1 operation is of records that nobody asked for, such as m-999999"),
        (_lose_entry, "1 acknowledged entry is not served"),
        (_double_entry, "1 entry is served more than once"),
        (_lose_line, "1 entry has fewer lines than acknowledged records"),
        (_double_line, "1 entry has more lines than records"),
        (_double_run, "1 run id is in more than one line, such as v-0"),
        (_double_operation, "1 operation is in the memory log more than once, such as o-0"),
    ],
)
def test_each_loss_and_each_doubling_is_told(plant: Callable[[Stored, Ledger], None], told: str) -> None:
    ledger, _ = play()
    stored = stored_of(ledger)
    plant(stored, ledger)
    (wrong,) = losses(ledger, stored)
    assert wrong.startswith(told)


def test_entry_that_became_part_of_another_is_served_by_it_and_lost_with_it() -> None:
    ledger, _ = play()
    stored = stored_of(ledger)
    first, second, *_ = sorted(set(ledger.recorded.values()))
    stored.read_operation({"op_id": "m", "op": "merge", "payload": {"playbook_id": first, "into": second}}, ledger)
    del stored.served[first]
    assert losses(ledger, stored) == []
    del stored.served[second]
    assert losses(ledger, stored) == [f"2 acknowledged entries are not served, such as {first}"]


@pytest.mark.parametrize(("killed_at", "is_told"), [(11.0, False), (9.5, False), (8.0, True), (13.0, True)])
def test_line_that_is_missing_is_told_unless_the_api_was_killed_just_then(killed_at: float, is_told: bool) -> None:
    times = iter([10.0, killed_at])
    ledger = Ledger("m", clock=lambda: next(times))
    mark = ledger.next_mark()
    ledger.heard(mark, RequestKind.RECORD, Reply(200, b'{"playbook_id":"p"}'))
    ledger.heard(ledger.next_mark(), RequestKind.VALIDATE_SMS, Reply(200, b"{}"))
    ledger.api_is_killed()
    stored = Stored(served=Counter(p=1), validations=Counter({"m-1": 1}))
    stored.read_operation(recorded("o", "p", mark), ledger)
    assert bool(losses(ledger, stored)) is is_told
    assert lines_cut_off(ledger, stored) == 1


def test_load_that_acknowledged_nothing_shows_nothing() -> None:
    assert losses(Ledger("m"), Stored()) == ["nothing was acknowledged, so that nothing is shown"]


def test_only_what_is_said_to_be_done_is_acknowledged() -> None:
    ledger = Ledger("m")
    for status in (200, 422, 503, 400):
        ledger.heard(ledger.next_mark(), RequestKind.VALIDATE_SMS, Reply(status, b"{}"))
    assert (ledger.validated, ledger.refused) == ({"m-0", "m-1"}, 1)
    for status, body in ((200, b'{"playbook_id":"p","merged":true}'), (200, b"not json"), (422, b"{}"), (503, b"{}")):
        ledger.heard(ledger.next_mark(), RequestKind.RECORD, Reply(status, body))
    assert (ledger.recorded, ledger.refused) == ({"m-4": "p"}, 2)


def test_mark_comes_first_among_the_fields_of_an_artifact() -> None:
    artifact = orjson.loads(mark_artifact(b'{"kind":"sms","artifact":{"body":"b","to":"t"}}', "m-1"))["artifact"]
    assert sorted(artifact)[0] == MARK_FIELD


@pytest.mark.parametrize(("duration_s", "rounds"), [(40, 1), (90, 1), (360, 2), (600, 3)])
def test_every_fault_has_its_time_in_each_round(duration_s: float, rounds: int) -> None:
    plan = plan_faults(duration_s)
    assert Counter(planned.fault for planned in plan) == dict.fromkeys(Fault, rounds)
    times = [planned.at_s for planned in plan]
    assert times == sorted(times)
    assert 0 < times[0] < times[-1] < duration_s
    assert len({planned.name for planned in plan}) == len(plan)


def test_evidence_of_a_load_must_account_for_every_line_and_hold_none() -> None:
    stored = Stored(lines=Counter(a=1, b=1, c=1))
    day = {"stream": "validations", "day": "2026-03-04", "in": 3, "new": 0, "corrected": 0, "duplicate": 0,
           "quarantined": 0, "out": 0, "left_out": 3}  # fmt: skip
    assert mistaken_for_evidence([day], stored) == []
    (unbalanced,) = mistaken_for_evidence([day | {"new": 1}], stored)
    assert "does not balance" in unbalanced
    taken = mistaken_for_evidence([day | {"new": 1, "left_out": 2}], stored)
    assert taken == ["1 line of the load became evidence, or did not fit"]
    assert mistaken_for_evidence([], stored) == ["evidence was made of 0 lines, 3 are in the bucket"]
