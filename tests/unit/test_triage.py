"""Triage: what asks for a person, how urgent it is, who decides, who comes second; filling twice changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson
import pytest

from lakehouse.adapters.triage_fill import FillReport, TriageFiller
from lakehouse.adapters.triage_queue import DECIDED, WAITING, TriageQueue, page_of
from lakehouse.catalog.manifest import BrokenManifest
from lakehouse.drift.freeze import OpenDrift
from lakehouse.errors import BadInput, Conflict, NotFound
from lakehouse.scoring.rule_file import default_rules
from lakehouse.triage.asks import (
    ask_of_drift,
    ask_of_review,
    ask_of_run,
    ask_of_sample,
    reasons_that_ask,
    rules_by_reason,
)
from lakehouse.triage.decision import Asked, decide, line_of, logged
from lakehouse.triage.item import Item
from tests.fakes.objects import MemoryObjects
from tests.unit.test_review import ANALYSIS, BLOCK, made

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
REASON = {rule.name: rule.reason for rule in default_rules().rules}


def row(run_id: str = "run-1", *rules: str, score: str = "needs_human_review", **given: Any) -> dict[str, Any]:
    """A row of `scored` whose rules held, the first one having decided."""
    decided = rules[0] if rules else "judge.sends_back"
    grounds = {rule.name: rule.kind for rule in default_rules().rules}
    return {
        "run_id": run_id, "stream": "chat_calls", "dt": date(2026, 3, 1), "task_id": "t", "score": score,
        "reasons": [REASON[name] for name in (rules or (decided,))], "rule": decided,
        "kind_of_ground": grounds[decided], "testimony": 1, "record_sha256": f"sha-{run_id}", **given,
    }  # fmt: skip


def item(run_id: str = "run-1", **given: Any) -> Item:
    found = ask_of_run(row(run_id, **given))
    assert found is not None
    return replace(found, created_at="2026-03-04T12:00:00.000000Z")


@pytest.mark.parametrize(
    ("rules", "score", "kind"),
    [
        (("judge.sends_back",), "needs_human_review", "needs_review"),
        (("heuristic.gives_up", "heuristic.unjudged"), "needs_human_review", "needs_review"),
        (("judges.contradict",), "needs_human_review", "reviewer_disagreement"),
        (("validator.passes", "judges.contradict"), "accepted", "reviewer_disagreement"),
        (("human.accepts", "human.others_disagree"), "accepted", "reviewer_disagreement"),
        (("validator.and_judge_contradict", "judge.rejects"), "needs_human_review", "validator_conflict"),
        (("validator.refuses", "judge.accepts"), "rejected", "validator_conflict"),
        (("validator.refuses", "judge.of_another_lineage_accepts"), "rejected", "validator_conflict"),
        (("validator.refuses", "judge.rejects"), "rejected", None),
        (("human.rejects", "validator.and_judge_contradict"), "rejected", None),
        (("reward.full", "judges.contradict"), "accepted", None),
        (("human.unread",), "needs_human_review", "needs_review"),
        (("outcomes.disputed",), "needs_human_review", "needs_review"),
        (("judge.accepts",), "partially_accepted", None),
    ],
)  # fmt: skip
def test_run_asks_by_what_holds_of_it(rules: tuple[str, ...], score: str, kind: str | None) -> None:
    found = ask_of_run(row("r", *rules, score=score))
    assert (None if found is None else found.kind) == kind


def test_every_reason_of_a_rule_is_one_rules() -> None:
    assert len(rules_by_reason()) == len(default_rules().rules)
    asking = {REASON[name] for name in ("validator.and_judge_contradict", "judges.contradict", "validator.refuses")}
    assert asking <= set(reasons_that_ask())


def test_priority_says_what_it_is_made_of() -> None:
    plain = item()
    assert (plain.priority, plain.priority_reasons) == (20, ("20: the rules could not decide",))
    urgent = ask_of_run(
        row("r", "validator.refuses", "judge.accepts", "heuristic.injection", score="rejected", testimony=4)
    )
    assert urgent is not None
    assert urgent.priority == 60 + 15 + 10 + 5 == sum(int(why.partition(":")[0]) for why in urgent.priority_reasons)
    silent = ask_of_run(row("r", "heuristic.silent", score="needs_human_review"))
    assert silent is not None
    assert (silent.priority, silent.priority_reasons[1]) == (20 - 10, "-10: its record holds no message of its agent")


def test_item_is_the_same_as_long_as_its_subject_is() -> None:
    assert item().item_id == item(testimony=9).item_id
    assert item().item_id != item(record_sha256="corrected").item_id
    sample = {"sample_id": "s1", "run_id": "run-1", "gate": "personal", "reason": "an id holds personal data"}
    first, second = ask_of_sample(sample, build="sft/a"), ask_of_sample(sample | {"sample_id": "s2"}, build="rag/b")
    assert first is not None
    assert second is not None
    assert first.item_id == second.item_id != item().item_id
    assert ask_of_sample(sample | {"gate": "length"}, build="sft/a") is None


def test_task_that_names_somebody_stays_in_evidence() -> None:
    assert item().subject.task_id == "t"
    assert item(task_id="ana.ruiz@example.com").subject.task_id is None
    assert item(task_id=None).subject.task_id is None


def test_drift_and_disputed_reviews_ask() -> None:
    drift = ask_of_drift(OpenDrift("scorer", date(2026, 3, 1), date(2026, 3, 2), ("1/all/psi/up",), "days"))
    assert (drift.kind, drift.subject.of) == ("drift", "drift/scorer/2026-03-01")
    assert "lakehouse drift acknowledge scorer" in drift.reasons[1]
    disputed = made(("gpt-4o", f"{ANALYSIS}VERDICT: accept"), ("kimi-k2", BLOCK)).to_document()
    [review] = ask_of_review(disputed)
    assert (review.subject.of, review.reasons) == (f"diff:{'0' * 64}#1", ("gpt-4o: accept", "kimi-k2: reject"))
    assert ask_of_review(made(("gpt-4o", BLOCK), ("kimi-k2", BLOCK)).to_document()) == []


def choose(choice: str, by: str = "dana", version: int = 1, **given: Any) -> Asked:
    return Asked(choice, by, version, **given)  # type: ignore[arg-type]


def test_second_person_is_told_who_decided_what() -> None:
    done = decide(item(), choose("accept", note="the judge misread it"), at=NOW)
    assert (done.state, done.version) == ("decided", 2)
    for second in (choose("reject", "bo"), choose("accept", "bo"), choose("reject"), choose("assign", assignee="bo")):
        with pytest.raises(Conflict, match=r"decided by dana at .*: accept$") as told:
            decide(done, second, at=NOW)  # why is free text, which needs the scope `pii`
        assert (told.value.fields["decided_by"], told.value.fields["decision"]) == ("dana", "accept")


def test_same_decision_by_the_same_person_is_the_same() -> None:
    done = decide(item(), choose("edit", output="Ana can."), at=NOW)
    assert decide(done, choose("edit", output="Ana can.", version=1), at=NOW) is done
    assert decide(logged(done), choose("edit", output="Ana can."), at=NOW).output is None
    with pytest.raises(Conflict):
        decide(done, choose("edit", output="Bo can."), at=NOW)


def test_version_that_was_not_looked_at_is_refused() -> None:
    with pytest.raises(Conflict, match="look at version 1") as told:
        decide(item(), choose("accept", version=2), at=NOW)
    assert told.value.fields["version"] == 1


def test_assigned_item_is_its_assignees() -> None:
    taken = decide(item(), choose("assign", assignee="bo"), at=NOW)
    assert (taken.state, taken.assignee, taken.version) == ("assigned", "bo", 2)
    assert decide(taken, choose("assign", assignee="bo"), at=NOW) is taken
    with pytest.raises(Conflict, match="assigned to bo"):
        decide(taken, choose("accept", version=2), at=NOW)
    with pytest.raises(Conflict, match="look at version 2; it is assigned to bo"):
        decide(taken, choose("accept"), at=NOW)
    assert decide(taken, choose("accept", "bo", 2), at=NOW).state == "decided"
    free = decide(taken, choose("assign", version=2, assignee=""), at=NOW)
    assert (free.state, free.assignee) == ("open", None)


@pytest.mark.parametrize(
    "given",
    [
        {"choice": "edit"}, {"choice": "edit", "output": " "}, {"choice": "accept", "output": "x"},
        {"choice": "assign"}, {"choice": "accept", "assignee": "bo"}, {"choice": "accept", "by": " "},
        {"choice": "accept", "note": "x" * 10_001}, {"choice": "edit", "output": "x" * 500_001},
    ],
)  # fmt: skip
def test_decision_that_makes_no_sense_is_refused(given: Mapping[str, Any]) -> None:
    with pytest.raises(BadInput):
        choose(**given)


def test_only_a_run_has_a_draft() -> None:
    drift = ask_of_drift(OpenDrift("scorer", date(2026, 3, 1), date(2026, 3, 2), ("1/all/psi/up",), "days"))
    with pytest.raises(BadInput, match="no draft"):
        decide(drift, choose("edit", output="x"), at=NOW)


def test_line_is_a_persons_word_on_the_run() -> None:
    line = line_of(decide(item(), choose("edit", output="Ana can.", note="she is free"), at=NOW))
    assert (line["review_of"], line["by"], line["is_human"], line["verdict"]) == ("run-1", "dana", True, "reject")
    assert (line["output"], line["notes"], line["task_id"]) == ("Ana can.", ["she is free"], "t")
    accepted = line_of(decide(item(), choose("accept"), at=NOW))
    assert (accepted["verdict"], "output" in accepted) == ("accept", False)
    assert line["run_id"] == accepted["run_id"] == f"triage/{item().item_id}"
    with pytest.raises(BadInput):
        line_of(item())


def test_document_is_read_as_it_was_written() -> None:
    done = decide(item(), choose("edit", output="Ana can."), at=NOW)
    assert Item.from_document(done.to_document(), key="k") == done
    for broken in ({}, {**done.to_document(), "format_version": 9}, {**done.to_document(), "state": "lost"}, 7):
        with pytest.raises(BrokenManifest, match="'k' is not an item"):
            Item.from_document(broken, key="k")


def test_pages_go_on_where_an_item_has_gone() -> None:
    items = sorted((item(f"r{n}", testimony=n) for n in range(7)), key=lambda one: one.order)
    first, following = page_of(items, limit=3, after=None)
    rest = [one for one in items if one is not first[-1]]
    second, last = page_of(rest, limit=9, after=following)
    assert ([*first, *second], last) == (items, None)
    for bad in ("x", "1_2", "1__zz", f"-1__{'0' * 32}", f"9999999__{'0' * 32}"):
        with pytest.raises(BadInput):
            page_of(items, limit=3, after=bad)


class Desk:
    """A queue in memory, its filler, and the lines that were written."""

    def __init__(self, most_open: int = 100) -> None:
        self.store = MemoryObjects()
        self.queue = TriageQueue(self.store)
        self.lines: list[dict[str, Any]] = []
        self.filler = TriageFiller(self.queue, lambda _, line: self.lines.append(dict(line)), most_open=most_open)

    def fill(self, *items: Item, at: datetime = NOW, is_dry: bool = False) -> FillReport:
        return self.filler.fill(items, at, is_dry=is_dry)


def test_filling_again_changes_nothing() -> None:
    desk = Desk()
    asks = [item(f"r{n}") for n in range(5)]
    dry = desk.fill(*asks, is_dry=True)
    assert (dry.added, desk.queue.items()) == ({"needs_review": 5}, [])
    first = desk.fill(*asks)
    assert (first.asked, first.added, first.waiting) == (5, {"needs_review": 5}, 5)
    before = desk.queue.items()
    again = desk.fill(*asks, at=NOW + timedelta(hours=1))
    assert (again.added, again.known, again.updated, again.withdrawn) == ({}, 5, 0, 0)
    assert desk.queue.items() == before


def test_what_asks_otherwise_is_changed_and_what_asks_no_more_goes_and_may_come_again() -> None:
    desk = Desk()
    desk.fill(item("a"), item("b"))
    report = desk.fill(item("a", testimony=5))
    assert (report.updated, report.withdrawn, report.waiting) == (1, 1, 1)
    [left] = desk.queue.items()
    assert (left.subject.of, left.version, left.priority) == ("a", 2, 30)
    with pytest.raises(NotFound, match="nothing asks"):
        desk.queue.get(item("b").item_id)
    assert desk.fill(item("a", testimony=5), item("b")).added == {"needs_review": 1}


def test_queue_has_room_for_the_most_urgent() -> None:
    desk = Desk(most_open=3)
    asks = [item(f"r{n}", testimony=3 if n > 6 else 1) for n in range(9)]
    report = desk.fill(*asks)
    assert (report.added, report.left_out, report.waiting) == ({"needs_review": 3}, 6, 3)
    assert {one.priority for one in desk.queue.items()} == {30, 20}
    [first, *_] = desk.queue.items()
    desk.queue.finish(desk.queue.change(first.item_id, lambda one: decide(one, choose("accept"), at=NOW)))
    report = desk.fill(*asks)
    assert (report.added, report.known, report.left_out, report.waiting) == ({"needs_review": 1}, 3, 5, 3)


def test_open_item_gives_its_place_to_a_more_urgent_one_and_comes_again_when_there_is_room() -> None:
    desk = Desk(most_open=2)
    desk.fill(item("a"), item("b"))
    [taken, _] = desk.queue.items()
    desk.queue.change(taken.item_id, lambda one: decide(one, choose("assign", assignee="dana"), at=NOW))
    asks = [item("a"), item("b"), item("c"), item("d", testimony=5), item("e", testimony=5)]
    dry = desk.fill(*asks, is_dry=True)
    report = desk.fill(*asks)
    assert replace(report, added=dry.added) == dry
    assert (report.added, report.known, report.withdrawn, report.left_out, report.waiting) == (
        {"needs_review": 1}, 1, 0, 3, 2,
    )  # fmt: skip
    [urgent, kept] = desk.queue.items()
    assert (urgent.priority, kept.item_id, kept.assignee) == (30, taken.item_id, "dana")
    assert desk.fill(*asks).added == {}
    [again] = [one for one in ("a", "b") if item(one).item_id != taken.item_id]
    assert desk.fill(item("a"), item("b")).added == {"needs_review": 1}
    assert item(again).item_id in {one.item_id for one in desk.queue.items()}


def test_decided_item_does_not_come_again_and_is_forgotten_late() -> None:
    desk = Desk()
    desk.fill(item("a"))
    done = desk.queue.change(item("a").item_id, lambda one: decide(one, choose("edit", output="x"), at=NOW))
    assert desk.queue.finish(done).output is None
    later = datetime.now(UTC) + timedelta(days=91)
    assert desk.fill(item("a"), at=later).known == 1
    assert [info.key for info in desk.store.list(DECIDED).objects] == [f"{DECIDED}{done.item_id}.json"]
    assert not desk.queue.add(item("a"))
    desk.fill(at=later)
    assert desk.store.list(DECIDED).objects == ()


def test_decision_that_was_interrupted_is_finished() -> None:
    desk = Desk()
    desk.fill(item("a"), item("b"))
    desk.queue.change(item("a").item_id, lambda one: decide(one, choose("edit", output="Ana can."), at=NOW))
    assert desk.fill(item("a"), item("b")).finished == 0  # whoever decides may still be at it
    report = desk.fill(item("a"), item("b"), at=NOW + timedelta(minutes=1))
    assert (report.finished, report.waiting) == (1, 1)
    [line] = desk.lines
    assert (line["output"], line["review_of"]) == ("Ana can.", "a")
    assert desk.fill(item("a"), item("b")).finished == 0
    assert len(desk.lines) == 1


def test_two_that_decide_at_once_are_one_that_wins() -> None:
    desk = Desk()
    desk.fill(item("a"))
    other = TriageQueue(desk.store)
    seen: list[int] = []

    def second(one: Item) -> Item:
        if not seen:  # somebody else comes in between
            other.change(one.item_id, lambda now: decide(now, choose("reject", "bo"), at=NOW))
        seen.append(one.version)
        return decide(one, choose("accept"), at=NOW)

    with pytest.raises(Conflict, match="decided by bo"):
        desk.queue.change(item("a").item_id, second)
    assert seen == [1, 2]


def test_damaged_item_is_named_and_hides_no_other() -> None:
    desk = Desk()
    desk.fill(item("a"), item("b"))
    desk.store.put(f"{WAITING}{item('a').item_id}.json", b"{")
    assert [one.subject.of for one in desk.queue.items()] == ["b"]
    with pytest.raises(BrokenManifest, match=item("a").item_id):
        desk.queue.get(item("a").item_id)
    for wrong in ({"priority": "high"}, {"priority": None}, {"created_at": 3}, {"subject": {"about": "run", "of": 3}}):
        document = orjson.dumps({**item("a").to_document(), **wrong})
        desk.store.put(f"{WAITING}{item('a').item_id}.json", document)
        assert [one.subject.of for one in desk.queue.items()] == ["b"]
    for bad in ("", "..", "a" * 31, "A" * 32):
        with pytest.raises(BadInput):
            desk.queue.get(bad)
