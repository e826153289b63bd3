"""How near an answer is to what was expected.

`expected` is one of

    "a text"                      the same as {"text": "a text"}
    {"text": "…"}                 exact: the same words; score: F1 of words
    {"ids": ["17", …]}            exact: it names one of these records or more, and no other; score: the share of those
                                  that it names which are among them
    {"ids": […], "all": true}     exact: it names these records and no other; score: F1 of ids
    {"contains": ["…", …]}        exact: every phrase stands in it; score: the share that does
    {"number": 12}                exact: the only number in it, ids of records aside, is this one
    {"abstains": true}            exact: nothing was said, or that it is not known

An answer that was refused before it left names nothing and says nothing.

Belongs here: the rules. Not here: what counts as named (see lakehouse/answer: `Citation.is_used`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from lakehouse.errors import BadInput

_FORMS = ("text", "ids", "contains", "number", "abstains")
_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"(?<![\w.,-])-?\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\w])|(?<![\w.,-])-?\d+(?:\.\d+)?(?!\w)")
_NOT_KNOWN = re.compile(r"\b(?:do not|don't|cannot|can't) (?:know|say|tell)\b|\bnot known\b|\bunknown\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Match:
    """Whether an answer is what was expected, and how near it is, 0 to 1."""

    exact: bool
    score: float


@dataclass(frozen=True, slots=True)
class Said:
    """What an answer says.

    Attributes:
        text: Its words; None: it was refused.
        named: Ids of the records that it names.
        is_abstention: No model was asked, for nothing was found.
    """

    text: str | None
    named: Collection[str] = ()
    is_abstention: bool = False


def check_expected(expected: Any) -> None:
    """Refuse what `match_of` could not use; None is fine.

    Raises:
        BadInput: Says what is wrong.
    """
    if expected is None or (isinstance(expected, str) and expected.strip()):
        return
    if not isinstance(expected, Mapping):
        raise BadInput(f"expected must be a text, or an object with one of {', '.join(_FORMS)}")
    found = [form for form in _FORMS if form in expected]
    others = set(expected) - set(found) - ({"all"} if found == ["ids"] else set())
    if len(found) != 1 or others:
        raise BadInput(f"expected must have one of {', '.join(_FORMS)}, and nothing else (`all` beside `ids`)")
    form, value = found[0], expected[found[0]]
    is_bool = isinstance(value, bool)
    is_fine = {
        "text": isinstance(value, str) and bool(value.strip()),
        "ids": _are_texts(value),
        "contains": _are_texts(value),
        "number": isinstance(value, int | float) and not is_bool,
        "abstains": value is True,
    }[form]
    if not is_fine or not isinstance(expected.get("all", False), bool):
        raise BadInput(f"expected.{form} has a value that it cannot have")


def match_of(expected: Any, said: Said) -> Match | None:
    """Hold an answer against what was expected; None where nothing was."""
    if expected is None:
        return None
    wanted: Mapping[str, Any] = {"text": expected} if isinstance(expected, str) else expected
    if "abstains" in wanted:
        is_silent = said.is_abstention or said.text is None or _NOT_KNOWN.search(said.text) is not None
        return Match(is_silent, float(is_silent))
    if said.text is None or said.is_abstention:
        return Match(exact=False, score=0.0)
    if "ids" in wanted:
        return _ids(set(wanted["ids"]), set(said.named) | _filled(said.text), is_all=bool(wanted.get("all")))
    if "contains" in wanted:
        words = _plain(said.text)
        held = [f" {_plain(phrase)} " in f" {words} " for phrase in wanted["contains"]]
        return Match(all(held), sum(held) / len(held))
    if "number" in wanted:
        return _number(float(wanted["number"]), said)
    return _text(str(wanted["text"]), said.text)


def _ids(wanted: set[str], named: set[str], *, is_all: bool) -> Match:
    right = len(wanted & named)
    if not right:
        return Match(exact=False, score=0.0)
    precision = right / len(named)
    if not is_all:
        return Match(precision == 1, precision)
    recall = right / len(wanted)
    return Match(precision == recall == 1, 2 * precision * recall / (precision + recall))


def _number(wanted: float, said: Said) -> Match:
    """A count next to others, or an id that happens to be the number, is no answer."""
    numbers = [float(text.replace(",", "")) for text in _NUMBER.findall(said.text or "") if text not in said.named]
    is_it = bool(numbers) and all(number == wanted for number in numbers)
    return Match(is_it, float(is_it))


def _text(wanted: str, text: str) -> Match:
    one, other = _plain(wanted).split(), _plain(text).split()
    common = sum((Counter(one) & Counter(other)).values())
    score = 2 * common / (len(one) + len(other)) if common else 0.0
    return Match(one == other, score)


def _filled(text: str) -> set[str]:
    """Candidates of a fill."""
    if not text.lstrip().startswith("{"):
        return set()
    try:
        fills = orjson.loads(text).get("fills", ())
    except orjson.JSONDecodeError:
        return set()
    found: Sequence[Any] = fills if isinstance(fills, list) else ()
    return {str(fill["candidate_id"]) for fill in found if isinstance(fill, dict) and "candidate_id" in fill}


def _plain(text: str) -> str:
    return " ".join(_WORD.findall(text.casefold()))


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, str) and one.strip() for one in value)
