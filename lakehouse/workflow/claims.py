"""Claims of a text, passages that may bear them out, and whether the words do.

A model that says "yes" to everything must not make a claim true: a passage bears a claim out only when most of the
claim's words stand in it, every number does, and it denies what the claim denies and nothing that the claim says.

Belongs here: splitting, comparing words. Not here: asking a model (see modes_judging.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from lakehouse.errors import BadInput

MAX_CLAIMS = 20
MAX_PASSAGES = 50
_PASSAGE_CHARACTERS = 4000
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=\S)|\n+")
_BULLET = re.compile(r"^\s*(?:[-*•]|\d{1,3}[.)])\s+")
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*(?:[.,]\d+)*")
_PART = re.compile(r"(?<=[.!?;])\s+|\n+")
_DENIALS = frozenset({"not", "no", "never", "none", "nobody", "nothing", "neither", "nor", "without", "cannot"})
_SMALL = frozenset(
    {
        "a", "an", "and", "are", "as", "at", "be", "been", "but", "by", "can", "did", "do", "does", "for", "from",
        "had", "has", "have", "he", "her", "his", "i", "in", "is", "it", "its", "may", "of", "on", "or", "our", "she",
        "so", "some", "than", "that", "the", "their", "them", "there", "they", "this", "to", "was", "we", "were",
        "which", "who", "will", "with", "you", "your",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Overlap:
    """How much of a claim stands in a passage: the share of its words, the numbers that do not.

    `is_contrary`: the part of the passage that says most of the claim denies, and the claim does not, or the other way
    round.
    """

    share: float
    missing_numbers: tuple[str, ...]
    is_contrary: bool = False


def claims_of(text: str) -> list[str]:
    """The sentences of a text that say something.

    Raises:
        BadInput: There are none, or too many.
    """
    sentences = [_BULLET.sub("", part).strip() for part in _SENTENCE.split(text)]
    found = [sentence for sentence in sentences if _content(sentence)]
    if not found:
        raise BadInput("the text holds no claim: no sentence says anything")
    if len(found) > MAX_CLAIMS:
        raise BadInput(f"the text has {len(found)} sentences; at most {MAX_CLAIMS} are checked. Send it in parts")
    return found


def passages_of(context: Any) -> list[str]:
    """The passages of a context: a text, or a list of texts and records.

    Raises:
        BadInput: There is none, or too many.
    """
    items = context if isinstance(context, list) else [context]
    texts = [one if isinstance(one, str) else _record_text(one) for one in items]
    texts = [text.strip()[:_PASSAGE_CHARACTERS] for text in texts if text.strip()]
    if not texts:
        raise BadInput("the context is empty: there is nothing that claims could be checked against", field="context")
    if len(texts) > MAX_PASSAGES:
        raise BadInput(f"the context has {len(texts)} passages; at most {MAX_PASSAGES} are read", field="context")
    return texts


def overlap(claim: str, passage: str) -> Overlap:
    """How much of a claim stands in a passage."""
    wanted, there = _content(claim), _content(passage)
    numbers = tuple(sorted(word for word in wanted if any(sign.isdigit() for sign in word) and word not in there))
    share = sum(word in there for word in wanted) / max(1, len(wanted))
    return Overlap(share, numbers, _is_contrary(claim, wanted, passage))


def best_passages(claim: str, passages: Sequence[str], *, most: int) -> list[int]:
    """Places of the passages that share most with a claim, best first."""
    ranked = sorted(range(len(passages)), key=lambda place: (-overlap(claim, passages[place]).share, place))
    return ranked[:most]


def _is_contrary(claim: str, wanted: frozenset[str], passage: str) -> bool:
    said = wanted - _DENIALS
    parts = [(len(said & _content(part)), _denies(part)) for part in _PART.split(passage)]
    most = max(shared for shared, _ in parts)
    return most > 0 and all(denies != _denies(claim) for shared, denies in parts if shared == most)


def _denies(text: str) -> bool:
    words = (word.casefold().replace("’", "'") for word in _WORD.findall(text))
    return any(word in _DENIALS or word.endswith("n't") for word in words)


def _content(text: str) -> frozenset[str]:
    """Words that carry meaning, folded; a plural counts as its singular."""
    words = (word.casefold().replace("’", "'") for word in _WORD.findall(text))
    return frozenset(_stem(word) for word in words if word not in _SMALL)


def _stem(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _record_text(record: Any) -> str:
    """A record as words: of a search result its metadata."""
    if isinstance(record, Mapping):
        fields = record.get("metadata") if isinstance(record.get("metadata"), Mapping) else record
        assert isinstance(fields, Mapping)
        return "; ".join(f"{name} {_word(value)}" for name, value in fields.items() if value not in (None, "", [], {}))
    return _word(record)


def _word(value: Any) -> str:
    if isinstance(value, str):
        return " ".join(value.split())
    if isinstance(value, list):
        return ", ".join(_word(one) for one in value)
    return orjson.dumps(value).decode()
