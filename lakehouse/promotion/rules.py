"""Rules of promotion: data with a version, read from YAML; whatever is wrong is told with its line.

Belongs here: their form, the facts they may ask for, what no file may say. Not here: the facts themselves (see
comparison.py, watch.py).
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal, TypeAlias, get_args

from lakehouse.yaml_lines import Faults, Located, read_document

Verdict: TypeAlias = Literal["promote", "hold", "roll_back"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
Measure: TypeAlias = Literal["exact", "score"]
MOST_P_VALUE = 0.05
"""A difference that chance makes more often promotes nothing."""
_ALWAYS = "always"
_NAME = re.compile(r"[a-z][a-z0-9_]*\.[a-z0-9_]+")
_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "lt": operator.lt, "lte": operator.le, "gt": operator.gt, "gte": operator.ge,
}  # fmt: skip

REPLAY_FACTS: Mapping[str, str] = {
    "tasks": "Tasks whose right answer is known and that both arms answered.",
    "mean": "How much better the candidate is, from -1 to 1.",
    "low": "Lower end of its 95 % interval (paired bootstrap over tasks).",
    "high": "Upper end.",
    "failed_share": "Share of the candidate's tasks that nobody answered.",
    "refused_share": "Share of its answers that were refused before they left.",
    "cost_ratio": "What it costs over what the baseline does.",
    "latency_ratio": "How long it takes, likewise.",
    "latency_more_ms": "How much longer it takes, in milliseconds.",
    "shared_tasks": "Tasks that the proposal was made of.",
    "differing": "Tasks of which one arm's answer is better than the other's.",
    "proposals": "Proposals that are tried on the same tasks, itself among them.",
    "p_value": "The chance of such a difference where there is none (sign flips, two-sided), times `proposals` (Holm).",
    "unaskable": "Tasks that neither arm could be asked any more; they count nowhere else.",
    "judged_tasks": "Pairs that a judge has decided.",
    "judge_share": "Share of those that it decided for the candidate.",
    "judge_agreement": "Share of those with ground truth in which the judge agrees with it.",
}
WATCH_FACTS: Mapping[str, str] = {
    "outcomes": "Outcomes since the promotion.",
    "mean": "Their mean, 0 (failed) to 1 (worked).",
    "low": "Lower end of its 95 % interval.",
    "high": "Upper end.",
    "floor": "Lower end of what was expected when it was promoted.",
    "mean_over_floor": "How far the mean lies over it.",
    "high_over_floor": "How far the upper end lies over it.",
}


@dataclass(frozen=True, slots=True)
class Condition:
    """A comparison of a fact with a number."""

    fact: str
    operator: str
    value: float

    def holds(self, facts: Mapping[str, float | None]) -> bool:
        """Whether it does; a fact that is not known fulfils nothing."""
        known = facts.get(self.fact)
        return known is not None and _OPERATORS[self.operator](known, self.value)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule; without conditions it always holds."""

    name: str
    when: tuple[Condition, ...]
    verdict: Verdict
    reason: str

    def holds(self, facts: Mapping[str, float | None]) -> bool:
        """Whether all its conditions do."""
        return all(condition.holds(facts) for condition in self.when)


@dataclass(frozen=True, slots=True)
class PromotionRules:
    """All rules of a file."""

    version: str
    measure: Measure
    replay: tuple[Rule, ...]
    watch: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """What rules say: the verdict, the rule that decided, its reason first, and the facts."""

    verdict: Verdict
    rule: str
    rules_version: str
    reasons: tuple[str, ...]
    facts: Mapping[str, float | None]


def decide(rules: tuple[Rule, ...], facts: Mapping[str, float | None], *, version: str) -> Decision:
    """The verdict of the first rule that holds.

    Args:
        rules: The last of them always holds.
        facts: By name; None is not known.
        version: Of the rules.
    """
    holding = [rule for rule in rules if rule.holds(facts)]
    first = holding[0]
    further = [rule.reason for rule in holding[1:] if rule.when and rule.verdict == first.verdict]
    return Decision(first.verdict, first.name, version, (first.reason, *further), dict(facts))


def least_tasks(rules: PromotionRules) -> int:
    """Of how many tasks a promotion can come at all."""
    floors = [
        max(math.floor(c.value) + 1 if c.operator == "gt" else math.ceil(c.value)
            for c in rule.when if c.fact == "tasks" and c.operator in {"gt", "gte"})
        for rule in rules.replay if rule.verdict == "promote"
    ]  # fmt: skip
    return min(floors, default=1)


@cache
def default_rules() -> PromotionRules:
    """The rules of the platform, from rules.yaml."""
    return read_rules(files("lakehouse.promotion").joinpath("rules.yaml").read_text("utf-8"), name="rules.yaml")


def read_rules(text: str, *, name: str) -> PromotionRules:
    """Read rules.

    Args:
        text: YAML: `version`, `measure`, `replay` and `watch`, each a list of `name, when, verdict, reason`.
        name: What the file is called in messages.

    Raises:
        BadInput: Anything in it is wrong; the message has a line for each, the field `line` is the first one's.
    """
    faults = Faults()
    members = ("version", "measure", "replay", "watch")
    document = read_document(text, name=name).members(required=members, faults=faults)
    version = faults.read(document["version"].scalar, "")
    measure: Any = faults.read(lambda: document["measure"].one_of(get_args(Measure)), "")
    none: tuple[Rule, ...] = ()
    replay = faults.read(lambda: _rules(document["replay"], REPLAY_FACTS, VERDICTS, faults), none)
    watch = faults.read(lambda: _rules(document["watch"], WATCH_FACTS, ("hold", "roll_back"), faults), none)
    faults.tell()
    return PromotionRules(version, measure, replay, watch)


def _rules(place: Located, facts: Mapping[str, str], verdicts: tuple[str, ...], faults: Faults) -> tuple[Rule, ...]:
    places = place.items()
    rules: list[Rule] = []
    for one in places:
        with faults.gathered():
            rules.append(_rule(one, facts, verdicts, faults, is_last=one is places[-1], above=rules))
    if len(rules) == len(places) and rules[-1].verdict != "hold":
        places[-1].refuse("the last rule must say hold: what nothing speaks for stays as it is")
    return tuple(rules)


def _rule(
    place: Located,
    facts: Mapping[str, str],
    verdicts: tuple[str, ...],
    faults: Faults,
    *,
    is_last: bool,
    above: Sequence[Rule],
) -> Rule:
    fields = place.members(required=("name", "when", "verdict", "reason"), faults=faults)
    name = fields["name"].scalar()
    with faults.gathered():
        if _NAME.fullmatch(name) is None:
            fields["name"].refuse(f"{name!r} is not a name of a rule; write it like hold.too_few_tasks")
        if any(rule.name == name for rule in above):
            fields["name"].refuse(f"{name!r} is the name of a rule above")
    # A verdict that is none stands for hold until the faults are told.
    verdict: Any = faults.read(lambda: fields["verdict"].one_of(verdicts), "hold")
    reason = faults.read(fields["reason"].scalar, "")
    rule = Rule(name, _conditions(fields["when"], facts, is_last=is_last), verdict, reason)
    if verdict == "promote":
        _check_promotion(rule, fields["when"])
    return rule


def _check_promotion(rule: Rule, place: Located) -> None:
    """What no file may leave out: ground truth, a difference that is not chance, tasks that are held out."""

    def asks(fact: str, with_it: str, without: str, test: Callable[[float, bool], bool]) -> bool:
        """Whether a comparison is strict enough; `test` is told the number and whether it may be reached."""
        return any(
            c.fact == fact and c.operator in {with_it, without} and test(c.value, c.operator == with_it)
            for c in rule.when
        )

    if not asks("tasks", "gte", "gt", lambda least, _: least >= 1):
        place.refuse("a rule that promotes must ask for tasks: {gte: 1} or more; a judge alone never promotes")
    if not asks("low", "gte", "gt", lambda least, is_enough: least > 0 or (least == 0 and not is_enough)):
        place.refuse("a rule that promotes must ask for low: {gt: 0}; a difference that may be chance never promotes")
    # The interval alone is too lenient where few tasks differ, and knows nothing of other proposals.
    if not asks("p_value", "lte", "lt", lambda most, _: most <= MOST_P_VALUE):
        place.refuse(
            f"a rule that promotes must ask for p_value: {{lte: {MOST_P_VALUE}}}, or less; so few tasks may differ, or"
            " so many proposals be tried on them, that the difference is chance"
        )
    if not asks("shared_tasks", "lte", "lt", lambda most, is_allowed: most < 1 or (most == 1 and not is_allowed)):
        place.refuse("a rule that promotes must ask for shared_tasks: {lte: 0}; tasks must be held out")


def _conditions(place: Located, facts: Mapping[str, str], *, is_last: bool) -> tuple[Condition, ...]:
    if not place.is_mapping():
        if place.scalar() != _ALWAYS or not is_last:
            place.refuse(f"must compare facts with numbers; only the last rule has {_ALWAYS}")
        return ()
    if is_last:
        place.refuse(f"the last rule must hold {_ALWAYS}, so that there is a verdict in any case")
    found = []
    for fact, key, compared in place.pairs():
        if fact not in facts:
            key.refuse(f"{fact!r} is not a fact; facts are {', '.join(facts)}")
        if not compared.is_mapping():
            compared.refuse(f"must compare with a number, such as {{gte: 1}}; there are {', '.join(_OPERATORS)}")
        for name, at, value in compared.pairs():
            if name not in _OPERATORS:
                at.refuse(f"{name!r} is not a comparison; there are {', '.join(_OPERATORS)}")
            found.append(Condition(fact, name, value.number()))
    if not found:
        place.refuse("must ask for at least one fact")
    return tuple(found)
