"""The downgrade gate: a strong asking model gets only context that is worth its attention.

The rule: `models.yaml` classes model families as `small` or `strong`, each with the measurement behind it. For a strong
model only results come back whose probability of relevance reaches the config's `strong_min_score` (in a corpus without
a calibration: whose nearness does, a score that does not depend on the other candidates), or that playbooks endorse,
and the answer says `downgraded` when that held any back. A small or unknown model gets everything: for it retrieval is
where the knowledge comes from.

Belongs here: the classes and the rule. Not here: scores (see matrix.py), the threshold (see search_config.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

ModelClass = Literal["small", "strong"]


@dataclass(frozen=True, slots=True)
class ModelFamily:
    """A family of models by the prefix of its names, its class, and the measurement behind the class."""

    family: str
    model_class: ModelClass
    evidence: str


@cache
def model_families() -> tuple[ModelFamily, ...]:
    """The families of models.yaml, longest prefix first."""
    import yaml

    rows = yaml.safe_load(files("lakehouse.retrieval").joinpath("models.yaml").read_text("utf-8"))
    families = (ModelFamily(str(row["family"]).lower(), row["class"], row["evidence"]) for row in rows)
    return tuple(sorted(families, key=lambda family: len(family.family), reverse=True))


def class_of_model(model: str | None) -> ModelClass:
    """The class of an asking model; `small` for none and for an unknown one.

    Args:
        model: A name with or without its provider (`openrouter/openai/gpt-4o`) and tag (`llama3.1-70b:cloud`).
    """
    if not model:
        return "small"
    name = model.lower().rsplit("/", 1)[-1].replace(":", "-")
    for family in model_families():
        if name.startswith(family.family):
            return family.model_class
    return "small"
