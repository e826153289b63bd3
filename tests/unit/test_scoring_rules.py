"""Files of rules and labels: what is refused, on which line; what rules become."""

from __future__ import annotations

import pytest

from lakehouse.errors import BadInput
from lakehouse.scoring import FACTS, default_labels, default_rules, load_rules
from lakehouse.scoring.labels import MEANINGS, load_labels
from lakehouse.scoring.rules import KINDS, MAX_RULES

RULES = """\
version: mine/1
rules:
  - name: human.accepts
    kind: human
    streams: [chat_calls, replay_runs]
    when: {human: [success, partial]}
    verdict: accepted
    reason: somebody said so
  - name: judge.accepts
    kind: judge
    streams: all
    when:
      judges_of_another_lineage: {gte: 1}
      was_cut: false
    verdict: accepted
    reason: a stranger said so
  - name: other.wise
    kind: heuristic
    streams: all
    when: always
    verdict: needs_human_review
    reason: nobody knows
"""


def fault_of(text: str) -> BadInput:
    with pytest.raises(BadInput) as caught:
        load_rules(text, name="mine.yaml")
    assert caught.value.detail.startswith(f"mine.yaml, line {caught.value.fields['line']}: ")
    return caught.value


def test_rules_are_read() -> None:
    rules = load_rules(RULES, name="mine.yaml")
    assert rules.version == "mine/1"
    assert [rule.name for rule in rules.rules] == ["human.accepts", "judge.accepts", "other.wise"]
    first, second, last = (rule.sql() for rule in rules.rules)
    assert first == """coalesce("human" IN ('success', 'partial') AND stream IN ('chat_calls', 'replay_runs'), false)"""
    assert second == """coalesce("judges_of_another_lineage" >= 1.0 AND NOT "was_cut", false)"""
    assert last == "true"


def test_first_rule_that_holds_decides_and_the_others_are_reasons() -> None:
    rules = load_rules(RULES, name="mine.yaml")
    verdict = rules.verdict_of(0b111)
    assert (verdict.score, verdict.rule, verdict.kind) == ("accepted", "human.accepts", "human")
    assert verdict.reasons == ("somebody said so", "a stranger said so")
    assert rules.verdict_of(0b100).reasons == ("nobody knows",)


@pytest.mark.parametrize(
    ("old", "new", "line", "problem"),
    [
        ("version: mine/1", "vers: mine/1", 1, "'vers' is unknown"),
        ("version: mine/1\n", "", 1, "'version' is missing"),
        ("version: mine/1", "version: ''", 1, "not empty"),
        ("human.accepts", "accepts", 3, "not a name of a rule"),
        ("judge.accepts", "human.accepts", 9, "name of a rule above"),
        ("kind: human", "kind: person", 4, "is none of human"),
        ("kind: human", "kind: heuristic", 4, None),
        ("kind: heuristic", "kind: human", 18, "move it up"),
        ("[chat_calls, replay_runs]", "[chat_calls, chat_calls]", 5, "twice"),
        ("[chat_calls, replay_runs]", "[outcomes]", 5, "is none of agent_trajectories"),
        ("[chat_calls, replay_runs]", "[]", 5, "at least one"),
        ("[chat_calls, replay_runs]", "some", 5, "must be all"),
        ("{human: [success, partial]}", "{}", 6, "at least one fact"),
        ("{human: [success, partial]}", "{humour: success}", 6, "not a fact"),
        ("{human: [success, partial]}", "{human: good}", 6, "is none of success"),
        ("{human: [success, partial]}", "{human: success, human: partial}", 6, "twice"),
        ("{human: [success, partial]}", "always", 6, "only the last"),
        ("{human: [success, partial]}", "{outcomes: {over: 1}}", 6, "not a comparison"),
        ("{human: [success, partial]}", "{outcomes: {gte: many}}", 6, "not a number"),
        ("{human: [success, partial]}", "{outcomes: .inf}", 6, "not a number"),
        ("{human: [success, partial]}", "{outcomes: {}}", 6, "must compare"),
        ("{human: [success, partial]}", "{human: [success, partial]", 7, "not YAML"),
        ("was_cut: false", "was_cut: no", 14, "is none of true, false"),
        ("judges_of_another_lineage: {gte: 1}", "judges_accept: {gte: 1}", 15, "no model confirms its own kind"),
        ("judges_of_another_lineage: {gte: 1}", "judges_of_another_lineage: {gte: 0}", 15, "confirms its own kind"),
        ("judges_of_another_lineage: {gte: 1}", "judges_of_another_lineage: {lt: 5}", 15, "confirms its own kind"),
        ("verdict: needs_human_review", "verdict: accepted", 21, "must not accept"),
        ("verdict: needs_human_review", "verdict: fine", 21, "is none of accepted"),
        ("when: always", "when: {was_cut: true}", 20, "must hold always"),
        ("streams: all\n    when: always", "streams: [chat_calls]\n    when: always", 19, "all streams"),
        ("    reason: nobody knows\n", "", 17, "'reason' is missing"),
        ("reason: nobody knows", "reason:", 22, "not empty"),
        ("reason: nobody knows", "reason: [a]", 22, "must be a text"),
    ],
)
def test_fault_is_refused_with_its_line(old: str, new: str, line: int, problem: str | None) -> None:
    assert old in RULES
    text = RULES.replace(old, new, 1)
    fault = fault_of(text)
    if problem is not None:
        assert (fault.fields["line"], problem in fault.detail) == (line, True), fault.detail


@pytest.mark.parametrize("text", ["", "- 1", "version: 1\nrules: {}", "rules", "a: [", "version: 1\nrules: []"])
def test_what_is_no_file_of_rules_is_refused(text: str) -> None:
    assert fault_of(text).fields["line"] >= 1


def test_more_rules_than_bits_are_refused() -> None:
    head, last = RULES[: RULES.index("  - name: judge")], RULES[RULES.index("  - name: other") :]
    many = "".join(
        f"  - {{name: a.b{n}, kind: human, streams: all, when: {{human: success}}, verdict: accepted, reason: r}}\n"
        for n in range(MAX_RULES)
    )
    assert "at most" in fault_of(head + many + last).detail


def test_rules_of_the_platform_stand_in_the_order_of_their_kinds() -> None:
    rules = default_rules().rules
    places = [KINDS.index(rule.kind) for rule in rules]
    assert places == sorted(places)
    assert {rule.kind for rule in rules} == set(KINDS)
    assert all(rule.verdict != "accepted" for rule in rules if rule.kind == "heuristic")
    assert {c.fact for rule in rules for c in rule.when} <= set(FACTS)


def test_labels_of_the_platform_have_every_meaning() -> None:
    assert set(default_labels().meaning.values()) == set(MEANINGS)


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("success: [a]\nfailure: [b]\npartial: [c]\nredo: [d]\nnothing: [a]", 5, "twice"),
        ("success: [a]\nfailure: [B]\npartial: [c]\nredo: [d]\nnothing: [e]", 2, "can never be found"),
        ("success: [a]\nfailure: [b]\npartial: [c]\nredo: [d]", 1, "'nothing' is missing"),
        ("success: [a]\nfailure: [b]\npartial: [c]\nredo: [d]\nnothing: []", 5, "at least one"),
    ],
)
def test_fault_in_labels_is_refused_with_its_line(text: str, line: int, problem: str) -> None:
    with pytest.raises(BadInput, match=problem) as caught:
        load_labels(text, name="labels.yaml")
    assert caught.value.fields["line"] == line
