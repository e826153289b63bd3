"""Whether two contents say the same: the junk that fills a memory is what it knows already.

Two digests of a document. Its **fingerprint** is the same where every name, text and number is the same, as written,
in whatever order the names stand. Its **wording** takes texts word by word: case, punctuation at the edges of words,
spaces and a few words that carry nothing make no difference.

Nothing wider: embeddings hardly tell `worker 1017` from `worker 1018`, or `do` from `do not`, stems do not tell what
was confirmed from what is to be, and one word of twenty may be the trade that is looked for.

Belongs here: the digests. Not here: reading documents (see content.py), what becomes of twins (see desk.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any

# In lower case alone: `IT`, `option A` and `Will` are names.
FILLERS = frozenset({"a", "an", "the", "please", "and", "of", "also", "then", "just", "very", "really", "quite"})
_OPENERS = frozenset({"The", "Please", "And", "Then", "Also", "An"})
_EDGES = ".,;:!\"'()…—–“”‘’„«»"
_ALONE = frozenset("-–—…·•*")


class Number(str):
    """A number as it was written."""

    __slots__ = ()


def fingerprint_of(value: Any) -> bytes:
    """The digest of a document as it is, whatever the order of names."""
    return _digest(value, str)


def wording_of(value: Any) -> bytes:
    """The digest of what a document says, word by word.

    Args:
        value: As JSON gives it, numbers as `Number`.
    """
    return _digest(value, said)


def said(text: str) -> str:
    """The words of a text that say something, in its order; those of a text of fillers are all of them."""
    words = text.split()
    return " ".join(filter(None, map(_said, words))) or " ".join(words)


@lru_cache(maxsize=1 << 16)
def _said(word: str) -> str:
    """A word without what makes no difference; empty when nothing is left."""
    bare = word.strip(_EDGES)
    if not bare:
        return ""
    if not any(c.isalnum() for c in bare):  # a sign: `!=` is none of `=`
        return "" if word in _ALONE else word
    if bare in FILLERS or bare in _OPENERS:
        return ""
    # `AbC` and `aBc` may be two keys: only words in ordinary case are folded.
    is_ordinary = bare.islower() or bare.isupper() or bare[1:].islower() or len(bare) == 1
    return bare.casefold() if is_ordinary and bare.isalpha() and len(bare) > 1 else bare


def _digest(value: Any, said_of: Callable[[str], str]) -> bytes:
    # A text is preceded by its length, so that no two documents give the same sequence.
    parts: list[str] = []
    waiting: list[tuple[bool, Any]] = [(False, value)]
    while waiting:
        is_name, one = waiting.pop()
        if is_name:
            parts.append(f"k{len(one)}:{one}")
        elif isinstance(one, Number):
            parts.append(f"n{len(one)}:{one}")
        elif isinstance(one, str):
            said_text = said_of(one)
            parts.append(f"s{len(said_text)}:{said_text}")
        elif isinstance(one, dict):
            parts.append(f"{{{len(one)}:")
            for name in sorted(one, reverse=True):
                waiting += [(False, one[name]), (True, name)]
        elif isinstance(one, list):
            parts.append(f"[{len(one)}:")
            waiting += [(False, item) for item in reversed(one)]
        else:
            parts.append(f"l{one}:")
    return hashlib.sha256("".join(parts).encode("utf-8", "surrogatepass")).digest()
