"""Pay rates in text: money by the hour, day, week, month or year, and money next to a word for pay.

Prices of other things (parking, rent, a ticket), times, dates, addresses, quantities by the hour and "401k" are none.
A sum by the hour is always pay unless a thing with a price is named in its sentence and no word for pay is.

Belongs here: finding them. Not here: when they are allowed (see messages.py).
"""

from __future__ import annotations

import re

from lakehouse.validation.plain_text import plain, unmarked
from lakehouse.validation.words import first_digit

_DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{3}){1,3}|[0-9]{1,7})(?:[.,][0-9]{1,2})?"
_AMOUNT = rf"(?<![0-9.,]){_DIGITS} ?k?(?![0-9])"
_RANGE = rf"{_AMOUNT}(?: ?(?:-|to|and|or) ?(?:us|c|a)?[$€£]? ?{_DIGITS} ?k?(?![0-9]))?\+?"
_CODE = r"(?:usd|cad|aud|eur|gbp|mxn)"
_MONEY = (
    rf"(?:(?:(?:us|c|a)?[$€£]|{_CODE} ?) ?{_RANGE}(?: ?{_CODE})?|{_RANGE} ?(?:[$€£]|{_CODE}\b|dollars?\b|bucks\b"
    rf"|euros?\b))"
)
_HOUR = r"(?:hours?|hrs?|h|hrly|hourly)\b"
_LONGER = (
    r"(?:shifts?|days?|weeks?|wks?|months?|mos?|years?|yrs?|annum|annual|daily|weekly|monthly|yearly|pay period)\b"
)
_PER = r"(?:[ -]{0,2}(?:/|per\b|an?\b|each\b|every\b|p/|p\.)[ -]{0,2})"
_TENS = (
    r"(?:ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty"
    r"|sixty)"
)
_SPOKEN = rf"\b{_TENS}(?:[ -](?:one|two|three|four|five|six|seven|eight|nine|{_TENS[3:-1]}))?"

_PAY_NOUN = (
    r"(?:(?:hourly|base|starting|start|pay|wage|salary|bill|overtime|ot|day|shift) (?:rate|pay|wage"
    r"|salary)s?(?: range)?"
    r"|wages?|salar(?:y|ies)|compensation|remuneration|pay range|payrate|stipend|earnings)"
)
_PAY_VERB = r"(?:pays|paying|earns?|earning)"
_LINK = (
    r"(?:[ :=~@(-]|\b(?:is|of|at|are|was|will be|from|starts? at|starting at|starting|up to|around|about|between"
    r"|approximately|ranges?)\b){0,6}"
)
_NOT_PAY_NEXT = (
    r"(?! ?(?:%|percent|am\b|pm\b|a\.m|p\.m|th\b|st\b|nd\b|rd\b|:|/[0-9]|\(k|days?\b|weeks?\b|miles?\b|people\b"
    r"|hours?\b|minutes?\b|years?\b|months?\b|times?\b|steps?\b|points?\b))"
)

_BY_HOUR = re.compile(
    rf"{_MONEY}(?:{_PER}| {{0,2}}){_HOUR}|{_MONEY} ?ph\b|{_MONEY} an? hour\b"
    rf"|\b(?:dollars|bucks)(?:{_PER}){_HOUR}",
    re.IGNORECASE,
)
_BY_TIME = re.compile(
    rf"{_MONEY}(?:{_PER}{_LONGER}| ?(?:annually|daily|weekly|monthly|yearly|annual\b|p\.?a\b))|\b(?:dollars"
    rf"|bucks){_PER}{_LONGER}|(?<![0-9.,$])(?!40[13] ?k)[0-9]{{2,3}} ?k{_PER}(?:years?|yrs?|annum)\b",
    re.IGNORECASE,
)
_BARE_BY_HOUR = re.compile(
    rf"(?<![$0-9.,:/]){_RANGE} {{0,2}}(?:/ {{0,2}}(?:hours?|hrs?|h)\b|(?:per|an|each|every) (?:hour|hr)\b|hourly\b)"
    r"(?! (?:early|before|after|later|ahead|prior|from|long|of|away|drive|in\b|earlier))",
    re.IGNORECASE,
)
_NAMED = re.compile(
    rf"\b(?:{_PAY_NOUN}|{_PAY_VERB}|hourly|rate|pay ?(?:is|:|=|of|-|starts at|starting at|from"
    rf"|@)){_LINK}{_MONEY}(?! ?(?:for\b|fee|toward))"
    rf"|{_MONEY} ?(?:in )?(?:(?:(?:bi-?weekly|weekly|monthly|annual|yearly|gross|net|base|starting) )?{_PAY_NOUN}"
    r"|pay\b(?! (?:for|by|at|the))|gross\b|take-home\b|hourly\b)"
    rf"|\b(?:{_PAY_NOUN}|pays|paying|pay ?(?:is|:|=)){_LINK}(?!40[13] ?\(?k)(?:[0-9]{{2,3}} ?k\b"
    rf"|(?<![0-9.,]){_DIGITS}(?![0-9]|[.,][0-9])){_NOT_PAY_NEXT}"
    rf"|(?<![0-9.,$])(?!40[13] ?k)[0-9]{{2,3}} ?k (?:(?:annual|yearly|base) )?(?:{_PAY_NOUN}|base\b)",
    re.IGNORECASE,
)
_SPOKEN_BY_HOUR = re.compile(rf"{_SPOKEN} (?:dollars |bucks )?(?:an|per|/) ?(?:hour|hr)\b", re.IGNORECASE)
_PAY_WORD = re.compile(
    r"\b(?:wages?|salar(?:y|ies)|earn(?:s|ing|ings)?|compensation|pays|pay ?rate|pay (?:is|of|range|rate)|pay:|overtime"
    r"|starting (?:at|pay)|base pay)\b",
    re.IGNORECASE,
)
_THING = (
    r"(?<!free )\b(?:parking(?! (?:lot )?attendants?)|rent(?:al|s|ed)?|fees?|fare|pass(?:es)?|tickets?|tolls?|lunch"
    r"|meals?|breakfast|dinner|subscriptions?|memberships?|deposit|fines?|insurance|premiums?|uniforms?|hotels?|rooms?|lodging"
    r"|apartments?|gym|costs?|prices?|priced|charges?|billed|phone plan|shuttle|bus|train|taxi|uber|gas|fuel|mileage"
    r"|donations?|tuition|childcare|daycare|storage|locker|equipment|course|bought|spend|spent|saves?|discount)\b"
)
# A thing right before or behind a sum is what the sum is for; "free parking and $25/hr" is pay.
_PRICED_BEFORE = re.compile(rf"{_THING}(?:(?!\b(?:and|plus|with|but|you|we)\b)[^,;&+]){{0,50}}\Z", re.IGNORECASE)
_PRICED_AFTER = re.compile(
    r"\s{0,2}(?:(?:per|an?|each|/) ?[a-z]{1,8} )?(?:for |in |of |on )?"
    rf"(?:(?:the|a|your|on-site|downtown|monthly|daily) ){{0,2}}{_THING}",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[!?;\n]|\.(?![0-9])")
# Without a flag for case, so that it is looked for at digits alone; U+212A is a K as well.
_SHORT_HINT = re.compile(r"[0-9] ?(?:[kK\u212a]|[pP][hH])\b")
_CENTS = re.compile(r"\.[0-9]{2}(?![0-9])")
_RATE_WORD = re.compile(r"\b(?:rate|pay|paid|paying)\b", re.IGNORECASE)
_NEAR = 160


def discloses_pay(text: str) -> bool:
    """Whether a text tells what somebody is or would be paid."""
    seen = plain(text)
    read = unmarked(text)
    return _discloses(seen) or (read is not None and _discloses(plain(read)))


def _discloses(text: str) -> bool:
    if not _may_disclose(text):
        return False
    if _SPOKEN_BY_HOUR.search(text):
        return True
    for pattern in (_BY_HOUR, _BY_TIME, _NAMED):
        if any(not _is_price(text, match) for match in pattern.finditer(text)):
            return True
    return any(_is_bare_rate(text, match) for match in _BARE_BY_HOUR.finditer(text))


def _may_disclose(text: str) -> bool:
    """Whether a text has anything of that without which no pattern matches; most messages have nothing."""
    lowered, digit = text.lower(), first_digit(text)
    if digit < 0:  # then only money in words can be there
        return "hour" in lowered or "hr" in lowered or "dollars" in lowered or "bucks" in lowered
    # Spelled out: a loop over them takes twice as long.
    return (
        "$" in lowered or "/" in lowered or "pay" in lowered or "wage" in lowered or "salar" in lowered
        or "hour" in lowered or "hr" in lowered or "rate" in lowered or "earn" in lowered or "compens" in lowered
        or "remun" in lowered or "stipend" in lowered or "dollar" in lowered or "buck" in lowered
        or "eur" in lowered or "usd" in lowered or "cad" in lowered or "aud" in lowered or "gbp" in lowered
        or "mxn" in lowered or "gross" in lowered or "take-home" in lowered or "€" in lowered or "£" in lowered
        or _SHORT_HINT.search(text, digit) is not None
    )  # fmt: skip


def _is_price(text: str, match: re.Match[str]) -> bool:
    """Whether a sum is that of a thing that costs, and its sentence does not speak of pay."""
    before, after = _sentence(text, match)
    is_priced = _PRICED_BEFORE.search(before) is not None or _PRICED_AFTER.match(after) is not None
    return is_priced and _PAY_WORD.search(before + match[0] + after) is None


def _is_bare_rate(text: str, match: re.Match[str]) -> bool:
    """Whether a number by the hour without a currency is money: it has cents, or its sentence speaks of pay."""
    if _is_price(text, match):
        return False
    if _CENTS.search(match[0]) is not None or "/" in match[0] or match[0].lower().endswith("hourly"):
        return True
    before, after = _sentence(text, match)
    sentence = before + match[0] + after
    return _PAY_WORD.search(sentence) is not None or _RATE_WORD.search(sentence) is not None


def _sentence(text: str, match: re.Match[str]) -> tuple[str, str]:
    """What stands before and behind a match in its sentence."""
    before = text[max(0, match.start() - _NEAR) : match.start()]
    after = text[match.end() : match.end() + _NEAR]
    start = max((end.end() for end in _SENTENCE_END.finditer(before)), default=0)
    end = _SENTENCE_END.search(after)
    return before[start:], after if end is None else after[: end.start()]
