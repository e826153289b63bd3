"""Reading rules from YAML; whatever is wrong is told with its line.

The file is checked against what the contracts demand of any rules: kinds stand in their order, a heuristic never
accepts, a judge accepts only with one of another lineage, and the last rule gives every run a score.

Belongs here: the form of the file and its checks. Not here: the form of rules (see rules.py), the facts (see facts.py).
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

from lakehouse.scoring.conditions import NUMBER_OPERATORS, Comparison
from lakehouse.scoring.facts import FACTS, Fact
from lakehouse.scoring.rules import KINDS, MAX_RULES, Rule, RuleSet
from lakehouse.scoring.streams import SCORED
from lakehouse.tables.scored import SCORES
from lakehouse.yaml_lines import Located, read_document

_NAME = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z0-9_]+)+")
_FIELDS = ("name", "kind", "streams", "when", "verdict", "reason")
_ALWAYS, _ALL = "always", "all"
_CONFIRMED = "judges_of_another_lineage"


@cache
def default_rules() -> RuleSet:
    """The rules of the platform, from rules.yaml."""
    return load_rules(files("lakehouse.scoring").joinpath("rules.yaml").read_text("utf-8"), name="rules.yaml")


def load_rules(text: str, *, name: str) -> RuleSet:
    """Read rules.

    Args:
        text: YAML: `version` and `rules`, a list of mappings of `name, kind, streams, when, verdict, reason`.
        name: What the file is called in messages.

    Raises:
        BadInput: Anything in it is wrong; the message and the field `line` say where.
    """
    document = read_document(text, name=name).members(required=("version", "rules"))
    version = document["version"].scalar()
    places = document["rules"].items()
    if len(places) > MAX_RULES:
        places[MAX_RULES].refuse(f"there are {len(places)} rules; at most {MAX_RULES} are possible")
    rules: list[Rule] = []
    for place in places:
        is_last = place is places[-1]
        rules.append(_rule(place, before=rules, is_last=is_last))
    return RuleSet(version, tuple(rules))


def _rule(place: Located, *, before: list[Rule], is_last: bool) -> Rule:
    fields = place.members(required=_FIELDS)
    name = fields["name"].scalar()
    if not _NAME.fullmatch(name):
        fields["name"].refuse(f"{name!r} is not a name of a rule; write it like judge.accepts")
    if any(rule.name == name for rule in before):
        fields["name"].refuse(f"{name!r} is the name of a rule above")
    kind = KINDS[KINDS.index(fields["kind"].one_of(KINDS))]
    if before and KINDS.index(kind) < KINDS.index(before[-1].kind):
        fields["kind"].refuse(f"a rule of kind {kind} stands below one of kind {before[-1].kind}; move it up")
    verdict = SCORES[SCORES.index(fields["verdict"].one_of(SCORES))]
    streams = _streams(fields["streams"])
    when = _condition(fields["when"], is_last=is_last)
    if is_last and streams != frozenset(SCORED):
        fields["streams"].refuse("the last rule must hold for all streams, so that every run has a score")
    if verdict == "accepted" and kind == "heuristic":
        fields["verdict"].refuse("a rule of kind heuristic must not accept: nobody has judged the run")
    if verdict == "accepted" and kind == "judge" and not any(_confirms(comparison) for comparison in when):
        fields["verdict"].refuse(
            f"a rule of kind judge accepts only when {_CONFIRMED} is 1 or more: no model confirms its own kind"
        )
    return Rule(name, kind, streams, when, verdict, fields["reason"].scalar())


def _confirms(comparison: Comparison) -> bool:
    least = {"gte": 1.0, "gt": 0.0, "eq": 1.0}.get(comparison.operator)
    return comparison.fact == _CONFIRMED and least is not None and float(comparison.value) >= least  # type: ignore[arg-type]


def _streams(place: Located) -> frozenset[str]:
    if not place.is_list():
        if place.scalar() != _ALL:
            place.refuse(f"must be {_ALL} or a list of {', '.join(sorted(SCORED))}")
        return frozenset(SCORED)
    named: set[str] = set()
    for item in place.items():
        stream = item.one_of(sorted(SCORED))
        if stream in named:
            item.refuse(f"{stream!r} stands twice")
        named.add(stream)
    return frozenset(named)


def _condition(place: Located, *, is_last: bool) -> tuple[Comparison, ...]:
    if not place.is_mapping():
        if place.scalar() != _ALWAYS:
            place.refuse(f"must be a mapping of facts to values; the last rule has {_ALWAYS}")
        if not is_last:
            place.refuse(f"only the last rule may hold {_ALWAYS}: those below would never decide")
        return ()
    if is_last:
        place.refuse(f"the last rule must hold {_ALWAYS}, so that every run has a score")
    comparisons = []
    for name, key, value in place.pairs():
        if name not in FACTS:
            key.refuse(f"{name!r} is not a fact; facts are {', '.join(FACTS)}")
        comparisons += _comparisons(name, FACTS[name], value)
    if not comparisons:
        place.refuse("must ask for at least one fact")
    return tuple(comparisons)


def _comparisons(name: str, fact: Fact, place: Located) -> list[Comparison]:
    if fact.kind == "boolean":
        return [Comparison(name, "is", place.one_of(("true", "false")) == "true")]
    if fact.kind == "text":
        if place.is_list():
            return [Comparison(name, "in", tuple(item.one_of(fact.values) for item in place.items()))]
        return [Comparison(name, "is", place.one_of(fact.values))]
    if not place.is_mapping():
        return [Comparison(name, "eq", place.number())]
    found = []
    for operator, key, value in place.pairs():
        if operator not in NUMBER_OPERATORS:
            key.refuse(f"{operator!r} is not a comparison; there are {', '.join(NUMBER_OPERATORS)}")
        found.append(Comparison(name, operator, value.number()))
    if not found:
        place.refuse(f"must compare with a number, such as {{gte: 1}}; there are {', '.join(NUMBER_OPERATORS)}")
    return found
