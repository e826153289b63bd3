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
from collections.abc import Callable, Iterator
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
    return _digest(value, lambda text: [text])


def wording_of(value: Any) -> bytes:
    """The digest of what a document says, word by word.

    Args:
        value: As JSON gives it, numbers as `Number`.
    """
    return _digest(value, said_words)


def said_words(text: str) -> list[str]:
    """The words of a text that say something, in its order; those of a text of fillers are all of them."""
    words = text.split()
    said = [word for word in map(_said, words) if word]
    return said or words


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


def _digest(value: Any, words_of: Callable[[str], list[str]]) -> bytes:
    digest = hashlib.sha256()
    for kind, text in _parts(value, words_of):
        encoded = text.encode("utf-8", "surrogatepass")
        digest.update(b"%c%d:" % (kind, len(encoded)))
        digest.update(encoded)
    return digest.digest()


def _parts(value: Any, words_of: Callable[[str], list[str]]) -> Iterator[tuple[bytes, str]]:
    """A document as a sequence that no other document has: each part with its kind."""
    waiting: list[tuple[bytes, Any]] = [(b"v", value)]
    while waiting:
        kind, one = waiting.pop()
        if kind != b"v":
            yield kind, one
        elif isinstance(one, Number):
            yield b"n", one
        elif isinstance(one, str):
            words = words_of(one)
            yield b"s", str(len(words))
            for word in words:
                yield b"w", word
        elif isinstance(one, dict):
            yield b"{", str(len(one))
            for name in sorted(one, reverse=True):
                waiting += [(b"v", one[name]), (b"k", name)]
        elif isinstance(one, list):
            yield b"[", str(len(one))
            waiting += [(b"v", item) for item in reversed(one)]
        else:
            yield b"l", repr(one)
