"""Names of people in a text, as sure as can be said without knowing the people.

A given name and the capitalized word after it are a name, unless that word is a month, a state or part of a place.
Where more than spaces and markup lies between two words (a comma, a line break, a slash), both must be known as names;
likewise in lower case, for an initial before a family name, for a family name before a given one, and for words that
are a month or a place as well. A title makes a name of what follows. One given name alone is none.

Belongs here: finding names, and whether a name stands in another text. Not here: what is done about it (see
grounding.py), where the lists come from (see lakehouse/adapters/name_lists.py).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from lakehouse.validation.plain_text import plain, unmarked

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]{2,})*")
_ACRONYM = 4
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_POSSESSIVE = re.compile(r"['’]s\b", re.IGNORECASE)
# Between the words of one name: blanks and markup; and what may also stand between two other words.
_CLOSE = re.compile(r"[ \t*_`\"“”~|]{1,12}")
_LOOSE = re.compile(r"[\s*_`\"“”'’~|,:/\\&()\[\]{}<>-]{1,12}|\.")
_TITLES = frozenset({"mr", "mrs", "ms", "miss", "mx", "dr", "prof", "professor", "sir", "madam", "senor", "senora"})
_PARTICLES = frozenset(
    {"de", "la", "del", "las", "los", "van", "von", "der", "den", "da", "di", "do", "dos", "al", "el", "bin", "st"}
)
# What follows a given name in a place, a date, a phrase.
_NO_FAMILY_TEXT = """
january february march april may june july august september october november december monday tuesday wednesday
thursday friday saturday sunday north south east west northern southern eastern western beach city springs county
street avenue road drive lane park falls hills heights valley village island river lake creek bay port state college
university hospital airport station plaza court period call down up and the is can will with for from has was card id
san santa saint fort los las dear best shift role worker electrician operator driver welder manager alabama alaska
arizona arkansas california colorado
connecticut delaware florida georgia hawaii idaho illinois indiana iowa kansas kentucky louisiana maine maryland
massachusetts michigan minnesota mississippi missouri montana nebraska nevada hampshire jersey mexico york carolina
dakota ohio oklahoma oregon pennsylvania rhode tennessee texas utah vermont virginia washington wisconsin wyoming
"""
_NO_FAMILY = frozenset(_NO_FAMILY_TEXT.split())
# Words of every day that are names, too: in lower case they are words, and else need a family name after them.
_EVERYDAY_TEXT = """
sales line marine first loan file over job aid aide page forest urban spring rod crystal manual jewel prof over force
will mark may june april august grant bill rich drew chase hope joy grace faith rose dawn eve iris ivy art guy sue
pat rob nick jack frank dean earl duke miles summer autumn robin dale glen cliff heath brook lance case young long
white brown black green gray grey king price day best good rice page field short sharp small strong wise noble moon
love hunt park hall hill wood woods banks bush church cook baker carpenter mason miller taylor smith potter turner
walker hunter fisher porter carter cooper weaver gardener driver ray jean christian angel star victor major
"""
_EVERYDAY = frozenset(_EVERYDAY_TEXT.split())


@dataclass(frozen=True, slots=True)
class NameLists:
    """Given and family names, in lower case and without accents."""

    given: Collection[str]
    family: Collection[str]


@dataclass(frozen=True, slots=True)
class _Found:
    text: str
    folded: str
    gap: str

    @property
    def is_capitalized(self) -> bool:
        return self.text[0] != self.text[0].lower()


class KnownNames:
    """The words of what was shown and asked, for looking names up."""

    def __init__(self, text: str) -> None:
        self._words: set[str] = set()
        self._pairs: set[tuple[str, str]] = set()
        for line in readable(text).splitlines():
            words = [found.folded for found in _words(line)]
            self._words.update(words)
            for step in (1, 2, 3):
                between = [words[n + 1 : n + step] for n in range(len(words) - step)]
                ends = zip(words, words[step:], between, strict=False)
                self._pairs.update((a, b) for a, b, inner in ends if all(_is_filler(word) for word in inner))

    def has(self, name: tuple[str, ...]) -> bool:
        """Whether a name stands there: first and last in either order, an initial for a first name, or one word."""
        if len(name) == 1:
            return name[0] in self._words
        first, last = name
        if (first, last) in self._pairs or (last, first) in self._pairs:
            return True
        return len(first) == 1 and any(a.startswith(first) and b == last for a, b in self._pairs)


def readable(text: str) -> str:
    """A text as a reader sees it: no tags, no invisible characters, no accents, no `'s`."""
    seen = plain(unmarked(text) or text)
    return _POSSESSIVE.sub("", seen)


def names_in(text: str, lists: NameLists) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every name in a text: as it stands there, and its first and last word (or the one after a title).

    Args:
        text: As `readable` gives it.
        lists: Which words are names.
    """
    words = list(_words(text))
    for n, word in enumerate(words):
        rest = words[n + 1 : n + 6]
        if word.folded in _TITLES and rest and rest[0].gap.strip(" .\t*_\u00a0") == "":
            if rest[0].is_capitalized and rest[0].folded not in _NO_FAMILY:
                yield f"{word.text} {rest[0].text}", (rest[0].folded,)
            continue
        if len(word.text) == 1 and n and words[n - 1].is_capitalized and word.gap.strip() == "":
            continue  # in the middle of a name that was looked at already
        last = _last_of(word, rest, lists)
        if last is not None:
            yield f"{word.text} {last.text}", (word.folded, last.folded)
            third = next(iter(rest[rest.index(last) + 1 :]), None)
            if third is not None and _CLOSE.fullmatch(third.gap) and _is_family(third, lists):
                yield f"{word.text} {last.text} {third.text}", (last.folded, third.folded)


def _last_of(word: _Found, rest: list[_Found], lists: NameLists) -> _Found | None:
    """The family name that belongs to a word, if that begins a name."""
    is_close, candidate, before = True, None, word
    for other in rest[:4]:
        gap = other.gap.removeprefix(".") if len(before.text) == 1 else other.gap  # "J. Miller"
        is_close = is_close and (gap == "" or _CLOSE.fullmatch(gap) is not None)
        if not is_close and _LOOSE.fullmatch(gap) is None:
            return None
        candidate = before = other
        if not _is_filler(other.folded) and not _is_nickname(other, rest, lists):
            break
    if candidate is None or len(candidate.folded) < 2 or _is_filler(candidate.folded):
        return None
    is_family = _is_family(candidate, lists)
    if len(word.text) == 1:
        return candidate if word.is_capitalized and is_family and candidate.is_capitalized else None
    # "WAN Engineer" names nobody, "May Jones" does.
    is_acronym = word.text.isupper() and len(word.text) <= _ACRONYM and not candidate.text.isupper()
    is_word = is_acronym or word.folded in _NO_FAMILY or word.folded in _EVERYDAY
    if word.folded in lists.given:
        if word.is_capitalized and candidate.is_capitalized and (is_close or is_family):
            return candidate if (is_family or not is_word) and candidate.folded not in _NO_FAMILY else None
        return candidate if is_family and not is_word and not word.is_capitalized else None
    is_reversed = word.folded in lists.family and candidate.folded in lists.given
    is_named = word.is_capitalized and candidate.is_capitalized and candidate.folded not in _NO_FAMILY
    return candidate if is_reversed and is_named and word.folded not in _NO_FAMILY else None


def _is_family(word: _Found, lists: NameLists) -> bool:
    return word.folded in lists.family


def _is_filler(folded: str) -> bool:
    """What may stand between the first and the last word of a name."""
    return len(folded) == 1 or folded in _PARTICLES


def _is_nickname(word: _Found, rest: list[_Found], lists: NameLists) -> bool:
    """`Robert "Bob" Miller`, `Robert (Bob) Miller`: a name in quotes or brackets, and another one after it."""
    after = next(iter(rest[rest.index(word) + 1 :]), None)
    return (
        after is not None
        and word.gap.strip()[:1] in ('"', "“", "(")
        and word.folded in lists.given
        and after.is_capitalized
    )


def _words(text: str) -> Iterator[_Found]:
    end = 0
    for match in _WORD.finditer(text):
        gap = text[end : match.start()]
        for word in _HUMP.split(match.group()):  # "RobertMiller"
            yield _Found(word, word.replace("'", "").replace("’", "").casefold(), gap)
            gap = " "
        end = match.end()
