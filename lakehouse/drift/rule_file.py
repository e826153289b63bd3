"""The rules of drift, read from YAML; whatever is wrong is told with its line.

Belongs here: the form of the rules, their checks. Not here: the rules (see rules.yaml), judging by them (see
judging.py, confirmation.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from lakehouse.drift.finding import EFFECTS, KINDS, Effect, Kind
from lakehouse.yaml_lines import Located, read_document

_MOST_DAYS = 366


@dataclass(frozen=True, slots=True)
class EffectRule:
    """What an effect must reach to be drift, and to be severe."""

    floor: float
    severe: float


@dataclass(frozen=True, slots=True)
class KindRule:
    """Days of a report, days of a baseline, samples that a test needs; `within_days` where it is the kind's own."""

    window_days: int
    baseline_days: int
    least_samples: int
    within_days: int | None = None


@dataclass(frozen=True, slots=True)
class DriftRules:
    """The rules.

    Attributes:
        version: Their version.
        alpha: Chance of a false alarm of one report, over all of its tests.
        confirm_days: Reports in which a finding must stand to be confirmed.
        within_days: How far apart two of them may be.
        at_once: Names of findings that one report confirms where they are severe.
        effects: What effects must reach.
        kinds: Windows and samples.
        stale_days: From when on an entry of the playbook is stale.
    """

    version: str
    alpha: float
    confirm_days: int
    within_days: int
    at_once: frozenset[str]
    effects: Mapping[Effect, EffectRule]
    kinds: Mapping[Kind, KindRule]
    stale_days: int

    def within_days_of(self, kind: Kind) -> int:
        """How far apart two reports of a kind may be that confirm each other."""
        return self.kinds[kind].within_days or self.within_days


@cache
def default_rules() -> DriftRules:
    """The rules of the platform."""
    return load_rules(files("lakehouse.drift").joinpath("rules.yaml").read_text("utf-8"), name="rules.yaml")


def load_rules(text: str, *, name: str) -> DriftRules:
    """Read rules.

    Args:
        text: YAML, as rules.yaml is.
        name: What the file is called in messages.

    Raises:
        BadInput: Anything in it is wrong; the message and the field `line` say where.
    """
    members = ("version", "alpha", "confirm", "effects", "kinds", "stale_days")
    document = read_document(text, name=name).members(required=members)
    confirm = document["confirm"].members(required=("days", "within_days", "at_once"))
    effects = document["effects"].members(required=EFFECTS)
    kinds = document["kinds"].members(required=KINDS)
    return DriftRules(
        version=document["version"].scalar(),
        alpha=_number(document["alpha"], most=0.2),
        confirm_days=_count(confirm["days"]),
        within_days=_count(confirm["within_days"]),
        at_once=frozenset(place.scalar() for place in confirm["at_once"].items()),
        effects={effect: _effect(effects[effect]) for effect in EFFECTS},
        kinds={kind: _kind(kinds[kind]) for kind in KINDS},
        stale_days=_count(document["stale_days"], most=36_500),
    )


def _effect(place: Located) -> EffectRule:
    members = place.members(required=("floor", "severe"))
    rule = EffectRule(_number(members["floor"]), _number(members["severe"]))
    if rule.severe < rule.floor:
        members["severe"].refuse(f"{rule.severe} is below the floor {rule.floor}; what is severe is drift, too")
    return rule


def _kind(place: Located) -> KindRule:
    members = place.members(required=("window_days", "baseline_days", "least_samples"), optional=("within_days",))
    return KindRule(
        _count(members["window_days"]),
        _count(members["baseline_days"]),
        _count(members["least_samples"], most=10**6),
        _count(members["within_days"]) if "within_days" in members else None,
    )


def _number(place: Located, *, most: float = 1e6) -> float:
    try:
        number = float(place.scalar())
    except ValueError:
        number = math.nan
    if not 0 < number <= most:
        place.refuse(f"must be a number above 0, {most:g} at most")
    return number


def _count(place: Located, *, most: int = _MOST_DAYS) -> int:
    text = place.scalar()
    if not text.isdecimal() or not 1 <= int(text) <= most:
        place.refuse(f"must be a whole number from 1 to {most}")
    return int(text)
