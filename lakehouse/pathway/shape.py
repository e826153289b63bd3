"""The shape of a task: its words without what it is about, so that two tasks that ask the same of others are alike.

`Which welder in Toledo, OH holds AWS D1.1?` was asked of records whose fields say what is a role and what a city; what
stands in them gives way to the name of its field: `which <role> in <city> <state> holds <certifications>`.

Belongs here: making shapes, comparing them. Not here: where they are kept (see lakehouse/distillation/fold_back.py),
which traces they choose (see
lakehouse/answer/recall.py).
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

_MIN_CHARACTERS, _MAX_CHARACTERS = 2, 60
# As short as `IN` and `OR` a value in capitals is a code, and its like in small letters a word.
_CODE_CHARACTERS = 3
_MAX_VALUES = 2_000
_MAX_TASK = 2_000
_MAX_SHAPE = 400
_WORD = re.compile(r"<[^<>\s]{1,60}>|\w+(?:['’]\w+)?")
_SPACE = re.compile(r"\s+")
TAG = "shape:"


def shape_of(task: str, found: Iterable[Mapping[str, Any]], *, kind: str | None = None) -> str:
    """The shape of a task, `kind: words` where its answer has a kind; empty for a task too long to be of a form.

    Args:
        task: What was asked.
        found: The fields of the records that were found for it: they say what its words are.
        kind: What the answer is validated as: a fill, an e-mail.
    """
    if len(task) > _MAX_TASK:
        return ""
    names = _names_of_values(found)
    masked = task
    if names:
        longest = sorted(names, key=lambda value: (-len(value), value))
        pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(_pattern_of, longest))})(?!\w)", re.IGNORECASE)
        masked = pattern.sub(lambda found: f" <{_name_of(found.group(), names)}> ", masked)
    words = " ".join(_WORD.findall(masked.casefold()))[:_MAX_SHAPE]
    return f"{kind}: {words}" if kind and words else words


def kind_of(shape: str) -> str:
    """The kind of a shape; empty for one whose answer is a text like any other."""
    return shape.partition(": ")[0] if ": " in shape else ""


def shape_tag(shape: str) -> str:
    """The tag of all traces of a shape."""
    return TAG + hashlib.sha256(shape.encode()).hexdigest()[:24]


def alike(one: str, other: str) -> float:
    """How alike two shapes are, 0 to 1: the share of words and of pairs of words that they have in common.

    Source: Dice 1945, over unigrams and bigrams.
    """
    first, second = _parts(one), _parts(other)
    total = first.total() + second.total()
    return 2 * (first & second).total() / total if total else 0.0


def _parts(shape: str) -> Counter[tuple[str, ...]]:
    words = shape.split()
    return Counter([*((word,) for word in words), *pairwise(words)])


def _pattern_of(value: str) -> str:
    return f"(?-i:{re.escape(value)})" if is_code(value) else re.escape(value)


def _name_of(value: str, names: Mapping[str, str]) -> str:
    return names.get(value) or names.get(value.casefold(), "value")  # a letter may have several of the other case


def is_code(value: str) -> bool:
    """Whether a value is a code like `IN` and `OR`, whose like in small letters is a word."""
    return len(value) <= _CODE_CHARACTERS and value.isupper()


def _names_of_values(found: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """By value, in lower case but for codes, the name of its field; of several the first in the alphabet."""
    names: dict[str, str] = {}
    for fields in found:
        _add_values(names, fields)
    return names


def _add_values(names: dict[str, str], fields: Mapping[str, Any]) -> None:
    for key, value in fields.items():
        name = _SPACE.sub("_", str(key).strip().casefold())[:60]
        for one in value if isinstance(value, Sequence) and not isinstance(value, str) else (value,):
            text = one.strip() if isinstance(one, str) else ""
            text = text if is_code(text) else text.casefold()
            is_a_value = _MIN_CHARACTERS <= len(text) <= _MAX_CHARACTERS and any(c.isalnum() for c in text)
            if is_a_value and (text in names or len(names) < _MAX_VALUES):
                names[text] = min(name, names.get(text, name))
