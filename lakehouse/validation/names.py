"""Whom a text names: the candidate of the context, or somebody else.

Names compare without case, accents and punctuation; a first name, an initial or a common short form is the
candidate.
Only what surely names the candidate counts: a greeting, "candidate: …", and the names that the context lists as
others'.

Belongs here: the comparison, greetings. Not here: the refusal (see messages.py), workers' names (see fill.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from lakehouse.validation.plain_text import plain
from lakehouse.validation.words import word_runs

_NOT_WORD = re.compile(r"[\W_]+")
_TITLE = r"(?:(?:mr|mrs|ms|miss|mx|dr|prof|sr|sra)\b\.? {0,2})?"
_GREETED = (
    r"[ \t\r\n]{0,8}(?:hi|hello|hey|dear|greetings|howdy|hola|welcome|good (?:morning|afternoon|evening|day))"
    rf"([ \t,:]{{1,3}}){_TITLE}([^\n\r,!.:;?()\[\]<>\"]{{1,60}})([\n\r,!.:;?()\[\]<>\"]|$)?"
)
# At the beginning of a text, and behind a mark: two patterns, so that the second is looked for at marks alone.
_GREETING_FIRST = re.compile(_GREETED, re.IGNORECASE)
_GREETING_BEHIND = re.compile(rf"[\n.!?>]{_GREETED}", re.IGNORECASE)
_SAID = re.compile(
    rf"\b(?:candidate|applicant)(?:'s)? ?(?:name)? ?(?::|=|\bis\b|\bnamed\b) {{0,2}}{_TITLE}"
    r"((?-i:[^\W\d_a-z][\w'’-]{0,40}(?: [^\W\d_a-z][\w'’-]{0,40}){1,3}))",
    re.IGNORECASE,
)
_JOIN = re.compile(r" (?:and|&|y|or) |/|&", re.IGNORECASE)
# What a greeting may say that is nobody's name.
_NOBODY_TEXT = """
there all everyone everybody team folks candidate candidates applicant applicants sir madam maam friend friends
colleague colleagues hiring manager again crew ladies gentlemen worker workers both you yall valued customer guys
staff member members neighbor partner partners client clients recruiter recruiting from to we i this it its just hope
hoping thank thanks your our the a an is are on for please here good happy great back aboard monday tuesday wednesday
thursday friday saturday sunday january february march april june july august september october november december
today tomorrow tonight supervisor employee employees associate associates human resources hr department office job
seeker talent student students class group any one of that as if in at my no new world what when where how can could
would will do does did so yes and or not now with by up
"""
_GROUPS_TEXT = """
team teams crew crews folks family families staff member members group groups friend friends everyone everybody worker
workers employee employees candidate candidates applicant applicants associate associates manager managers department
office class student students partner partners customer customers client clients colleague colleagues seeker seekers
shift guys drivers operators nurses welders electricians technicians talent neighbors professionals people
"""
# "Toledo team" is nobody's name.
_GROUPS = frozenset(_GROUPS_TEXT.split())
_TRADES_TEXT = """
electrician welder driver nurse operator technician mechanic carpenter plumber painter assembler picker packer warehouse
forklift machinist millwright roofer mason server cleaner janitor receptionist night day evening weekend overtime shift
valued future fellow professional
"""
_NOBODY = frozenset(_NOBODY_TEXT.split()) | _GROUPS | frozenset(_TRADES_TEXT.split())
_SHORT_FORMS = """
william bill billy will willie liam; robert bob bobby rob robbie bert; richard rick ricky dick rich richie; james jim
jimmy jamie; john johnny jack jon; michael mike mikey mick; thomas tom tommy; joseph joe joey; charles charlie chuck
chas; edward ed eddie ted ned; christopher chris kit; daniel dan danny; matthew matt; anthony tony; steven stephen
steve; andrew andy drew; samuel sam sammy; samantha sam sammy; alexander alex sasha xander; alexandra alex sasha
sandra; benjamin ben benny; nicholas nick nicolas; jonathan jon; timothy tim; gregory greg; patrick pat paddy;
patricia pat patty trish; katherine catherine kathryn kate katie kathy cathy kat; elizabeth liz lizzie beth betty
eliza libby; margaret maggie meg peggy marge; jennifer jen jenny; jessica jess jessie; rebecca becky becca; deborah
debra deb debbie; susan sue susie; barbara barb; victoria vicky tori; victor vic; joshua josh; zachary zach zack;
frederick fred freddie; gabriel gabe; gabriela gabby; ronald ron ronnie; donald don; kenneth ken kenny; lawrence
larry; leonard leo len; raymond ray; francisco paco pancho frank; francis frank; jose pepe; guadalupe lupe; jesus
chuy; ignacio nacho; antonio tono tony; manuel manny; isabella bella izzy; cynthia cindy; theodore ted teddy theo;
theresa teresa terry tess; philip phillip phil; peter pete; david dave davey; douglas doug; jeffrey geoffrey jeff
geoff; stephanie steph; angela angie; melissa missy; nathaniel nathan nate; vincent vince vinny; albert al bert;
abigail abby; amanda mandy; kimberly kim
"""


def _forms() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for group in _SHORT_FORMS.split(";"):
        names = set(group.split())
        for name in names:
            found.setdefault(name, set()).update(names)
    return found


_FORMS = _forms()


def name_words(name: str) -> tuple[str, ...]:
    """The words of a name, for comparison."""
    if name.isascii() and name.isprintable():
        words = name.lower().split()
        if "".join(words).isalnum():
            return tuple(words)
    return tuple(_NOT_WORD.sub(" ", plain(name)).casefold().split())


def is_same_name(name: str, other: str) -> bool:
    """Whether two full names are one person's: the same words in any order; a single initial may be left out."""
    ours, theirs = name_words(name), name_words(other)
    if ours == theirs:
        return bool(ours)
    return bool(ours) and sorted(w for w in ours if len(w) > 1) == sorted(w for w in theirs if len(w) > 1) != []


def other_person(text: str, candidate: str | None, others: Sequence[str]) -> str | None:
    """The name in a text that is not the candidate's, None when there is none.

    Args:
        text: Subject and body.
        candidate: The candidate's full name, None when the context has none.
        others: Names of people who are not the candidate.
    """
    if candidate is None and not others:
        return None
    seen = plain(text)
    ours = name_words(candidate) if candidate is not None else ()
    known = [(name, words) for name in others if (words := name_words(name)) and words != ours]
    return _greeted(seen, ours, known) or _said(seen, ours) or _mentioned(seen, ours, known)


def names_candidate(text: str, candidate: str) -> bool:
    """Whether any word of the candidate's name is in a text."""
    seen = plain(text)
    if seen.isascii() and candidate.isascii():
        runs = word_runs(seen)
        if any(word.encode() in runs for word in name_words(candidate) if len(word) > 1):
            return True
    words = set(_NOT_WORD.sub(" ", seen).casefold().split())
    return any(words & (_FORMS.get(word, set()) | {word}) for word in name_words(candidate) if len(word) > 1)


def _greeted(text: str, ours: tuple[str, ...], known: Sequence[tuple[str, tuple[str, ...]]]) -> str | None:
    for greeting in _greetings(text):
        # After "Hello, " a sentence may begin: only what stands alone is a name there.
        is_apart = "," in greeting[1] or ":" in greeting[1]
        for part in _JOIN.split(greeting[2]):
            name = _leading_name(part, has_end=greeting[3] is not None, is_apart=is_apart)
            words = name_words(name)
            if not words:
                break
            if ours and not _is_ours(words, ours):
                return name
            if not ours and any(set(words) <= set(theirs) for _, theirs in known):
                return name
    return None


def _greetings(text: str) -> Iterator[re.Match[str]]:
    first, begin = _GREETING_FIRST.match(text), 0
    if first is not None:
        yield first
        begin = first.end()
    yield from _GREETING_BEHIND.finditer(text, begin)


def _may_be_said(text: str) -> bool:
    lowered = text.lower()
    return not text.isascii() or "candidate" in lowered or "applicant" in lowered


def _said(text: str, ours: tuple[str, ...]) -> str | None:
    if not ours or not _may_be_said(text):
        return None
    return next((said[1] for said in _SAID.finditer(text) if not _is_ours(name_words(said[1]), ours)), None)


def _mentioned(text: str, ours: tuple[str, ...], known: Sequence[tuple[str, tuple[str, ...]]]) -> str | None:
    if not known:
        return None
    words = " " + _NOT_WORD.sub(" ", text).casefold().strip() + " "
    if ours:
        words = words.replace(" " + " ".join(ours) + " ", " | ")  # a longer name may hold the other's
    return next((name for name, theirs in known if f" {' '.join(theirs)} " in words), None)


def _leading_name(greeted: str, *, has_end: bool, is_apart: bool) -> str:
    """The words at the beginning of what is greeted that are a name."""
    words = greeted.split()
    plain_words = [(name_words(word) or ("",))[0] for word in words]
    if not words or plain_words[0] == "" or plain_words[0] in _NOBODY:
        return ""
    named = 0
    while named < min(4, len(words)) and _may_be_name(words[named]) and plain_words[named] not in _NOBODY:
        named += 1
    if named:
        is_group = named < len(words) and plain_words[named] in _GROUPS
        is_sentence = is_apart and (named < len(words) or not has_end)
        return "" if is_group or is_sentence else " ".join(words[:named])
    # "hi maria," in small letters; more words are a sentence.
    return greeted if has_end and len(words) <= 2 and words[0][0].isalpha() else ""


def _may_be_name(word: str) -> bool:
    return word[0].isalpha() and not word[0].islower()


def _is_ours(words: tuple[str, ...], ours: tuple[str, ...]) -> bool:
    return words == ours or all(
        word in ours or any((len(word) == 1 and one.startswith(word)) or word in _FORMS.get(one, ()) for one in ours)
        for word in words
    )
