"""People whose names are known: where one of them is named in a text.

A name is found as its words in their order, whatever case, accents and blanks. Only names of two words or more are
looked for: a first name alone is a word of every day.

Belongs here: the lookup. Not here: where the names come from (the caller has a roster), what is put in their place (see
scrub.py).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from lakehouse.validation.names import name_words
from lakehouse.validation.personal_spans import PersonalSpan
from lakehouse.validation.plain_text import plain, plain_with_origins

_WORD = re.compile(r"[^\W_]+")
_MIN_WORDS = 2
_MIN_PART = 3


class KnownNames:
    """Names for lookups; a text is looked through once, whatever the number of names.

    Args:
        names: Full names; those of one word are left out.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._by_first: dict[str, list[tuple[str, ...]]] = {}
        kept = {words for name in names if len(words := name_words(name)) >= _MIN_WORDS}
        for words in sorted(kept, key=lambda w: (-len(w), w)):
            self._by_first.setdefault(words[0], []).append(words)
        self.fingerprint = hashlib.sha256("\n".join(" ".join(words) for words in sorted(kept)).encode()).hexdigest()
        """SHA-256 hex over the names, the same whatever their order."""

    def spans(self, text: str) -> list[PersonalSpan]:
        """Where a name is, each place once, the longest name first."""
        if not self._by_first:
            return []
        seen = plain(text)
        words = [(match.group().casefold(), *match.span()) for match in _WORD.finditer(seen)]
        found = []
        place = 0
        while place < len(words):
            length = self._length_at(words, place)
            if length:
                found.append((words[place][1], words[place + length - 1][2]))
            place += length or 1
        if found and seen is not text:
            _, origins = plain_with_origins(text)
            found = [(origins[start], origins[end - 1] + 1) for start, end in found]
        return [PersonalSpan("name", start, end) for start, end in found]

    def _length_at(self, words: list[tuple[str, int, int]], place: int) -> int:
        for name in self._by_first.get(words[place][0], ()):
            if tuple(word for word, _, _ in words[place : place + len(name)]) == name:
                return len(name)
        return 0


def parts_of(name: str) -> list[str]:
    """Words of a name, in capitals as names are written, that may stand for it where the whole name was said."""
    return [word[0].upper() + word[1:] for word in _WORD.findall(name) if len(word) >= _MIN_PART]
