"""Signs that a text gives orders to a model: overridden instructions, chat roles, requests for secrets, hidden text.

A sign refuses nothing: people do write "ignore my previous message". It is said, and counted for later steps.

Belongs here: the patterns. Not here: personal data (see personal.py), where texts come from (see texts.py).
Source: OWASP Top 10 for LLM Applications 2025, LLM01 and LLM02.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from lakehouse.validation.plain_text import plain
from lakehouse.validation.words import letter_runs

_ALL = (
    r"(?:all |any |every |the |your |my |these |those |of |previous |prior |above |earlier |preceding |foregoing "
    r"|system |original |initial |former ){0,5}"
)
_RULES = (
    r"(?:instructions?|prompts?|directions?|rules|guidelines|guardrails|commands?|context|constraints|polic(?:y"
    r"|ies)|messages?)"
)
_WANTED = (
    r"(?:(?:system |hidden |initial |original |developer )?(?:prompt|instructions)|api[ _-]?keys?|(?:access |auth "
    r"|bearer )?tokens?|passwords?|credentials|secrets?|environment variables|env vars|private keys?|chat history"
    r"|conversation history|training data)"
)
_PATTERNS = {
    "injection.override": re.compile(
        rf"\b(?:ignore|disregard|forget|override|bypass|skip|do not follow|don't follow"
        rf"|stop following) {_ALL}{_RULES}\b"
        r"|\b(?:ignore|disregard|forget) (?:everything|all|anything) (?:above|before|previous(?:ly)?|prior"
        r"|you were told|i said)"
        r"|\b(?:new|updated|real|actual) (?:system )?instructions?(?: are)? ?:"
        r"|\byou are now (?:an? |the |in )?(?:unrestricted|unfiltered|jailbroken|dan\b|different|evil"
        r"|developer|admin|root|ai\b|assistant|model|free)"
        r"|\b(?:developer|debug|god|jailbreak|dan|sudo|admin) mode\b|\bdo anything now\b|\bjailbreak\b"
        r"|\bpretend (?:that )?(?:you are|to be|you have no)\b|\bact as (?:if you (?:have|had) no"
        r"|an? unrestricted|the system|root|admin)"
        r"|\bwithout (?:any )?(?:restrictions|filters|guardrails|safety)\b|\bmark (?:this|it) as (?:valid"
        r"|passed|approved|accepted)\b"
        r"|\b(?:always|must|should) (?:answer|respond|reply|return|output)(?: with)? (?:only )?[\"']?(?:pass"
        r"|passed|valid|accept|approved?|yes to all)",
        re.IGNORECASE,
    ),
    "injection.role": re.compile(
        r"<\|(?:im_start|im_end|system|user|assistant|endoftext|begin_of_text|eot_id|start_header_id"
        r"|end_header_id)\|?>?"
        r"|\[/?INST\]|<</?SYS>>|</?(?:system|assistant|instructions?|system_prompt)>"
        r"|(?:^|\n)[ \t>#*]{0,6}(?:system|assistant|developer)(?: prompt| message)?[*]{0,2} ?:"
        r"|(?<!#)#{2,6} ?(?:system|instruction|assistant)\b"
        r"|\"role\" ?: ?\"(?:system|assistant|developer)\"",
        re.IGNORECASE,
    ),
    "injection.exfiltration": re.compile(
        rf"\b(?:reveal|print|show|repeat|output|display|tell me|give me|send(?: me)?|leak|dump|expose|return"
        rf"|list|disclose|share|forward|email|post|upload)(?: me| us| back)? {_ALL}{_WANTED}\b"
        r"|\bwhat (?:is|are|was|were) (?:your|the) (?:system |hidden |initial |original )(?:prompt|instructions)"
        r"|!\[[^\]\n]{0,100}\]\(https?://[^)\s]{1,300}[?&][^)\s]{0,300}"
        r"|\b(?:send|post|forward|upload|exfiltrate|append|encode) [^.\n]{0,80}\bto https?://",
        re.IGNORECASE,
    ),
}  # fmt: skip
# Each match of a pattern in an ASCII text holds one of these words, or one of these parts; looking for words costs a
# fraction of looking for patterns.
_WORDS = {
    "injection.override": frozenset(
        b"ignore disregard forget override bypass skip follow following instruction instructions mode anything"
        b" jailbreak pretend act without mark always must should".split()
    ),
    "injection.role": frozenset(b"system assistant developer instruction".split()),
    "injection.exfiltration": frozenset(
        b"prompt instructions api apikey apikeys token tokens password passwords credentials secret secrets variables"
        b" vars private history system hidden initial original".split()
    ),
}
_PARTS = {
    "injection.override": ("you are now",),
    "injection.role": ("<", "["),
    "injection.exfiltration": ("training data", "[", "://"),
}
_ANY_WORD = frozenset().union(*_WORDS.values())
# Without any of these nothing above can match in any text.
_HINTS = (
    "ignore", "disregard", "forget", "overrid", "bypass", "skip", "follow", "instruction", "you are now", " mode",
    "anything now", "jailbreak", "pretend", "act as", "without", "mark ", "always", "must", "should",
    "<", "[", "system",
    "assistant", "developer", "##",
    "reveal", "print", "show", "repeat", "output", "display", "tell me", "give me",
    "send",
    "leak", "dump", "expose", "return", "list", "disclose",
    "share", "forward", "email", "post", "upload", "what ",
    "exfil", "append", "encode",
)  # fmt: skip
_UNSEEN = frozenset("\u200b\u2060\u2061\u2062\u2063\u2064\u00ad\u180e\u115f\u1160\u3164\uffa0")
_TURNING = frozenset("\u202a\u202b\u202d\u202e\u2066\u2067\u2068")
_JOINERS = frozenset("\u200c\u200d\ufeff")
_FLAG = "\U0001f3f4"


def injection_signs(text: str) -> dict[str, int]:
    """How often each sign is in a text; signs that are not in it are left out."""
    found: dict[str, int] = {}
    seen = plain(text)
    for rule in _possible(seen):
        count = sum(1 for _ in _PATTERNS[rule].finditer(seen))
        if count:
            found[rule] = count
    hidden = 0 if text.isascii() else _hidden(text)
    if hidden:
        found["injection.hidden"] = hidden
    return found


def _possible(seen: str) -> Iterable[str]:
    """The rules whose patterns may match in a plain text."""
    lowered = seen.lower()
    if not seen.isascii():
        return _PATTERNS if any(hint in lowered for hint in _HINTS) else ()
    words = letter_runs(seen)
    if _ANY_WORD.isdisjoint(words) and not _has_part(lowered):
        return ()
    return [
        rule
        for rule in _PATTERNS
        if not _WORDS[rule].isdisjoint(words) or any(part in lowered for part in _PARTS[rule])
    ]


def _has_part(lowered: str) -> bool:
    # Spelled out: a loop over them costs as much as all else here.
    return (
        "<" in lowered or "[" in lowered or "://" in lowered or "you are now" in lowered or "training data" in lowered
    )


def _hidden(text: str) -> int:
    """Characters that a reader does not see and a model reads; those that emoji and other scripts need are none."""
    count = 0
    in_flag = False
    for index, character in enumerate(text):
        is_tag = "\U000e0000" <= character <= "\U000e007f"
        in_flag = character == _FLAG or (in_flag and is_tag)
        if (
            character in _UNSEEN
            or character in _TURNING
            or (is_tag and not in_flag)
            or ("\ue000" <= character <= "\uf8ff" and not _stands_alone(text, index))
            or (character in _JOINERS and index > 0 and _is_between_latin(text, index))
        ):
            count += 1
    return count


def _is_between_latin(text: str, index: int) -> bool:
    before, after = text[index - 1], text[index + 1 : index + 2]
    return before.isascii() and before.isalnum() and after.isascii() and after.isalnum()


def _stands_alone(text: str, index: int) -> bool:
    """A private-use character by itself is an icon of some font; in a row they are a text."""
    around = text[max(0, index - 1) : index] + text[index + 1 : index + 2]
    return not any(unicodedata.category(c) == "Co" for c in around)
