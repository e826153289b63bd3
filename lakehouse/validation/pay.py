"""Pay rates in text: money by the hour, day, week, month or year, and money next to a word for pay.

Prices of other things (parking, rent, a ticket), times, dates, addresses, quantities by the hour and "401k" are none.
A sum by the hour is always pay unless a thing with a price is named in its sentence and no word for pay is.

Belongs here: finding them. Not here: when they are allowed (see messages.py).
"""

from __future__ import annotations

import re

from lakehouse.validation.plain_text import plain, unmarked

_DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{3}){1,3}|[0-9]{1,7})(?:\.[0-9]{1,2})?"
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
_PER = r"(?: {0,2}(?:/|per\b|an?\b|each\b|every\b|p/|p\.) {0,2})"
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
    rf"\b(?:{_PAY_NOUN}|{_PAY_VERB}|rate|pay ?(?:is|:|=|of|-|starts at|starting at|from"
    rf"|@)){_LINK}{_MONEY}(?! ?(?:for\b|fee|toward))"
    rf"|{_MONEY} ?(?:in )?(?:{_PAY_NOUN}|pay\b(?! (?:for|by|at|the))|gross\b|take-home\b|hourly\b)"
    rf"|\b(?:{_PAY_NOUN}|pays|paying|pay ?(?:is|:|=)){_LINK}(?!40[13] ?\(?k)(?:[0-9]{{2,3}} ?k\b"
    rf"|(?<![0-9.,]){_DIGITS}(?![0-9]|[.,][0-9])){_NOT_PAY_NEXT}"
    rf"|(?<![0-9.,$])(?!40[13] ?k)[0-9]{{2,3}} ?k (?:(?:annual|yearly|base) )?(?:{_PAY_NOUN}|base\b)",
    re.IGNORECASE,
)
_SPOKEN_BY_HOUR = re.compile(rf"{_SPOKEN} (?:dollars |bucks )?(?:an|per|/) ?(?:hour|hr)\b", re.IGNORECASE)
_PAY_WORD = re.compile(
    r"\b(?:wages?|salar(?:y|ies)|earn(?:s|ing|ings)?|compensation|pays|paying|paid|pay ?rate|pay (?:is|of"
    r"|range|rate)|pay:"
    r"|hourly|overtime|hired?|position|job|role|shift (?:pay|rate)|starting (?:at|pay)|base pay|make|making"
    r"|offer(?:s|ing)?)\b",
    re.IGNORECASE,
)
_THING = re.compile(
    r"\b(?:parking|rent(?:al|s|ed)?|fees?|fare|pass(?:es)?|tickets?|tolls?|lunch|meals?|breakfast|dinner|subscriptions?"
    r"|memberships?|deposit|fines?|insurance|premiums?|uniforms?|hotels?|rooms?|lodging|apartments?|gym|costs?"
    r"|prices?|priced"
    r"|charges?|billed|phone plan|shuttle|bus|train|taxi|uber|gas|fuel|mileage|per mile|donations?|tuition"
    r"|childcare|daycare"
    r"|storage|locker|equipment|course|training fee|buy|bought|spend|spent|save|saves|discount)\b",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[!?;\n]|\.(?![0-9])")
# Without any of these nothing above can match, and most messages have none.
_HINTS = (
    "$", "€", "£", "/", "pay", "wage", "salar", "hour", "hr", "rate", "earn", "compens", "remun", "stipend", "dollar",
    "buck", "euro", "usd", "cad", "aud", "eur", "gbp", "mxn", "gross", "take-home",
)  # fmt: skip
_SHORT_HINT = re.compile(r"[0-9] ?(?:k|ph)\b", re.IGNORECASE)
_NEAR = 160


def discloses_pay(text: str) -> bool:
    """Whether a text tells what somebody is or would be paid."""
    seen = plain(text)
    read = unmarked(text)
    return _discloses(seen) or (read is not None and _discloses(plain(read)))


def _discloses(text: str) -> bool:
    lowered = text.lower()
    if not any(hint in lowered for hint in _HINTS) and _SHORT_HINT.search(text) is None:
        return False
    if _SPOKEN_BY_HOUR.search(text):
        return True
    for pattern in (_BY_HOUR, _BY_TIME, _NAMED):
        if any(not _is_price(text, match) for match in pattern.finditer(text)):
            return True
    return any(_is_bare_rate(text, match) for match in _BARE_BY_HOUR.finditer(text))


def _is_price(text: str, match: re.Match[str]) -> bool:
    """Whether the sentence speaks of a thing that costs, and not of pay."""
    sentence = _sentence(text, match)
    return _THING.search(sentence) is not None and _PAY_WORD.search(sentence) is None


def _is_bare_rate(text: str, match: re.Match[str]) -> bool:
    """Whether a number by the hour without a currency is money: it has cents, or its sentence speaks of pay."""
    if re.search(r"\.[0-9]{2}(?![0-9])", match[0]) is not None:
        return not _is_price(text, match)
    sentence = _sentence(text, match)
    return _THING.search(sentence) is None and (
        _PAY_WORD.search(sentence) is not None or re.search(r"\b(?:rate|pay)\b", sentence, re.IGNORECASE) is not None
        or "/" in match[0] or match[0].lower().endswith("hourly")
    )  # fmt: skip


def _sentence(text: str, match: re.Match[str]) -> str:
    before = text[max(0, match.start() - _NEAR) : match.start()]
    after = text[match.end() : match.end() + _NEAR]
    start = max((end.end() for end in _SENTENCE_END.finditer(before)), default=0)
    end = _SENTENCE_END.search(after)
    return before[start:] + match[0] + (after if end is None else after[: end.start()])
