"""The mix: six kinds of scenarios, their shares, and an order of them that is random and exact.

Source: ARCHITECTURE.md section 3, "The load mix".

Belongs here: kinds, shares, order. Not here: what a scenario asks (see scenarios.py).
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from enum import StrEnum

from lakehouse.errors import BadInput

_MOST_WEIGHT = 1000


class ScenarioKind(StrEnum):
    """What is played, in the words of reports."""

    SEARCH_EMAIL = "cold search, validate e-mail"
    FILL_RECORD = "search, fill, record playbook"
    EXCLUDE = "search, search with exclusions"
    REPEAT = "one search five times"
    SMS = "validate SMS"
    RECORD_AGAIN = "cold search, record, search again"


class RequestKind(StrEnum):
    """What is asked in one request, in the words of reports."""

    SEARCH = "search"
    SEARCH_COLD = "search, never asked before"
    SEARCH_EXCLUDING = "search with exclusions"
    SEARCH_REPEATED = "search, repeated"
    SEARCH_RECORDED = "search after its record"
    VALIDATE_EMAIL = "validate e-mail"
    VALIDATE_SMS = "validate SMS"
    VALIDATE_FILL = "validate fill"
    RECORD = "record playbook"
    FORGET = "forget playbook"


REPEATS = 5
# Of so many scenarios in a row each kind has exactly its share, whatever the seed.
BLOCK = 20
SHARES: Mapping[ScenarioKind, int] = {
    ScenarioKind.SEARCH_EMAIL: 7,
    ScenarioKind.FILL_RECORD: 3,
    ScenarioKind.EXCLUDE: 3,
    ScenarioKind.REPEAT: 3,
    ScenarioKind.SMS: 2,
    ScenarioKind.RECORD_AGAIN: 2,
}
REQUESTS: Mapping[ScenarioKind, int] = {
    ScenarioKind.SEARCH_EMAIL: 2,
    ScenarioKind.FILL_RECORD: 3,
    ScenarioKind.EXCLUDE: 2,
    ScenarioKind.REPEAT: REPEATS,
    ScenarioKind.SMS: 1,
    ScenarioKind.RECORD_AGAIN: 3,
}


def kinds(draw: random.Random, shares: Mapping[ScenarioKind, int] = SHARES) -> Iterator[ScenarioKind]:
    """Yield kinds without end: block by block, each block shuffled, each kind in it as often as its share says."""
    block = [kind for kind, share in shares.items() for _ in range(share)]
    while True:
        draw.shuffle(block)
        yield from block


def read_mix(text: str) -> dict[ScenarioKind, int]:
    """Read weights by name, such as `search_email=35,sms=10`; kinds that are not named are not played.

    Args:
        text: `name=weight`, with commas between; names are those of `ScenarioKind` in small letters, weights whole
            numbers from 0 to 1000.

    Returns:
        The shares in the smallest whole numbers; more than none is above zero.

    Raises:
        BadInput: A name is unknown or comes twice, a weight is none, or all are zero.
    """
    names = {kind.name.lower(): kind for kind in ScenarioKind}
    weights: dict[ScenarioKind, int] = {}
    for part in text.split(","):
        name, is_given, weight = (piece.strip() for piece in part.partition("="))
        if not is_given or name not in names:
            raise BadInput(
                f"{part.strip()!r} is not a share of the mix; write NAME=WEIGHT, names are {', '.join(names)}"
            )
        if names[name] in weights:
            raise BadInput(f"{name!r} comes twice in the mix; give it one weight")
        if not (weight.isascii() and weight.isdigit() and int(weight) <= _MOST_WEIGHT):
            raise BadInput(f"{weight!r} is not a weight of {name!r}; give a whole number from 0 to {_MOST_WEIGHT}")
        weights[names[name]] = int(weight)
    common = math.gcd(*weights.values())
    if common == 0:
        raise BadInput("all weights of the mix are zero, so that nothing would be played; give one that is not")
    return {kind: weight // common for kind, weight in weights.items() if weight}
