"""Promotion without a store: comparisons, rules, verdicts, proposals, the watch."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from typing import Any

import numpy as np
import orjson
import pytest

from lakehouse.adapters.promotion_proposals import rivals_of
from lakehouse.answer.config import AnswerConfig
from lakehouse.errors import BadInput
from lakehouse.promotion.comparison import Run, compare, flip_p_value, summarize
from lakehouse.promotion.proposals import Observed, Serving, Tally, propose, twins_of
from lakehouse.promotion.rules import decide, default_rules, least_tasks, read_rules
from lakehouse.promotion.split import is_held_out, question_key
from lakehouse.promotion.watch import expectation_of, watch
from lakehouse.replay.verdict import decide_batch, runs_of, verdict_text
from lakehouse.retrieval.evaluation import Interval
from lakehouse.retrieval.search_config import SearchConfig
from tests.fakes.objects import MemoryObjects
from tests.unit.test_replay import batch_of

RULES = files("lakehouse.promotion").joinpath("rules.yaml").read_text("utf-8")


def runs(*right: bool | None, **changes: Any) -> dict[str, Run]:
    return {
        f"t{n}": Run(exact, None if exact is None else float(exact), cost_usd=0.0, latency_ms=10.0, **changes)
        for n, exact in enumerate(right)
    }


def verdict_of(mine: dict[str, Run], other: dict[str, Run], **facts: Any) -> tuple[str, str]:
    shared, proposals = facts.pop("shared_tasks", 0), facts.pop("proposals", 1)
    found = compare(("new", mine), ("old", other), measure="exact", shared_tasks=shared, proposals=proposals)
    decision = decide(default_rules().replay, {**found.facts, **facts}, version="1")
    return decision.verdict, decision.rule


def test_surely_better_is_promoted_and_surely_worse_rolled_back() -> None:
    good, bad = runs(*[True] * 40), runs(*[False] * 20, *[True] * 20)
    assert verdict_of(good, bad) == ("promote", "promote.better")
    assert verdict_of(bad, good) == ("roll_back", "roll_back.worse")
    assert verdict_of(good, good) == ("hold", "hold.few_differ")
    one_off = runs(*[True] * 39, False)
    assert verdict_of(good, one_off) == ("hold", "hold.few_differ")
    assert verdict_of(runs(*[True] * 20, *[False] * 20), runs(*[False] * 20, *[True] * 20)) == ("hold", "hold.unsure")


def test_few_tasks_that_differ_promote_nothing_though_the_interval_lies_above_0() -> None:
    every = runs(*[True] * 100)
    five, six = runs(*[False] * 5, *[True] * 95), runs(*[False] * 6, *[True] * 94)
    found = compare(("new", every), ("old", five), measure="exact")
    assert found.interval is not None
    assert found.interval.low > 0  # a percentile bootstrap of five that differ leaves them all out too rarely
    assert found.facts["differing"] == 5
    assert found.facts["p_value"] == pytest.approx(2 / 2**5)
    assert verdict_of(every, five) == ("hold", "hold.few_differ")
    assert verdict_of(every, six) == ("promote", "promote.better")


def test_proposals_that_share_their_tasks_must_be_the_surer_of_it() -> None:
    mine, other = runs(*[True] * 9, *[False] * 31), runs(*[False] * 8, *[True], *[False] * 31)
    assert verdict_of(mine, other, proposals=1) == ("promote", "promote.better")
    assert verdict_of(mine, other, proposals=6) == ("promote", "promote.better")
    assert verdict_of(mine, other, proposals=7) == ("hold", "hold.chance")
    found = compare(("new", mine), ("old", other), measure="exact", proposals=7)
    assert found.facts["p_value"] == pytest.approx(7 * 2 / 2**8)


def test_scores_are_tested_by_their_sizes() -> None:
    """Small losses on most tasks against large gains on some: the sign alone would say the opposite."""
    gains = [0.9] * 12 + [-0.05] * 14
    assert flip_p_value(gains) < 0.01
    assert flip_p_value(gains) == flip_p_value(gains)
    assert flip_p_value([]) == 1.0
    many = list(np.random.default_rng(3).normal(0.07, 1.0, size=1_001))
    assert flip_p_value(many) == pytest.approx(flip_p_value(many[1:]), abs=0.02)  # two ways to one number
    assert flip_p_value(many) < 0.2
    assert flip_p_value([0.5, -0.5]) == 1.0


def test_tests_of_equal_arms_are_rarely_sure() -> None:
    generator = np.random.default_rng(1)
    p_values = [flip_p_value(list(generator.normal(size=12))) for _ in range(100)]
    assert np.mean(np.array(p_values) <= 0.05) <= 0.1


def test_task_that_no_arm_can_be_asked_is_no_failure_of_the_candidate() -> None:
    good, bad = runs(*[True] * 40), runs(*[False] * 40)
    lost = {f"x{n}": Run(has_failed=True, is_unaskable=True) for n in range(9)}
    assert verdict_of(good | lost, bad | lost) == ("promote", "promote.better")
    assert compare(("new", good | lost), ("old", bad | lost), measure="exact").facts["unaskable"] == 9
    mine_alone = {f"x{n}": Run(True, 1.0) for n in range(9)}
    assert verdict_of(good | lost, bad | mine_alone) == ("hold", "hold.failures")


def test_few_tasks_shared_tasks_failures_cost_and_time_hold() -> None:
    good, bad = runs(*[True] * 40), runs(*[False] * 40)
    assert verdict_of(runs(*[True] * 29), bad) == ("hold", "hold.too_few_tasks")
    assert verdict_of(runs(), runs()) == ("hold", "hold.too_few_tasks")
    assert verdict_of(good, bad, shared_tasks=1) == ("hold", "hold.shared_tasks")
    failed = good | {f"x{n}": Run(has_failed=True) for n in range(4)}
    assert verdict_of(failed, bad) == ("hold", "hold.failures")
    dear = {task: Run(True, 1.0, cost_usd=3.0, latency_ms=10.0) for task in good}
    cheap = {task: Run(False, 0.0, cost_usd=1.0, latency_ms=10.0) for task in good}
    assert verdict_of(dear, cheap) == ("hold", "hold.dearer")
    slow = {task: Run(True, 1.0, cost_usd=0.0, latency_ms=400.0) for task in good}
    assert verdict_of(slow, bad) == ("hold", "hold.slower")


def test_milliseconds_more_hold_nothing() -> None:
    """One pause of the machine made 36 answers of five milliseconds take "three times as long"."""
    good, bad = runs(*[True] * 40), runs(*[False] * 40)
    paused = good | {"t0": Run(True, 1.0, cost_usd=0.0, latency_ms=2_000.0)}
    facts = compare(("new", paused), ("old", bad), measure="exact").facts
    assert (facts["latency_ratio"] or 0) > 3
    assert verdict_of(paused, bad) == ("promote", "promote.better")


def test_judge_alone_never_promotes() -> None:
    unknown = {f"t{n}": Run(latency_ms=1.0, cost_usd=0.0) for n in range(100)}
    sure = {"judged_tasks": 100.0, "judge_share": 1.0, "judge_agreement": 1.0}
    assert verdict_of(unknown, unknown, **sure) == ("hold", "hold.too_few_tasks")


LAST = "  - name: hold.unsure\n    when: always\n    verdict: hold"
PROMOTE = "when: {tasks: {gte: 30}, low: {gt: 0}, p_value: {lte: 0.05}, shared_tasks: {lte: 0}}"


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        (PROMOTE, "when: {judge_share: {gt: 0.5}}", "a judge alone never promotes"),
        ("tasks: {gte: 30}, low", "tasks: {gte: 0}, low", "a judge alone never promotes"),
        (" low: {gt: 0}, p_value: {lte", " p_value: {lte", "may be chance never promotes"),
        ("low: {gt: 0}, p_value: {lte", "low: {gt: -1}, p_value: {lte", "may be chance never promotes"),
        ("low: {gt: 0}, p_value: {lte", "low: {gte: 0}, p_value: {lte", "may be chance never promotes"),
        (", shared_tasks: {lte: 0}", "", "must be held out"),
        ("shared_tasks: {lte: 0}", "shared_tasks: {lte: 1}", "must be held out"),
        (" p_value: {lte: 0.05},", "", "must ask for p_value"),
        ("p_value: {lte: 0.05}", "p_value: {lte: 0.06}", "must ask for p_value"),
        (PROMOTE, "when: always", "only the last rule has always"),
        (PROMOTE, "when: {nope: {gt: 0}}", "'nope' is not a fact"),
        (PROMOTE, "when: {low: {over: 0}}", "'over' is not a comparison"),
        (PROMOTE, "when: {low: {gt: x}}", "'x' is not a number"),
        (PROMOTE, "when: {low: 3}", "must compare with a number"),
        ("name: promote.better", "name: better", "is not a name of a rule"),
        ("name: promote.better", "name: hold.slower", "is the name of a rule above"),
        ("verdict: promote\n", "verdict: maybe\n", "'maybe' is none of"),
        ("measure: exact", "measure: feeling", "'feeling' is none of exact, score"),
        (LAST, LAST.replace("verdict: hold", "verdict: promote"), "a judge alone never promotes"),
        ("hold\n    reason: outcomes are as expected", "promote\n    reason: x", "none of hold, roll_back"),
    ],
)  # fmt: skip
def test_rules_that_would_promote_too_easily_are_refused_with_their_line(old: str, new: str, part: str) -> None:
    assert old in RULES
    with pytest.raises(BadInput, match=rf"r\.yaml, line \d+: .*{part}"):
        read_rules(RULES.replace(old, new), name="r.yaml")


def test_all_that_is_wrong_in_rules_is_told_at_once() -> None:
    wrong = RULES.replace("measure: exact", "measure: feeling").replace("name: hold.slower", "name: slower")
    wrong = wrong.replace(PROMOTE, "when: {nope: {gt: 0}}")
    with pytest.raises(BadInput) as refused:
        read_rules(wrong, name="r.yaml")
    for line, part in zip(refused.value.detail.splitlines(), ("'feeling'", "'slower'", "'nope'"), strict=True):
        assert part in line


def test_least_tasks_are_those_of_the_rule_that_promotes() -> None:
    assert least_tasks(default_rules()) == 30
    more = RULES.replace("{tasks: {gte: 30}, low: {gt: 0}", "{tasks: {gt: 49.5}, low: {gte: 0.01}")
    assert least_tasks(read_rules(more, name="r.yaml")) == 50
    never = RULES.replace("verdict: promote", "verdict: hold")
    assert least_tasks(read_rules(never, name="r.yaml")) == 1


def test_verdict_is_written_with_its_interval_and_rule() -> None:
    rows = [
        {"arm": arm, "task_id": f"t{n}", "match": {"exact": exact, "score": float(exact)}, "latency_ms": 5.0,
         "cost_usd": 0.0, "validation": {"passed": True}, "error": None}
        for n in range(40) for arm, exact in (("cold", n % 2 == 0), ("playbook", True))
    ]  # fmt: skip
    document = decide_batch(batch_of(40), runs_of(rows), default_rules())
    assert (document["verdict"], document["rule"]) == ("promote", "promote.better")
    assert document["interval"]["low"] > 0
    text = verdict_text(document)
    assert "# Replay b: promote" in text
    assert "+50.0 %" in text
    assert "| cold | answer/0+search/0 | 40 of 40 |" in text
    again = decide_batch(batch_of(40), runs_of(rows), default_rules())
    assert document == again
    judged = decide_batch(
        batch_of(40), runs_of(rows), default_rules(),
        judged={"judged_tasks": 5, "judge_share": 0.8, "judge_agreement": None},
    )  # fmt: skip
    assert "A judge alone promotes nothing" in verdict_text(judged)


def test_arm_without_known_answers_is_told_so() -> None:
    summary = summarize("a", {"t": Run(has_failed=True), "u": Run(is_refused=True)}, measure="exact")
    assert (summary.interval, summary.failed, summary.refused) == (None, 1, 1)
    document = decide_batch(batch_of(2), {}, default_rules())
    assert "no task with a known answer" in verdict_text(document)


def test_arm_that_answered_nothing_is_told_so_and_why() -> None:
    error = {"status": 502, "detail": "ollama does not answer:\nconnection refused"}
    rows = [
        {"arm": arm, "task_id": f"t{n}", "latency_ms": 5.0, "error": error if arm == "playbook" else None,
         "match": {"exact": True, "score": 1.0} if arm == "cold" else None}
        for n in range(12) for arm in ("cold", "playbook")
    ]  # fmt: skip
    document = decide_batch(batch_of(12), runs_of(rows), default_rules())
    arms = {arm["arm"]: arm for arm in document["arms"]}
    assert arms["cold"]["errors"] == ()
    assert arms["playbook"]["errors"] == (("502 ollama does not answer:\nconnection refused", 12),)
    text = verdict_text(document)
    assert "nothing to compare, playbook answered nothing" in text
    assert "| playbook | answer/0+search/0 | 0 of 12 | answered nothing |" in text
    assert "- playbook, 12 tasks: 502 ollama does not answer: connection refused" in text
    assert "no task with a known answer" not in text


def test_outcomes_below_what_was_expected_roll_back() -> None:
    rules = default_rules()
    expected = {"low": 0.7}
    assert watch([], expected, rules).rule == "hold.too_few_outcomes"
    assert watch([-1.0] * 19, expected, rules).rule == "hold.too_few_outcomes"
    assert watch([-1.0] * 20, expected, rules).verdict == "roll_back"
    assert watch([1.0] * 16 + [-1.0] * 8, expected, rules).rule == "hold.as_expected"  # 67 %, which may be chance
    assert watch([1.0] * 40 + [-1.0] * 60, expected, rules).verdict == "roll_back"


def test_what_is_expected_comes_from_outcomes_before_else_from_the_replay() -> None:
    replayed = Interval(0.8, 0.7, 0.9)
    assert expectation_of([1.0] * 19, replayed, tasks=50).source == "replay"
    all_good = expectation_of([1.0] * 40, replayed, tasks=50)
    assert all_good.source == "outcomes"
    assert all_good.low < 1  # some that all worked promise nothing of all others
    with pytest.raises(BadInput):
        expectation_of([], None, tasks=0)


def serving(**answer: Any) -> Serving:
    return Serving(AnswerConfig(**answer).to_document(), SearchConfig().to_document(), 2, "answer/2+search/1", "small")


def test_nothing_speaks_for_a_change_where_little_was_judged() -> None:
    few = Observed(
        {1: 19}, 19, 60, 19, {"ollama/x": Tally(19, 19.0)}, {1: Tally(19, 19.0)}, {"playbook": Tally(19, 19)}
    )
    assert propose(few, serving(), prompts={1: "x"}) == []


def test_proposals_follow_what_led_to_runs_that_worked() -> None:
    seen = Observed(
        ranks={1: 20, 3: 10}, at_end=10, shown=90, used=30,
        models={"embedded/small": Tally(30, 15.0), "ollama/x": Tally(30, 25.0)},
        versions={2: Tally(30, 15.0), 1: Tally(30, 20.0)},
        arms={"playbook": Tally(30, 24.0), "holdout": Tally(30, 15.0)}, tasks={"a", "b"},
    )  # fmt: skip
    found = {one.name: one for one in propose(seen, serving(), prompts={1: "Be brief.", 2: "now"})}
    assert found["k_5"].answer == {"k": 5}
    assert found["relevance"].search == {"relevance_threshold": 0.3}
    assert found["boost_up"].search == {"playbook": {"boost": 1.5}}
    assert found["model"].answer == {"model": "ollama/x"}
    assert found["prompt_of_1"].answer == {"system": "Be brief."}
    assert all(one.tasks == ("a", "b") and one.over == "answer/2+search/1" and one.reasons for one in found.values())
    again = propose(seen, serving(), prompts={1: "Be brief.", 2: "now"})
    assert [one.proposal_id for one in again] == [one.proposal_id for one in found.values()]
    narrow = Observed(ranks={1: 100}, at_end=0, shown=300, used=300)
    assert [one.answer for one in propose(narrow, serving(), prompts={})] == [{"k": 1}]
    worse = Observed(arms={"playbook": Tally(30, 10.0), "holdout": Tally(30, 20.0)})
    assert [one.search for one in propose(worse, serving(), prompts={})] == [{"playbook": {"boost": 0.5}}]


def of_workers(**answer: Any) -> Serving:
    return replace(
        serving(**answer),
        embedders={"workers": "static", "workers_m": "minilm", "notes": "static"},
        twins={"workers": ["workers_m"], "workers_m": ["workers"], "notes": []},
    )


def test_embedder_is_proposed_as_a_corpus_of_the_same_rows_in_place_of_the_one_that_is_asked() -> None:
    poor, good = Tally(30, 18.0), Tally(30, 27.0)
    (untried,) = propose(Observed(corpora={("workers", "workers"): poor}), of_workers(), prompts={})
    assert (untried.name, untried.answer) == ("embedder_of_workers_minilm", {"corpora": {"workers": "workers_m"}})
    assert "hardly tried" in untried.reasons[0]
    assert untried.reasons[0].endswith("minilm in place of static")
    seen = Observed(corpora={("workers", "workers"): poor, ("workers_m", "workers_m"): good})
    (better,) = propose(seen, of_workers(), prompts={})
    assert better.answer == untried.answer
    assert "+30% over 30 judged runs" in better.reasons[0]
    # What serves well is let be, and so is what few have judged, and a twin that is known and no better.
    for counts in ({("workers", "workers"): good}, {("workers", "workers"): Tally(19, 0.0)},
                   {("workers", "workers"): poor, ("workers_m", "workers_m"): poor}):  # fmt: skip
        assert propose(Observed(corpora=counts), of_workers(), prompts={}) == []
    # Back again, once the other one serves and does worse; what stands for other corpora stays.
    back = of_workers(corpora={"workers": "workers_m", "notes": "more_notes"})
    seen = Observed(corpora={("workers", "workers_m"): poor, ("workers", "workers"): good})
    assert [one.answer for one in propose(seen, back, prompts={})] == [{"corpora": {"notes": "more_notes"}}]


def test_twins_are_of_the_same_dataset_with_all_its_fields_and_otherwise_embedded() -> None:
    info = {"dataset": "workers", "id_column": "worker_id", "chunking": None, "embedder": "static",
            "metadata_columns": ["name", "role"]}  # fmt: skip
    others = {
        "twin": info | {"embedder": "minilm", "metadata_columns": ["name", "role", "city"]},
        "same_embedder": info, "fewer_fields": info | {"embedder": "minilm", "metadata_columns": ["name"]},
        "other_ids": info | {"embedder": "minilm", "id_column": "name"},
        "other_rows": info | {"embedder": "minilm", "dataset": "clients"},
        "pushed": info | {"embedder": "minilm", "dataset": None},
    }  # fmt: skip
    assert twins_of({"workers": info, **others})["workers"] == ["twin"]
    assert twins_of(others)["pushed"] == []


def test_split_goes_by_the_words_of_a_question_alone() -> None:
    assert question_key("Who can weld?") == question_key("  who CAN weld ") != question_key("Who can paint?")
    sides = [is_held_out(f"question number {n}") for n in range(1000)]
    assert 420 < sum(sides) < 580


def test_proposals_over_the_same_versions_share_their_tasks() -> None:
    objects = MemoryObjects()

    def put(name: str, over: str) -> None:
        body = {"proposal_id": name, "name": "k", "answer": {}, "search": {}, "over": over, "reasons": [], "tasks": []}
        objects.put(f"replay/proposals/{name}.json", orjson.dumps(body))

    for name, over in (("p-1", "answer/0"), ("p-2", "answer/0"), ("p-3", "answer/1")):
        put(name, over)
    assert [rivals_of(objects, name) for name in (None, "p-1", "p-2", "p-3")] == [1, 2, 2, 1]
    objects.put("replay/proposals/p-4.json", b"{")  # nobody knows what it was over
    assert [rivals_of(objects, name) for name in ("p-1", "p-3", "p-4")] == [3, 2, 4]
    assert rivals_of(objects, "gone") == 5
