"""Signs in what a run said and did, as regular expressions of signs.yaml.

Belongs here: reading them. Not here: where they are looked for (see lakehouse/adapters/scoring_facts.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from lakehouse.yaml_lines import read_document


@dataclass(frozen=True, slots=True)
class Signs:
    """Expressions in RE2: an answer of a tool that is an error, a tool that hands over, an answer that gives up."""

    tool_error: str
    hands_over: str
    gives_up: str


@cache
def default_signs() -> Signs:
    """The signs of the platform."""
    text = files("lakehouse.scoring").joinpath("signs.yaml").read_text("utf-8")
    members = read_document(text, name="signs.yaml").members(required=("tool_error", "hands_over", "gives_up"))
    return Signs(**{name: place.scalar() for name, place in members.items()})
