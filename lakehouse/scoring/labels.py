"""Labels: what words of people and models about a run mean, by a written table; what is not in it is not guessed.

Case does not count, and neither do blanks at the ends; blanks and underscores within are one blank.

Belongs here: reading labels.yaml, folding. Not here: where labels stand in records (see
lakehouse/adapters/scoring_testimony.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from lakehouse.scoring.facts import SAYS
from lakehouse.yaml_lines import read_document

UNREAD = "unread"
NOTHING = "nothing"
"""A label that says that nothing is known yet."""
MEANINGS = (*(says for says in SAYS if says != UNREAD), NOTHING)


@dataclass(frozen=True, slots=True)
class Labels:
    """What each folded label means: one of `MEANINGS`."""

    meaning: Mapping[str, str]


def fold(label: str) -> str:
    """A label as it stands in the table; `fold_sql` does the same."""
    return " ".join(label.lower().replace("_", " ").split())


def fold_sql(label: str) -> str:
    """SQL of a folded label.

    Args:
        label: SQL of a text.
    """
    return f"trim(regexp_replace(lower({label}), '[\\s_]+', ' ', 'g'))"


@cache
def default_labels() -> Labels:
    """The table of the platform, from labels.yaml."""
    return load_labels(files("lakehouse.scoring").joinpath("labels.yaml").read_text("utf-8"), name="labels.yaml")


def load_labels(text: str, *, name: str) -> Labels:
    """Read a table of labels.

    Args:
        text: YAML: a list of labels for each meaning.
        name: What the file is called in messages.

    Raises:
        BadInput: A meaning is unknown or missing, or a label stands twice; the field `line` says where.
    """
    meaning: dict[str, str] = {}
    for means, place in read_document(text, name=name).members(required=MEANINGS).items():
        for item in place.items():
            label = item.scalar()
            if label != fold(label):
                item.refuse(f"{label!r} can never be found; write it as {fold(label)!r}")
            if label in meaning:
                item.refuse(f"{label!r} stands twice, here and as {meaning[label]}")
            meaning[label] = means
    return Labels(meaning)
