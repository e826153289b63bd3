"""The mix: six kinds of scenarios, their shares, and an order of them that is random and exact.

Source: ARCHITECTURE.md section 3, "The load mix".

Belongs here: kinds, shares, order. Not here: what a scenario asks (see scenarios.py).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from enum import StrEnum


class ScenarioKind(StrEnum):
    """What is played, in the words of reports."""

    SEARCH_EMAIL = "search, validate e-mail"
    FILL_RECORD = "validate fill, record playbook"
    EXCLUDE = "search, search with exclusions"
    REPEAT = "one search five times"
    SMS = "validate SMS"
    RECORD_AGAIN = "search, record, search again"


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
    ScenarioKind.FILL_RECORD: 2,
    ScenarioKind.EXCLUDE: 2,
    ScenarioKind.REPEAT: REPEATS,
    ScenarioKind.SMS: 1,
    ScenarioKind.RECORD_AGAIN: 3,
}


def kinds(draw: random.Random) -> Iterator[ScenarioKind]:
    """Yield kinds without end: block by block, each block shuffled."""
    block = [kind for kind, share in SHARES.items() for _ in range(share)]
    while True:
        draw.shuffle(block)
        yield from block
