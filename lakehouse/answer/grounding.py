"""Grounding: an answer names only people, ids and records that it was shown.

A name is what surely is one: two or three capitalized words of which the first is a given name, or any such words after
a title. It must stand in the bundle or in the task. So must an id that an answer speaks of ("worker 1017", "id 1017"),
and a record's mark ("[3]").

Belongs here: the check. Not here: where the given names come from (see lakehouse/adapters/given_names.py).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection

_WORD = r"[^\W\d_][\w'’-]*"
_CAPITALIZED = r"(?:(?=[^\W\d_a-z])[^\W\d_]{1}[\w'’-]*)"
_RUN = re.compile(rf"{_CAPITALIZED}(?:[ \u00a0]+(?:{_CAPITALIZED}\.?)){{1,3}}")
_TITLED = re.compile(rf"\b(?:Mr|Mrs|Ms|Miss|Mx|Dr)\.?[ \u00a0]+((?:{_CAPITALIZED}[ \u00a0]*){{1,3}})")
# "id 17", "worker_id": "17", "candidate #17"; and "worker 1017", three digits at least: "a worker 40 hours" is none.
_ID = re.compile(
    r"\b(?:(?:worker|candidate|employee)s?[ _-]?)?(?:id\b|#)[\s\"':#=]{0,6}(?:is |no\.? ?)?([\w-]{0,40}\d[\w-]{0,40})"
    r"|\b(?:worker|candidate|employee)[ \u00a0](\d{3,40})\b",
    re.IGNORECASE,
)
_MARK = re.compile(r"\[(\d{1,3})\]")
_POSSESSIVE = re.compile(r"['’]s\b")
_MAX_CHARACTERS = 100_000


def ungrounded(answer: str, *, shown: str, task: str, ids: Collection[str], given_names: Collection[str]) -> str | None:
    """Why an answer is not grounded; None when it is.

    Args:
        answer: What the model said.
        shown: The bundle's text.
        task: What was asked: the caller may speak of whom they like.
        ids: Ids of the records that were shown.
        given_names: First names, in lower case and without accents.
    """
    if len(answer) > _MAX_CHARACTERS:
        return f"the answer has more than {_MAX_CHARACTERS:,} characters, too many to be checked"
    answer = _POSSESSIVE.sub("", answer)
    known = _folded(f"{shown}\n{task}")
    for name in _names(answer, given_names):
        if not _stands_in(name, known):
            return f"the answer names {name!r}, who is in none of the citations"
    for found in (by_id or by_number for by_id, by_number in _ID.findall(answer)):
        if found not in ids and re.search(rf"(?<![\w-]){re.escape(_folded(found))}(?![\w-])", known) is None:
            return f"the answer speaks of id {found[:60]!r}, which is in none of the citations"
    for mark in _MARK.findall(answer):
        if not 1 <= int(mark) <= len(ids) and f"[{mark}]" not in task:
            return f"the answer cites [{mark}], and {len(ids)} records were shown"
    return None


def _names(text: str, given_names: Collection[str]) -> list[str]:
    found = [match.group(1).strip() for match in _TITLED.finditer(text)]
    for match in _RUN.finditer(text):
        words = match.group().split()
        # A run may begin with the word that begins the sentence ("Contact Maria Lopez").
        for start in range(len(words) - 1):
            if _folded(words[start]) in given_names:
                found.append(" ".join(words[start : start + 3]))
                break
    return found


def _stands_in(name: str, known: str) -> bool:
    """Whether its first two words (one after a title) stand there next to each other, or as last and first."""
    words = [_folded(word).strip(".") for word in name.split()][:2]
    if len(words) == 1:
        return re.search(rf"\b{re.escape(words[0])}\b", known) is not None
    first, last = (re.escape(word) for word in words)
    return re.search(rf"\b{first}\b[\W_]{{0,3}}(?:\w\.? )?{last}\b|\b{last}\b, ?{first}\b", known) is not None


def _folded(text: str) -> str:
    """Without case and accents."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(sign for sign in decomposed if not unicodedata.combining(sign)).casefold()
