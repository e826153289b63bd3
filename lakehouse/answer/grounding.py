"""Grounding: an answer names only people, ids and records that it was shown.

Every person that an answer names (see names.py) must stand in the bundle or in the task. So must every id that it
speaks of ("worker 1017", "id 1017", "#1017", "W-1017"), and a mark of a record ("[3]") must be one of those shown. An
id that is given right behind a name must be that person's, and not another one's who was shown.

Belongs here: the check. Not here: what a name is (see names.py).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from lakehouse.answer.names import KnownNames, NameLists, names_in, readable
from lakehouse.counted import counted

_MAX_CHARACTERS = 20_000
_VALUE = r"[\w-]{0,40}\d[\w-]{0,40}"
# "id 17", "worker_id": "17", "ids 17 and 18", "#17", "badge no. 17"; "worker 1017" without a mark has three digits at
# least: "a worker 40 hours" is none.
_HEAD = (
    r"\b(?:worker|candidate|employee|person)s?[ _-]?(?:id\b|no\b|number\b|#)"
    r"|(?:\b|_)(?:ids?|identifier|badge|record)\b|#"
)
_IS = r"[\s.:=#]{0,4}(?:(?:is|are|no|number|of)\b[\s.:=#]{0,4}){0,2}"
_ID = re.compile(rf"(?:{_HEAD}){_IS}({_VALUE}(?:(?: ?[,/&] ?| and | or ){_VALUE}){{0,20}})", re.IGNORECASE)
_NUMBERED = re.compile(
    r"\b(?:worker|candidate|employee|person)s?[\s:#-]{1,3}(\d{3,40}(?:(?: ?[,/&] ?| and | or )\d{3,40}){0,20})\b",
    re.IGNORECASE,
)
_LETTERED = re.compile(r"(?<![\w-])([A-Za-z]{1,2}-\d{3,})\b")
_SPLIT = re.compile(r" ?[,/&] ?| and | or ", re.IGNORECASE)
_MARK = re.compile(r"\[(\d{1,9}(?: ?, ?\d{1,9}){0,20})\]")
_SHOWN = re.compile(r"^(.{1,200}?) \(id ([^()]{1,200})\):", re.MULTILINE)  # as bundle.py begins the line of a record
_BEHIND = r"[\s,]{1,2}\(?(?:worker[ _-]?)?id[\s:#]{1,3}([\w-]{1,200})"
_MARKUP = re.compile(r"[*`\"'“”‘’()\[\]{}<>|]")


def ungrounded(answer: str, *, shown: str, task: str, ids: Collection[str], lists: NameLists) -> str | None:
    """Why an answer is not grounded; None when it is.

    Args:
        answer: What the model said.
        shown: The bundle's text.
        task: What was asked: the caller may speak of whom they like.
        ids: Ids of the records that were shown.
        lists: Which words are names.
    """
    if len(answer) > _MAX_CHARACTERS:
        return f"the answer has more than {_MAX_CHARACTERS:,} characters, too many to be checked"
    seen, known = readable(answer), KnownNames(f"{shown}\n{task}")
    for text, name in names_in(seen, lists):
        if not known.has(name):
            return f"the answer names {text[:80]!r}, who is in none of the citations"
    stands = readable(f"{shown}\n{task}").casefold()
    there = {one.casefold() for one in ids}
    for found in _ids(seen):
        if found not in there and re.search(rf"(?<![\w-]){re.escape(found)}(?![\w-])", stands) is None:
            return f"the answer speaks of id {found[:60]!r}, which is in none of the citations"
    if (pair := _of_another(seen, shown)) is not None:
        return f"the answer gives {pair[0][:80]!r} the id {pair[1][:60]!r}, which is another record's"
    for marks in _MARK.findall(seen):
        for mark in _SPLIT.split(marks):
            is_shown = 1 <= int(mark) <= len(ids) or mark in there
            if not is_shown and f"[{mark}]" not in task:
                return f"the answer cites [{mark}], and {counted(len(ids), 'record', 'was')} shown"
    return None


def _of_another(seen: str, shown: str) -> tuple[str, str] | None:
    """A name with an id behind it that was shown as somebody else's; two people may be called the same."""
    people: dict[str, set[str]] = {}
    for name, record_id in _SHOWN.findall(shown):
        people.setdefault(name.casefold(), set()).add(record_id.casefold())
    others = frozenset().union(*people.values()) if people else frozenset()
    for name, own in people.items():
        for found in re.finditer(rf"(?<!\w)({re.escape(name)}){_BEHIND}", seen, re.IGNORECASE):
            if found[2].casefold() in others - own:
                return found[1], found[2]
    return None


def _ids(seen: str) -> Iterator[str]:
    bare = _MARKUP.sub("", seen)
    for pattern in (_ID, _NUMBERED, _LETTERED):
        for found in pattern.findall(bare):
            yield from (one.strip("-_").casefold() for one in _SPLIT.split(found))
