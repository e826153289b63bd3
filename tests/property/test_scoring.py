"""Scores of any records: order, days and repeats change none, ground truth always decides, faulty rules are refused."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from datetime import timedelta
from importlib.resources import files

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lakehouse.errors import BadInput
from lakehouse.scoring import default_rules, load_rules
from lakehouse.scoring.labels import fold, fold_sql
from tests.scoring import Record, Scorer, call, day, event, outcome, record, review, trajectory, validation

DAYS = (1, 2, 3)
RUNS = ("a", "b", "t")
TEXT = files("lakehouse.scoring").joinpath("rules.yaml").read_text("utf-8")
on, minutes, abouts = st.sampled_from(DAYS), st.integers(0, 3), st.sampled_from(RUNS)
verdicts = st.sampled_from(["accept", "REJECT", "cycle", "partial", "unknown", "hm"])
models = st.sampled_from(["gpt-4o", "smollm2-1.7b", "qwen2.5", "mine"])
testimony = st.one_of(
    st.builds(outcome, abouts, st.sampled_from([-1.0, -0.3, 0.0, 0.4, 1.0]), by=st.sampled_from(["x", "y"]),
              answer=st.sampled_from([None, "w-1"]), on=on, minute=minutes),
    st.builds(review, abouts, verdicts, by=st.sampled_from(["dana", "bo"]), on=on, minute=minutes),
    st.builds(review, abouts, verdicts, model=models, confidence=st.sampled_from([None, 0.2, 0.9]), on=on,
              minute=minutes),
    st.builds(event, abouts, verdicts, model=models | st.none(), on=on, minute=minutes),
    st.builds(validation, st.sampled_from(["one", "two"]), st.booleans(), kind=st.sampled_from(["email", "sms"]),
              on=on, minute=minutes),
)  # fmt: skip


@st.composite
def runs(draw: st.DrawFn) -> list[Record]:
    """Two calls, maybe of one request, and a trajectory, each on a day of its own."""
    made = [
        call(
            name, on=draw(on), minute=draw(minutes),
            metadata={"trace_id": draw(st.sampled_from(["one", "two"])), "label": draw(st.none() | verdicts)},
            failure_markers=draw(st.lists(st.sampled_from(["finish.length", "call.failed", "input.injection.role"]))),
        )
        for name in ("a", "b")
    ]  # fmt: skip
    reward = draw(st.sampled_from([None, 0.0, 0.5, 1.0]))
    return [*made, trajectory("t", on=draw(on), minute=draw(minutes), reward=reward)]


worlds = st.tuples(runs(), st.lists(testimony, max_size=8)).map(lambda pair: [*pair[0], *pair[1]])
USUAL = settings(
    max_examples=6,
    suppress_health_check=[*settings.default.suppress_health_check, HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def scorer() -> Iterator[Scorer]:
    made = Scorer()
    yield made
    made.close()


def once(records: Sequence[Record]) -> list[Record]:
    """Records as evidence serves them: one for each run id, the latest."""
    by_id = {}
    for one in sorted(records, key=lambda r: (r["timestamp"], r["provenance"]["sha256"])):
        by_id[one["stream"], one["run_id"]] = one
    return list(by_id.values())


def recorded_on(one: Record, number: int) -> Record:
    """The same record, as if its line had come in on another day."""
    moved = copy.deepcopy(one)
    moved["provenance"]["source_key"] = f"raw/{one['stream']}/dt={day(number).isoformat()}/late.jsonl"
    return moved


@USUAL
@given(worlds, st.data())
def test_order_repeats_and_days_change_no_score(scorer: Scorer, records: list[Record], data: st.DataObject) -> None:
    world = once(records)
    whole = scorer.score(world)
    days = [day(number) for number in DAYS]
    shuffled = data.draw(st.permutations(world + data.draw(st.lists(st.sampled_from(world), max_size=3))))
    assert scorer.score(shuffled).rows == whole.rows
    by_day = [scorer.score(shuffled, [one]) for one in days]
    assert [row for told in by_day for row in told.rows] == whole.rows
    assert [row for told in by_day for row in told.refused] == whole.refused
    late = [one if one["run_id"] in RUNS else recorded_on(one, data.draw(st.integers(1, 9))) for one in world]
    assert scorer.score(late).rows == whole.rows


@USUAL
@given(worlds, st.sampled_from(["accept", "reject"]), abouts)
def test_latest_word_of_a_person_always_decides(
    scorer: Scorer, records: list[Record], verdict: str, about: str
) -> None:
    row = scorer.score([*once(records), review(about, verdict, by="last", on=5)]).of(about)
    assert row["score"] == {"accept": "accepted", "reject": "rejected"}[verdict]
    assert row["kind_of_ground"] == "human"


@USUAL
@given(worlds, st.sampled_from([0.0, 1.0]))
def test_ground_truth_decides_where_no_person_spoke(scorer: Scorer, records: list[Record], reward: float) -> None:
    silent = [one for one in once(records) if one.get("human_override") is None]
    rewarded = [one | {"reward": reward} if one["run_id"] == "t" else one for one in silent]
    row = scorer.score(rewarded).of("t")
    assert (row["score"], row["kind_of_ground"]) == ("accepted" if reward else "rejected", "ground_truth")
    unknown = [one for one in silent if one["stream"] != "outcomes"]
    for one in unknown:
        one["metadata"] = one["metadata"].replace('"label"', '"labelled"')
    row = scorer.score([*unknown, outcome("a", 2 * reward - 1, on=5)]).of("a")
    assert (row["score"], row["kind_of_ground"]) == ("accepted" if reward else "rejected", "ground_truth")


@USUAL
@given(runs(), st.lists(testimony, max_size=8), st.lists(testimony, max_size=4))
def test_days_that_are_not_touched_keep_their_scores(
    scorer: Scorer, ran: list[Record], early: list[Record], more: list[Record]
) -> None:
    names = {one["run_id"] for one in early}
    late = [recorded_on(one, 9) for one in once(more) if one["run_id"] not in names]
    before = once([*ran, *early])
    touched = scorer.touched([*before, *late], [day(9)])
    old, new = scorer.score(before), scorer.score([*before, *late])
    for number in DAYS:
        if day(number) not in touched:
            assert new.file_bytes.get(day(number)) == old.file_bytes.get(day(number))


@given(st.text(st.characters(max_codepoint=126, exclude_characters="\x00\x0b\x1c\x1d\x1e\x1f"), max_size=20))
def test_labels_are_folded_alike_in_sql(scorer: Scorer, label: str) -> None:
    said = f"SELECT {fold_sql('label')} FROM (SELECT ? AS label)"
    folded = scorer.connection.execute(said, [label]).fetchone()
    assert folded == (fold(label),)


LINES = TEXT.splitlines()
FIELDS = [n for n, line in enumerate(LINES) if line.startswith(("  - name:", "    "))]


@given(st.sampled_from(FIELDS), st.sampled_from(["gone", "unknown", "empty", "twice", "torn", "indented"]))
def test_any_single_fault_in_the_rules_is_refused_with_its_line(number: int, fault: str) -> None:
    line = LINES[number]
    indent, key, value = line[:4], line[4:].partition(":")[0], line.partition(":")[2]
    begin = max(n for n in range(number + 1) if LINES[n].startswith("  - name:"))
    changed: dict[str, list[str]] = {
        "gone": ["  - note: x"] if key == "name" else [],
        "unknown": [f"{indent}x{key}:{value}"],
        "empty": [f"{indent}{key}:"],
        "twice": [line, f"    {key}:{value}"],
        "torn": [f"{indent}{key}: [{{"],
        "indented": [f"{indent}{key}: {{ {key}: 1 }}"],
    }
    text = "\n".join([*LINES[:number], *changed[fault], *LINES[number + 1 :], ""])
    with pytest.raises(BadInput) as caught:
        load_rules(text, name="rules.yaml")
    told = caught.value.fields["line"] - 1
    assert f"line {told + 1}" in caught.value.detail
    # A torn line is found where the parser gives up; a missing field is told at the begin of its rule.
    assert told == {"gone": begin, "twice": number + 1}.get(fault, number) or fault == "torn"
    assert told >= begin


@given(st.integers(0, (1 << len(default_rules().rules)) - 1))
def test_every_combination_of_rules_has_a_verdict(mask: int) -> None:
    rules = default_rules()
    verdict = rules.verdict_of(mask | 1 << len(rules.rules) - 1)
    assert verdict.reasons
    assert verdict.rule in {rule.name for rule in rules.rules}


def test_moments_of_the_same_second_are_ordered_by_their_lines(scorer: Scorer) -> None:
    said = [review("a", verdict) for verdict in ("accept", "reject", "partial")]
    for one in said:
        one["human_override"]["at"] = said[0]["timestamp"] + timedelta(0)
    scores = {scorer.score([call("a"), *order, record("audits", "x")]).of("a")["score"] for order in (said, said[::-1])}
    assert len(scores) == 1
