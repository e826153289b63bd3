"""US Social Security numbers in text: `NNN-NN-NNNN`, spaced, dotted, and bare nine digits where the words say so.

Which words stand next to a number decides what it is: "SSN" makes nine digits in any grouping one, "order" or "vacancy"
before a number makes it none. Between the two the nearer one counts. Numbers that the Social Security Administration
never gives out (area 000, 666 and 900-999, group 00, serial 0000) are none.

Belongs here: finding and masking. Not here: what is done about one (see messages.py). Source: SSA, "Social Security
Number Randomization"; 20 CFR 422.103.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lakehouse.validation.plain_text import plain, plain_with_origins, unmarked
from lakehouse.validation.words import first_digit, letter_runs

SSN_MASK = "***-**-****"
WITHHELD = "[withheld: it holds a Social Security number]"

_GAP = r"(\s{0,2}[-./_]\s{0,2}|[ \t]{1,2}|)"
# A digit first and what must not stand before it second: so it is looked for at digits alone, and four times as fast.
_NINE = re.compile(
    rf"[0-8](?<![0-9]{{2}})[0-9]{{2}}(?<!000)(?<!666){_GAP}(?!00)[0-9]{{2}}{_GAP}(?!0000)[0-9]{{4}}(?![0-9])"
)
_WORDS = (
    r"(?<![a-z])(?:s[. ]?s[. ]?n(?:'?s|umber|o)?(?![a-z])\.?"
    r"|ss ?(?:#|no\b|num\b|nr\b|numbers?\b)"
    r"|soc(?:ial)?[ ._-]{0,3}sec(?:urity)?(?![a-z])"
    # as people misspell it
    r"|s(?:ocial|ocail|oical|cial|osial)[ ._-]{0,3}s(?:ecurity|ecuirty|ecurty|ercurity|ecuritty|ecruity"
    r"|ecurtiy)(?![a-z])"
    r"|seguro[ _-]{1,2}social(?![a-z]))"
)
_FILLER = (
    r"(?:[\s:;#=()\[\]{}<>\"'`.,*_/|!?-]|(?<![a-z])(?:is|was|are|be|no|nos|num|numbers?|numero|nr|id|code"
    r"|digits?|of|for"
    r"|on|file|your|my|his|her|their|our|the|a|this|that|with|as|full|here|here's|it|its|it's|s|and|es"
    r"|number's)(?![a-z]))"
    r"{0,24}"
)
_SSN_BEFORE = re.compile(rf"(?:{_WORDS}|(?<![a-z])social(?![a-z])){_FILLER}\Z", re.IGNORECASE)
_SSN_AFTER = re.compile(rf"{_FILLER}(?:{_WORDS}|social(?![a-z]))", re.IGNORECASE)
_SSN_NEAR = re.compile(_WORDS, re.IGNORECASE)
_ANY_GROUPS = re.compile(
    rf"(?:{_WORDS}|(?<![a-z])social(?: (?:number|no|num"
    rf"|is))?(?![a-z])){_FILLER}([0-9](?:[\s()./_-]{{0,3}}[0-9]){{8}})(?![0-9])",
    re.IGNORECASE,
)
# What a number is called that is none, whatever its shape.
_DOCUMENTS = (
    r"(?:(?:purchase |work )?orders?|ord|po|wo|vacanc(?:y|ies)|invoices?|inv|postings?|requisitions?|req|tracking"
    r"|tickets?|sku|serial|shipments?|rma|docket|permits?|bookings?|reservations?|confirmations?|receipts?|parcels?|packages?"
    r"|batch|solicitations?|bids?|contracts?"
    # words of every day, which name a number only when they say so
    r"|(?:jobs?|cases?|parts?|lot|items?|models?|policy|claims?|references?|ref|quotes?)"
    r"(?=[ .]?(?:no\b|num|nr\b|#|id\b|code)))"
)
# What nine digits in a row are often called.
_NUMBERS = (
    r"(?:badge|routing|aba|accounts?|acct|passport|licen[cs]e|zip(?: ?\+ ?4| code)?|zipcode|postal code|ein|fein|duns"
    r"|npi|dea|locker|gate|isbn|imei|vin|extension|ext|barcode|upc|member|employee|worker|client|customer|student)"
)
_PHONES = (
    r"(?:calls?|phones?|telephone|tel|mobile|cell|fax|text|dial|ring|reach (?:me|us) (?:at|on)|whatsapp|sms|contact)"
)
_NAMED = (
    r"(?<![a-z]){kinds}(?![a-z])(?:[\s:;#=()\[\]\"'.,*_/-]|(?<![a-z])(?:no|num|nr|numbers?|id|ids|code|is|was"
    r"|me|us|at|on)"
    r"(?![a-z])){{0,12}}(?:(?<![a-z])[a-z]{{1,4}}[-_]?)?\Z"
)
_DOCUMENT_BEFORE = re.compile(_NAMED.format(kinds=_DOCUMENTS), re.IGNORECASE)
_NUMBER_BEFORE = re.compile(_NAMED.format(kinds=f"(?:{_DOCUMENTS}|{_NUMBERS}|{_PHONES})"), re.IGNORECASE)
_PHONE_BEFORE = re.compile(_NAMED.format(kinds=f"(?:{_DOCUMENTS}|{_PHONES})"), re.IGNORECASE)
_NUMBER_AFTER = re.compile(
    rf"[\s,)\]]{{0,3}}(?:is|was|are|being)\s(?:your|my|his|her|their|our|the|a|an)\s(?:new "
    rf"|own )?(?:{_DOCUMENTS}|{_NUMBERS})\b",
    re.IGNORECASE,
)
# How every name of the number, and every misspelling, begins; letters of no ASCII are what a pattern without regard to
# case takes for these.
_ANY_NAME = re.compile(
    r"[sS\u017f](?:[. ]?[sS\u017f][. ]?[nN#]|[oO][cCiIsS\u0130\u0131\u017f]|[cC][iI\u0130\u0131]|[eE][gG])"
)
# The digits of _ANY_GROUPS, wherever they stand.
_NINE_APART = re.compile(r"[0-9](?<![0-9]{2})(?:[\s()./_-]{0,3}[0-9]){8}(?![0-9])")
# Of their words each match of them in an ASCII text holds one.
_DOCUMENT_WORDS = frozenset(
    b"order orders ord po wo vacancy vacancies invoice invoices inv posting postings requisition requisitions req"
    b" tracking ticket tickets sku serial shipment shipments rma docket permit permits booking bookings reservation"
    b" reservations confirmation confirmations receipt receipts parcel parcels package packages batch solicitation"
    b" solicitations bid bids contract contracts job jobs case cases part parts lot item items model models policy"
    b" claim claims reference references ref quote quotes".split()
)
_OTHER_WORDS = _DOCUMENT_WORDS.union(
    b"badge routing aba account accounts acct passport license licence zip zipcode postal ein fein duns npi dea locker"
    b" gate isbn imei vin extension ext barcode upc member employee worker client customer student call calls phone"
    b" phones telephone tel mobile cell fax text dial ring reach whatsapp sms contact".split()
)
_LETTER = re.compile(r"[A-Za-z]")
_BEFORE, _AFTER = 64, 32
_DIGITS = 9


def holds_ssn(text: str) -> bool:
    """Whether a Social Security number is in a text, in any of the forms above, HTML or not."""
    if _holds(plain(text)):
        return True
    read = unmarked(text)
    return read is not None and _holds(plain(read))


def may_hold_ssn(seen: str) -> bool:
    """Whether a number may be in a plain text, or in a text that is a part of it; surely there is none if False."""
    digit = first_digit(seen)
    return digit >= 0 and (_NINE.search(seen, digit) is not None or _may_be_named(seen, digit))


def mask_ssns(text: str) -> str:
    """The text with each number replaced; all of it when one is spread over HTML, and cannot be cut out."""
    if len(text) < _DIGITS and text.isascii():  # ids and codes, of which lines have very many
        return text
    seen = plain(text)
    spans = list(_spans(seen))
    if spans and seen is text:
        text = _cut(text, spans)
    elif spans:
        _, origins = plain_with_origins(text)
        text = _cut(text, [(origins[start], origins[end - 1] + 1) for start, end in spans])
    read = unmarked(text)
    is_spread = read is not None and _holds(plain(read))
    return WITHHELD if is_spread else text


def ssn_spans(text: str) -> list[tuple[int, int]]:
    """Where numbers are in a text, as `(start, end)`; the whole text when one is spread over HTML."""
    seen = plain(text)
    spans = list(_spans(seen))
    if spans and seen is not text:
        _, origins = plain_with_origins(text)
        spans = [(origins[start], origins[end - 1] + 1) for start, end in spans]
    read = unmarked(text)
    if read is not None and not spans and _holds(plain(read)):
        return [(0, len(text))]
    return spans


def _cut(text: str, spans: list[tuple[int, int]]) -> str:
    parts, at = [], 0
    for start, end in sorted(spans):
        if start >= at:
            parts += [text[at:start], SSN_MASK]
            at = end
        else:
            at = max(at, end)
    return "".join([*parts, text[at:]])


def _holds(seen: str) -> bool:
    """Whether a number is in a plain text."""
    return next(_spans(seen), None) is not None


def _may_be_named(seen: str, at: int) -> bool:
    """Whether _ANY_GROUPS may match in a text whose first digit is at a place."""
    return _NINE_APART.search(seen, at) is not None and _ANY_NAME.search(seen) is not None


def _spans(text: str) -> Iterator[tuple[int, int]]:
    """Where numbers are in a plain text."""
    digit = first_digit(text)
    if digit < 0:
        return
    for match in _NINE.finditer(text, digit):
        if _is_ssn(text, match):
            yield match.start(), match.end()
    if not _may_be_named(text, digit):
        return
    for match in _ANY_GROUPS.finditer(text):
        digits = "".join(c for c in match[1] if c.isdigit())
        if _NINE.fullmatch(digits) is None or _is_zip(match[1]):
            continue
        before = text[max(0, match.start(1) - _BEFORE) : match.start(1)]
        if not _may_name(before, _DOCUMENT_WORDS) or _DOCUMENT_BEFORE.search(before) is None:
            yield match.start(1), match.end(1)


def _is_ssn(text: str, match: re.Match[str]) -> bool:
    start, end = match.span()
    before, after = text[max(0, start - _BEFORE) : start], text[end : end + _AFTER]
    form = _form(match[1], match[2])
    if form == "zip":
        return False
    has_words = _LETTER.search(before) is not None
    ssn = _SSN_BEFORE.search(before) if has_words and _ANY_NAME.search(before) is not None else None
    words, other_name = _other_name(form)
    other = other_name.search(before) if has_words and _may_name(before, words) else None
    if other is not None and (ssn is None or other.start() > ssn.start()):
        return False
    if ssn is not None or _SSN_AFTER.match(after):
        return True
    if form in ("-", " ", "."):
        return not _is_joined(form, before, after)
    if _NUMBER_AFTER.match(after):
        return False
    return (has_words and _SSN_NEAR.search(before) is not None) or _SSN_NEAR.search(after) is not None


def _may_name(before: str, words: frozenset[bytes]) -> bool:
    """Whether something that a number may be called stands in a text."""
    return not before.isascii() or not words.isdisjoint(letter_runs(before))


def _other_name(form: str) -> tuple[frozenset[bytes], re.Pattern[str]]:
    """What may stand before a number of this form that makes it none: the words, and how they stand."""
    if form == "-":
        return _DOCUMENT_WORDS, _DOCUMENT_BEFORE  # no phone is written so
    return _OTHER_WORDS, _PHONE_BEFORE if form in (" ", ".") else _NUMBER_BEFORE


def _form(first: str, second: str) -> str:
    """How the groups are parted: "-", " ", ".", "" for not at all, "zip" for a ZIP+4, "?" for anything else."""
    marks = first.strip(), second.strip()
    if first == "" and marks[1] == "-":
        return "zip"
    if marks[0] != marks[1]:
        return "?"
    if marks[0] == "":
        return " " if first and second else "" if not first and not second else "?"
    return marks[0] if marks[0] in ("-", ".") else "?"


_JOINED_BEFORE = {
    "-": re.compile(r"(?:[0-9][-_]|\+)\Z"),
    " ": re.compile(r"(?:[0-9)][ .-]{1,2}|\+ ?)\Z"),
    ".": re.compile(r"[0-9]\.\Z"),
}
_JOINED_AFTER = {
    "-": re.compile(r"[-_][0-9]"),
    " ": re.compile(r"[ .-]{1,2}[0-9]"),
    ".": re.compile(r"\.[0-9]"),
}


def _is_joined(form: str, before: str, after: str) -> bool:
    """Whether more digits belong to it, so that it is a part of something longer."""
    return _JOINED_BEFORE[form].search(before) is not None or _JOINED_AFTER[form].match(after) is not None


def _is_zip(groups: str) -> bool:
    return re.fullmatch(r"[0-9]{5}\s?-\s?[0-9]{4}", groups) is not None
