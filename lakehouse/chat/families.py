"""Families of chat models: what they refuse, their output cap and their price, from families.yaml.

Belongs here: reading the table, finding a model in it, the cost of a call. Not here: which models are strong for
retrieval (see lakehouse/retrieval/downgrade.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from lakehouse.chat.request import Usage

_LOCAL = frozenset({"embedded", "ollama"})


@dataclass(frozen=True, slots=True)
class ChatFamily:
    """Attributes:
    family: Prefix of the models' names.
    refuses: Parameters that are left out.
    renames: Parameters by the name that the models take.
    max_output_tokens: Most tokens of an answer; None when unknown.
    input_usd, output_usd: Price of a million tokens; None when unknown.
    is_frontier: One of the largest, which audit.
    """

    family: str = ""
    refuses: frozenset[str] = frozenset()
    renames: Mapping[str, str] = field(default_factory=dict)
    max_output_tokens: int | None = None
    input_usd: float | None = None
    output_usd: float | None = None
    is_frontier: bool = False

    def cost_usd(self, usage: Usage, *, provider: str) -> float | None:
        """What a call cost; None when the family has no price. Local models cost nothing."""
        if provider in _LOCAL:
            return 0.0
        if self.input_usd is None or self.output_usd is None:
            return None
        return (usage.prompt_tokens * self.input_usd + usage.completion_tokens * self.output_usd) / 1e6


UNKNOWN = ChatFamily()
"""A model of no known family: everything is handed on, and its calls have no price."""


def family_of(model: str) -> ChatFamily:
    """The family of a model.

    Args:
        model: Its name with or without its maker (`openai/gpt-4o`) and tag (`gpt-oss:120b`).
    """
    name = model.lower().rsplit("/", 1)[-1].replace(":", "-")
    return next((family for family in _families() if name.startswith(family.family)), UNKNOWN)


@cache
def _families() -> tuple[ChatFamily, ...]:
    import yaml

    rows = yaml.safe_load(files("lakehouse.chat").joinpath("families.yaml").read_text("utf-8"))
    return tuple(sorted(map(_family, rows), key=lambda family: len(family.family), reverse=True))


def _family(row: Mapping[str, Any]) -> ChatFamily:
    price = row.get("usd_per_million", {})
    return ChatFamily(
        family=row["family"],
        refuses=frozenset(row.get("refuses", ())),
        renames=row.get("renames", {}),
        max_output_tokens=row.get("max_output_tokens"),
        input_usd=price.get("input"),
        output_usd=price.get("output"),
        is_frontier=row["frontier"],
    )
