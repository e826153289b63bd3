"""A count with its noun, as people read it: 1 row, 2 rows.

Belongs here: `counted`. Not here: other ways of writing numbers (see lakehouse_api/ui/formats.py).
"""

from __future__ import annotations

_VOWELS = "aeiou"
_HISSING = ("s", "x", "z", "ch", "sh")
_VERBS = {"is": "are", "was": "were", "has": "have", "does": "do"}


def counted(count: int, noun: str, verb: str = "") -> str:
    """Write a count, thousands apart, with its noun in the form that goes with it: "1 row", "12,345 new entries".

    Args:
        count: How many.
        noun: In the singular, a regular one; adjectives may stand before it.
        verb: What they do, as one of them does it: "1 row is", "2 rows are"; "" leaves it out.
    """
    if count == 1:
        return f"1 {noun} {verb}".rstrip()
    doing = _VERBS.get(verb, verb.removesuffix("s"))
    return f"{count:,} {_plural(noun)} {doing}".rstrip()


def _plural(noun: str) -> str:
    if noun.endswith("y") and noun[-2:-1] not in _VOWELS:
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(_HISSING) else f"{noun}s"
